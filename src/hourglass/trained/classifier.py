"""A classifier that was trained on the code by `training=finetune`, ready for use.

With the encoder f and the head that stands on its code,

    logits = head(f(x)),    P(class | x) = softmax(logits)
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from hourglass.system.errors import HourglassError
from hourglass.tracking import weights
from hourglass.trained.load import Trained
from hourglass.trained.model import TrainedModel
from hourglass.training.head import Head

HEAD = "classifier.safetensors"
FINETUNE = "hourglass.training.Finetune"
"""The procedure that trains one."""


class Classifier(nn.Module):
    """Encoder and head: samples to classes.

    Args:
        autoencoder: whose code is classified; one of a scaled table takes rows in the table's own units.
        head: codes (B, code_size) to logits (B, classes).
        classes: names of the classes, in the order of the logits, where the data had any.
    """

    def __init__(self, *, autoencoder: TrainedModel, head: Head, classes: tuple[str, ...] | None = None) -> None:
        super().__init__()
        self.classes = classes
        self.autoencoder = autoencoder
        self.head = head

    @classmethod
    def of(cls, trained: Trained) -> "Classifier":
        """The classifier of a run, in evaluation mode.

        Raises:
            HourglassError: the run trained none.
        """
        run, training = trained.run, trained.config.training._target_
        if training != FINETUNE:
            raise HourglassError(
                f"run {run.name} ({run.id}) trained no classifier, which takes training=finetune, got {training}"
            )
        head = run.read_file(HEAD, lambda path: Head.of(weights.read(path)))
        if (units := next(head.parameters()).shape[1]) != trained.model.code_size:
            raise HourglassError(
                f"run {run.name} ({run.id}) holds a damaged {HEAD}: it takes codes of {units} units, the model's have"
                f" {trained.model.code_size}"
            )
        return cls(autoencoder=trained.in_own_units, head=head, classes=trained.classes).eval()

    def forward(self, x: Any, *, range: str | Sequence[float] | None = None) -> Tensor:
        """What the autoencoder takes, see `TrainedModel.encode`, to logits (B, classes)."""
        logits: Tensor = self.head(self.autoencoder.encode(x, range=range))
        return logits

    def probabilities(self, x: Any, *, range: str | Sequence[float] | None = None) -> Tensor:
        """The same to the probability of each class, (B, classes), rows of sum 1."""
        return self.forward(x, range=range).softmax(dim=1)
