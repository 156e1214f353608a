"""Hourglass: a research pipeline for autoencoders.

model = hourglass.load(run_id)
code = model.encode(x)
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hourglass.models import Autoencoder


def load(run_id: str, *, uri: str | None = None) -> "Autoencoder":
    """The trained model of a run, in evaluation mode on the CPU. Executes nothing that was pickled.

    Args:
        run_id: id of the run, a unique beginning of at least 6 digits, or its name.
        uri: tracking server or database; None: MLFLOW_TRACKING_URI, else mlflow.db in the current directory.

    Raises:
        ValueError: no such run, or one without weights.
    """
    # Here, so that importing the package stays instant.
    from hourglass.apply import Trained

    return Trained.of(run_id, uri=uri).model
