"""Hourglass: a research pipeline for autoencoders.

model = hourglass.load(run_id)
code = model.encode(x)
classes = hourglass.load_classifier(run_id)(x).argmax(1)
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hourglass.trained.classifier import Classifier
    from hourglass.trained.model import TrainedModel


def load(run_id: str, *, uri: str | None = None, trust: Sequence[str] = ()) -> "TrainedModel":
    """The trained model of a run, in evaluation mode on the CPU.

    Executes nothing that was pickled, and builds nothing from the run's configuration but Hourglass's own models.

    It takes tensors, arrays and lists: images as floats in the range of the training data or as uint8 grey levels, rows
    in their table's own units. What has another shape, or lies far from the training data, is refused in one line; its
    `model` is the bare autoencoder, which checks and scales nothing. See `hourglass.trained.model`.

    Args:
        run_id: id of the run, a unique beginning of at least 6 digits, or its name.
        uri: tracking server or database; None: MLFLOW_TRACKING_URI, else mlflow.db in the current directory.
        trust: packages of your own, as `("mypkg",)`, whose classes the configuration may name too; so may those of
            the environment variable HOURGLASS_TRUST.

    Raises:
        ValueError: no such run, or one without weights; one that names what is not trusted.
    """
    # Here, so that importing the package stays instant.
    from hourglass.trained.load import Trained

    return Trained.of(run_id, uri=uri, trust=trust).in_own_units


def load_classifier(run_id: str, *, uri: str | None = None, trust: Sequence[str] = ()) -> "Classifier":
    """The classifier that a run of `training=finetune` trained, in evaluation mode on the CPU.

    It takes what the model of `load` takes: `classifier(x)` gives logits (B, classes), `classifier.probabilities(x)`
    their softmax. `load` gives the autoencoder of the same run, whose encoder it is.

    Args:
        run_id: see `load`.
        uri: see `load`.
        trust: see `load`.

    Raises:
        ValueError: no such run, or one that trained no classifier.
    """
    from hourglass.trained.classifier import Classifier
    from hourglass.trained.load import Trained

    return Classifier.of(Trained.of(run_id, uri=uri, trust=trust))
