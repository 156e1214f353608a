"""The Lightning side of a run: what a module's logger is given goes to `Run.log_metrics`, and nothing else.

The status of the run is not set here: Lightning calls `finalize` after the fit, before any test, and only the
owner of the run knows how all of it went.
"""

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning import Trainer
from pytorch_lightning.loggers.logger import Logger
from typing_extensions import override

from hourglass.tracking.run import Run


class RunLogger(Logger):
    """A Lightning logger that writes to `run`, on the first process only.

    Args:
        run: the open run. It stays open; its owner ends it.
    """

    exact = True
    """See `hourglass.training.batches.is_exact`."""

    def __init__(self, *, run: Run) -> None:
        super().__init__()
        self.run = run

    @property
    def name(self) -> str:
        """The experiment."""
        return self.run.experiment

    @property
    def version(self) -> str:
        """The run's id."""
        return self.run.id

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Adds points; a test's as values of the end. Lightning's own `epoch` is left out, a staircase."""
        ends = {key: value for key, value in metrics.items() if key.startswith("test/")}
        curves = {key: value for key, value in metrics.items() if key != "epoch" and key not in ends}
        if curves:
            self.run.log_metrics(curves, step or 0)
        if ends:
            self.run.log_end_values(ends, steps=step or 0)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run recorded the whole configuration when it started."""

    def save(self) -> None:
        """Nothing, though Lightning asks for it with every point: points are written together (see `points`)."""

    @rank_zero_only
    @override
    def finalize(self, status: str) -> None:
        self.run.flush()


def run_of(trainer: Trainer) -> Run:
    """The run that a trainer records into; for callbacks that are made before there is one."""
    assert isinstance(trainer.logger, RunLogger)
    return trainer.logger.run
