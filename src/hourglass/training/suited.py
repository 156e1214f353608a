"""Which training procedures learn from what a data set holds besides plain samples."""

from hourglass.data import Dataset
from hourglass.system.errors import HourglassError
from hourglass.training.closed_form import ClosedForm
from hourglass.training.learner import Learner

__all__ = ["check_disturbed", "check_suited"]


def check_suited(data: Dataset, learner: Learner) -> None:
    """Raise HourglassError where a procedure would take categories or missing entries for numbers, or draw nothing.

    Categories and missing entries are known to the loss: a step must go down that alone, as those of a stack do.
    """
    procedure = type(learner).__name__
    if data.targets is not None and not learner.any_target:
        raise HourglassError(
            f"data={data.name} has targets of its own, and {procedure} learns from samples alone: set training=backprop"
        )
    if (data.categories or data.masked) and not getattr(learner, "stackable", False):
        why = "data.categorical: columns of names" if data.categories else "data.missing=mask: entries that are missing"
        instead = "data.exclude" if data.categories else "data.missing=mean"
        raise HourglassError(
            f"{why} need a procedure that trains on the loss alone, as training=backprop, got {procedure}; or {instead}"
        )
    if data.levels is None:
        return
    if isinstance(learner, ClosedForm):
        raise HourglassError(f"data.binarize must be static or none for {procedure}, which sees its samples once")
    if learner.noise.frozen:
        raise HourglassError(
            "noise.frozen must be false with data.binarize=dynamic, whose images are others in every epoch, got true"
        )


def check_disturbed(learner: Learner) -> None:
    """Raise HourglassError where a regularizer disturbs a code that the procedure doesn't decode, to no effect."""
    if learner.penalties.disturbing and not learner.decodes_disturbed:
        raise HourglassError(
            f"regularizer={learner.penalties.disturbing[0]} disturbs the code, and {type(learner).__name__} decodes"
            " something else while it trains: leave it out, or set training=backprop"
        )
