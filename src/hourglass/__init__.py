"""Hourglass: a research pipeline for autoencoders.

model = hourglass.load(run_id)
code = model.encode(x)
classes = hourglass.load_classifier(run_id)(x).argmax(1)
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hourglass.classifier import Classifier
    from hourglass.models import Autoencoder
    from hourglass.table_model import TableModel


def load(run_id: str, *, uri: str | None = None, trust: Sequence[str] = ()) -> "Autoencoder | TableModel":
    """The trained model of a run, in evaluation mode on the CPU.

    Executes nothing that was pickled, and builds nothing from the run's configuration but Hourglass's own models.

    It takes and gives images as floats in [0, 1], rows in their table's own units: where the run scaled its table, the
    model scales what it is given and undoes that in its reconstructions (`TableModel`, whose `model` is the bare one).

    Args:
        run_id: id of the run, a unique beginning of at least 6 digits, or its name.
        uri: tracking server or database; None: MLFLOW_TRACKING_URI, else mlflow.db in the current directory.
        trust: packages of your own, as `("mypkg",)`, whose classes the configuration may name too; so may those of
            the environment variable HOURGLASS_TRUST.

    Raises:
        ValueError: no such run, or one without weights; one that names what is not trusted.
    """
    # Here, so that importing the package stays instant.
    from hourglass.trained import Trained

    return Trained.of(run_id, uri=uri, trust=trust).in_own_units


def load_classifier(run_id: str, *, uri: str | None = None, trust: Sequence[str] = ()) -> "Classifier":
    """The classifier that a run of `training=finetune` trained, in evaluation mode on the CPU.

    It takes what the model of `load` takes: `classifier(x)` gives logits (B, classes), `classifier.probabilities(x)`
    their softmax. `load` gives the autoencoder of the same run, whose encoder it is.

    Args:
        run_id, uri, trust: see `load`.

    Raises:
        ValueError: no such run, or one that trained no classifier.
    """
    from hourglass.classifier import Classifier
    from hourglass.trained import Trained

    return Classifier.of(Trained.of(run_id, uri=uri, trust=trust))
