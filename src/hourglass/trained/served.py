"""A trained model as MLflow serves it: logged into its run, with signature, and registered under a name.

    hourglass register RUN NAME
    mlflow models serve -m models:/NAME/1 --env-manager local
    curl .../invocations -d '{"inputs": [...]}'       answers {"predictions": [...]}

Samples go in and come out as `hourglass.load` takes and gives them: images as floats in the range of the training data,
rows of a table in its own units.
"""

from typing import Any

from hourglass.system.errors import HourglassError
from hourglass.tracking import log_model
from hourglass.tracking.model import check_name
from hourglass.tracking.shared import SharedRun
from hourglass.trained.export import random_samples
from hourglass.trained.load import Trained
from hourglass.trained.table_model import in_own_units

__all__ = ["about", "log_and_register"]


def log_and_register(trained: Trained, *, name: str, gives: str = "reconstruction") -> str:
    """Log the model of a run, and make it a new version of a registered model.

    Args:
        trained: the run and its model.
        name: of the registered model.
        gives: what it answers with, `reconstruction` or `code`.

    Returns:
        its address, `models:/NAME/VERSION`.

    Raises:
        HourglassError: a name that can't be; the run lies in a folder, which no registry knows.
    """
    check_name(name, key="NAME")
    if isinstance(trained.run, SharedRun):
        raise HourglassError(f"{trained.run.uri} is no run of the store: hourglass pull makes it one")
    return log_model(
        trained.run,
        in_own_units(trained.model, trained.scaling, trained.target),
        random_samples(trained.inputs, 2),
        name="model" if gives == "reconstruction" else gives,
        gives=gives,
        register=name,
        about=about(trained.range, trained.columns, in_units=trained.scaling is not None),
    )


def about(known: tuple[float, float], columns: tuple[str, ...] | None, *, in_units: bool) -> dict[str, Any]:
    """What an MLflow model says of the samples that it takes and gives."""
    return {"units": "the table's own", "columns": list(columns or ())} if in_units else {"range": list(known)}
