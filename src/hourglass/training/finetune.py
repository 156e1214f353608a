"""A classifier on the code: the encoder of an autoencoder put to use for labels.

    logits = head(f(x)),    terms = {classification: cross-entropy(logits, y)}

With the encoder frozen this asks what the code holds already; otherwise the labels shape the code, from where the
reconstruction had brought it (`start=RUN`). The decoder stays as it came, so that the reconstruction errors say what
the code has lost.
"""

from collections.abc import Mapping, Sequence
from typing import Unpack

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hourglass.data.labels import class_count
from hourglass.losses import Term
from hourglass.models import Output
from hourglass.system.checks import check_widths
from hourglass.training.head import Head
from hourglass.training.minibatch import Minibatch, MinibatchArguments

__all__ = ["Finetune"]

CLASSIFIER = "classifier"
"""What the head is kept under."""


class Finetune(Minibatch):
    """Trains a classifier on the code, and the encoder with it unless that is frozen.

    Measures `classification`, the cross-entropy in nats, `accuracy` and `error`, besides the reconstruction. The best
    epoch is the one with the lowest `val/loss`. The run keeps the head as `classifier.safetensors`.

    Reference: Reducing the dimensionality of data with neural networks (Hinton & Salakhutdinov, 2006).

    Args:
        head_widths: units of each hidden layer of the classifier; none: logistic regression on the code.
        frozen: whether the encoder stays as it came, as the decoder does.
        others: see `Minibatch`.

    Raises:
        ValueError: data without labels; a width below 1; and what `Minibatch` refuses.

    Example:
        >>> from hourglass.pipeline.compose import compose
        >>> from hourglass.configuration.composition import compose_config
        >>> config, _ = compose_config(["data=digits", "model.code_size=8", "training=finetune"])
        >>> learner = compose(config).learner
        >>> learner.classifier
        Head(
          (0): Linear(in_features=8, out_features=10, bias=True)
        )
    """

    labelled = True
    scores_in_use = True
    stackable = True

    def __init__(self, *, head_widths: Sequence[int], frozen: bool, **shared: Unpack[MinibatchArguments]) -> None:
        super().__init__(**shared)
        check_widths("head_widths", head_widths)
        model, data = self.model, self.data
        classes = class_count(data)
        if classes is None:
            why = "".join(f": {note}" for note in data.notes)
            raise ValueError(f"a classifier needs labels, and data={data.name} has none{why}")
        if model.classes:
            raise ValueError("a classifier of a code that was told the class has nothing to find: set condition=none")
        self.classes = classes
        self.classifier = Head(sizes=[model.code_size, *head_widths, classes])
        self.frozen = frozen
        encoder = [*model.encoder.parameters(), *model.bottleneck.parameters()]
        if frozen:
            for weight in encoder:
                weight.requires_grad_(False)
        trained = [*self.classifier.parameters(), *([] if frozen else encoder)]
        self.optimizer = self.make_optimizer(params=trained)

    def size_as(self, name: str, weights: Mapping[str, Tensor]) -> None:
        """See `Learner.size_as`: the head has the classes of the run, of which other data may lack some."""
        bias = weights.get(f"{len(self.classifier) - 1}.bias")
        if name != CLASSIFIER or bias is None:  # which restoring it says
            return
        classes = len(bias)
        if self.classes > classes:
            raise ValueError(
                f"the classifier knows classes from 0 to {classes - 1}, and data={self.data.name} has labels up to"
                f" {self.classes - 1}"
            )
        last = self.classifier[-1]
        if self.classes < classes and isinstance(last, nn.Linear):
            self.classifier[-1] = nn.Linear(last.in_features, classes)
            self.classes = classes

    @override
    def as_trained(self, output: Output, x: Tensor, corrupted: Tensor) -> Output:
        """See `Learner.as_trained`: a frozen encoder draws nothing, in training neither."""
        return output if self.frozen else super().as_trained(output, x, corrupted)

    @override
    def step(self, x: Tensor, corrupted: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        return self.backpropagate(x, corrupted, y)

    def terms_of(self, output: Output, x: Tensor, y: Tensor | None) -> dict[str, Term]:
        """See `Learner.terms_of`: the cross-entropy takes the place of reconstruction and bottleneck terms."""
        assert y is not None
        logits = self.classifier(output.code)
        penalties = self.penalties(self.model, self.clean(output, x), output, target=x)
        return {"classification": Term(F.cross_entropy(logits, y)), **penalties}

    @override
    def scores(self, output: Output, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """The share of samples that get their class, and the share that don't; of the code in use."""
        right = (self.classifier(output.code).argmax(1) == y).float().mean()
        return {"accuracy": right, "error": 1 - right}

    def auxiliary_networks(self) -> dict[str, nn.Module]:
        """The classifier."""
        return {**super().auxiliary_networks(), CLASSIFIER: self.classifier}

    def on_train_epoch_start(self) -> None:
        """A frozen encoder keeps still: no draws, no counts of its units."""
        super().on_train_epoch_start()
        if self.frozen:
            self.model.eval()
