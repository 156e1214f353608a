"""Pruning: a job tells its search how good it is after every epoch, and stops where others were better.

It writes to the search's journal itself, from whatever process it is in, and asks the pruner there and then. What is
stopped is a run like any other, FINISHED and tested, trained less long, as by patience; its tag `pruned` says so.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytorch_lightning as pl

from hourglass.system.errors import HourglassError, nearest
from hourglass.tracking.logger import run_of

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.storages import JournalStorage


class Watch(NamedTuple):
    """What a job needs to report as a trial; it can be sent to another process."""

    journal: str
    """Path of the search's journal, absolute."""
    study: str
    """Its name in there."""
    trial: int
    """The trial's id in there."""
    metric: str
    """What is reported, of the validation."""
    sign: float
    """1, or -1 where a larger value is better and the objective is minimised, or the other way round."""
    pruner: "BasePruner"
    """What decides."""


def open_journal(path: Path) -> "JournalStorage":
    """The memory of a search in this file, which is made if it is missing; Optuna says no more than errors."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return JournalStorage(JournalFileBackend(str(path)))


class Pruning(pl.Callback):
    """Reports after every validation, and stops the training when the pruner says so.

    Args:
        watch: as what it reports, and where.

    Raises:
        HourglassError: no journal there, as on another machine; a metric that the validation does not measure.
    """

    def __init__(self, *, watch: Watch) -> None:
        import optuna

        if not Path(watch.journal).exists():
            raise HourglassError(
                f"hydra.sweeper.pruner needs a folder that all machines share, and {watch.journal} is not here: set"
                " hydra.sweeper.folder, or hydra.sweeper.pruner=none"
            )
        self.watch = watch
        study = optuna.load_study(
            study_name=watch.study,
            storage=open_journal(Path(watch.journal)),
            pruner=watch.pruner,
        )
        self.trial = optuna.trial.Trial(study, watch.trial)
        self.pruned: int | None = None
        """The epoch after which it stopped the training."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Report, and ask."""
        measured = trainer.callback_metrics
        if self.watch.metric not in measured:
            known = sorted(name for name in measured if name.startswith("val/"))
            raise HourglassError(
                f"hydra.sweeper.prune_on={self.watch.metric} is not measured after an epoch"
                f"{nearest(self.watch.metric, known)}; measured are {', '.join(known)}"
            )
        epochs = trainer.current_epoch + 1
        self.trial.report(self.watch.sign * float(measured[self.watch.metric]), epochs)
        if pl_module.steps_done < pl_module.steps and self.trial.should_prune():
            self.pruned = epochs
            trainer.should_stop = True
            run_of(trainer).set_tags({"pruned": f"epoch {epochs}, step {pl_module.steps_done}"})
