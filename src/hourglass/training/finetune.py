"""A classifier on the code: the encoder of an autoencoder put to use for labels.

    logits = head(f(x)),    terms = {classification: cross-entropy(logits, y)}

With the encoder frozen this asks what the code holds already; otherwise the labels shape the code, from where the
reconstruction had brought it (`start=RUN`). The decoder stays as it came, so that the reconstruction errors say what
the code has lost.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from hourglass.data import Dataset
from hourglass.losses import Loss
from hourglass.models import Autoencoder, Output
from hourglass.noise import Corruption
from hourglass.regularizers import Penalties
from hourglass.training.minibatch import MakeOptimizer, Minibatch


class Classifier(nn.Sequential):
    """Linear layers with rectifiers between them: codes (B, code_size) to logits (B, classes).

    Args:
        sizes: code size, then the units of each hidden layer, then the number of classes.
    """

    def __init__(self, *, sizes: Sequence[int]) -> None:
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        super().__init__(*layers[:-1])


class Finetune(Minibatch):
    """Trains a classifier on the code, and the encoder with it unless that is frozen.

    Measures `classification`, the cross-entropy in nats, `accuracy` and `error`, besides the reconstruction. The best
    epoch is the one with the lowest `val/classification`. The run keeps the head as `classifier.safetensors`.

    Reference: Reducing the dimensionality of data with neural networks (Hinton & Salakhutdinov, 2006).

    Args:
        head_widths: units of each hidden layer of the classifier; none: logistic regression on the code.
        frozen: whether the encoder stays as it came, as the decoder does.
        others: see `Minibatch`.

    Raises:
        ValueError: data without labels; a width below 1; and what `Minibatch` refuses.
    """

    chosen_by = "classification"
    labelled = True
    fuses = True

    def __init__(
        self,
        *,
        model: Autoencoder,
        noise: Corruption,
        penalties: Penalties,
        loss: Loss,
        optimizer: MakeOptimizer,
        data: Dataset,
        epochs: int,
        head_widths: Sequence[int],
        frozen: bool,
        max_steps: int | None,
        batch_size: int,
        schedule: Literal["constant", "cosine"],
        warmup_steps: int,
        gradient_clip: float | None,
        code_threshold: float,
        log_every_n_steps: int,
        keep: Literal["best", "last"],
        patience: int | None,
    ) -> None:
        super().__init__(
            model=model,
            noise=noise,
            penalties=penalties,
            loss=loss,
            optimizer=optimizer,
            data=data,
            epochs=epochs,
            max_steps=max_steps,
            batch_size=batch_size,
            schedule=schedule,
            warmup_steps=warmup_steps,
            gradient_clip=gradient_clip,
            code_threshold=code_threshold,
            log_every_n_steps=log_every_n_steps,
            keep=keep,
            patience=patience,
        )
        if any(width < 1 for width in head_widths):
            raise ValueError(f"head_widths must be at least 1, got {list(head_widths)}")
        labels = [split.y for split in (data.train, data.validation, data.test)]
        if any(y is None for y in labels):
            raise ValueError(f"a classifier needs labels, and data={data.name} has none")
        classes = 1 + max(int(y.max()) for y in labels if y is not None)
        self.classifier = Classifier(sizes=[model.code_size, *head_widths, classes])
        self.frozen = frozen
        encoder = [*model.encoder.parameters(), *model.bottleneck.parameters()]
        if frozen:
            for weight in encoder:
                weight.requires_grad_(False)
        trained = [*self.classifier.parameters(), *([] if frozen else encoder)]
        self.optimizer = self.make_optimizer(params=trained)

    def step(self, x: Tensor, corrupted: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """See `Minibatch.step`."""
        return self.backpropagate(x, corrupted, y)

    def terms(self, x: Tensor, corrupted: Tensor, y: Tensor | None = None) -> tuple[Output, dict[str, Tensor]]:
        """See `Learner.terms`: the cross-entropy takes the place of reconstruction and bottleneck terms."""
        assert y is not None
        output = self.model(corrupted)
        logits = self.classifier(output.code)
        return output, {"classification": F.cross_entropy(logits, y), **self.penalties(self.model, x, output)}

    def scores(self, output: Output, y: Tensor | None) -> dict[str, Tensor]:
        """The share of samples that get their class, and the share that don't."""
        right = (self.classifier(output.code).argmax(1) == y).float().mean()
        return {"accuracy": right, "error": 1 - right}

    def companions(self) -> dict[str, nn.Module]:
        """The classifier."""
        return {"classifier": self.classifier}

    def on_train_epoch_start(self) -> None:
        """A frozen encoder keeps still: no draws, no counts of its units."""
        super().on_train_epoch_start()
        if self.frozen:
            self.model.eval()
