"""Trials: the memory of a search, in a journal that a killed process leaves whole.

The journal is a file to which every process of the search appends a line for whatever it does (Optuna's
JournalStorage), so that jobs can report while they train, and the next start knows everything.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from hourglass.callbacks.pruning import Watch, open_journal
from hourglass.sweeps.search.settings import SearchSettings
from hourglass.sweeps.search.space import Space
from hourglass.system.errors import HourglassError
from hourglass.system.locks import claim

JOURNAL = "journal.log"
CUT_OFF = "cut off"


class Trials:
    """Asks for points and is told what became of them.

    Args:
        folder: where the journal is, or will be.
        settings: of the search.
        space: what is searched.
    """

    def __init__(self, *, folder: Path, settings: SearchSettings, space: Space) -> None:
        self.folder = folder
        self.settings = settings
        self.space = space
        folder.mkdir(parents=True, exist_ok=True)
        self.study = optuna.create_study(
            storage=open_journal(folder / JOURNAL),
            study_name=folder.name,
            directions=settings.directions,  # type: ignore[arg-type]
            pruner=settings.make_pruner(),
            load_if_exists=True,
        )
        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            # Its search ended without a word: nobody else may hold this journal now. It is tried again, as another.
            running = Trial(self.study, trial._trial_id)
            running.set_user_attr("reason", CUT_OFF)
            self.study.tell(running, state=TrialState.FAIL)
            self.study.enqueue_trial(trial.params)

    @classmethod
    @contextmanager
    def opened(cls, *, folder: Path, settings: SearchSettings, space: Space) -> "Iterator[Trials]":
        """Within, no other process goes on with this search.

        Raises:
            HourglassError: one does already.
        """
        with claim("search", place=str(folder.absolute()), wait=False) as mine:
            if not mine:
                raise HourglassError(f"this search is running already, in another process: {folder}")
            yield cls(folder=folder, settings=settings, space=space)

    @property
    def ended(self) -> list[FrozenTrial]:
        """Those that ended, well or not, by number; what was cut off is tried again and doesn't count."""
        return [
            trial
            for trial in self.study.get_trials(deepcopy=False)
            if trial.state.is_finished() and trial.user_attrs.get("reason") != CUT_OFF
        ]

    @property
    def failed(self) -> int:
        """How many failed."""
        return sum(trial.state == TrialState.FAIL for trial in self.ended)

    @property
    def total(self) -> int:
        """How many there will be: a grid may hold fewer points than are asked for."""
        return min(self.settings.n_trials, len(self._grid())) if self._is_grid else self.settings.n_trials

    def ask(self, at_most: int) -> list[Trial]:
        """The next trials, none if the search is at its end."""
        done = len(self.ended)
        count = min(at_most, self.total - done)
        if self._is_grid:
            self._enqueue(count)
        self.study.sampler = self.settings.make_sampler(done)
        distributions = {key: dimension.distribution for key, dimension in self.space.dimensions.items()}
        return [self.study.ask(distributions) for _ in range(count)]

    def watch(self, trial: Trial) -> Watch | None:
        """What a job needs to report as this trial; None where nothing is pruned."""
        if self.settings.pruner == "none":
            return None
        same = self.settings.prune_direction == self.settings.directions[0]
        return Watch(
            journal=str((self.folder / JOURNAL).absolute()),
            study=self.folder.name,
            trial=trial._trial_id,
            metric=self.settings.prune_on,
            sign=1.0 if same else -1.0,
            pruner=self.study.pruner,
        )

    def tell(self, trial: Trial, values: Sequence[float], *, run_id: str, pruned: bool, failure: str | None) -> None:
        """How a trial ended.

        Args:
            trial: as `ask` gave it.
            values: one for each objective; none of one that failed or was pruned.
            run_id: of its run; empty where there is none.
            pruned: whether it was stopped early.
            failure: why it failed, in one line.
        """
        if failure is None and not pruned:
            bad = [
                f"{name} is {value}"
                for name, value in zip(self.settings.objectives, values, strict=True)
                if not math.isfinite(value)
            ]
            failure = ", ".join(bad) or None
        for name, note in (("run_id", run_id), ("reason", failure), ("pruned", pruned)):
            if note:
                trial.set_user_attr(name, note)
        if failure is not None:
            self.study.tell(trial, state=TrialState.FAIL)
        elif pruned:
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, list(values))

    def best(self) -> list[FrozenTrial]:
        """The best trial, or with several objectives all that no other is better than in every respect."""
        if not any(trial.state == TrialState.COMPLETE for trial in self.ended):
            return []
        if len(self.settings.objectives) == 1:
            return [self.study.best_trial]
        return sorted(self.study.best_trials, key=lambda trial: trial.values)

    @property
    def _is_grid(self) -> bool:
        return self.settings.sampler == "grid"

    def _grid(self) -> list[dict[str, Any]]:
        values = [dimension.values or [] for dimension in self.space.dimensions.values()]
        return [dict(zip(self.space.dimensions, point, strict=True)) for point in itertools.product(*values)]

    def _enqueue(self, count: int) -> None:
        """See that so many points of the grid wait to be asked for."""
        known = self.study.get_trials(deepcopy=False)
        taken = [trial.params for trial in known if trial.user_attrs.get("reason") != CUT_OFF]
        taken += [trial.system_attrs.get("fixed_params", {}) for trial in known]
        waiting = sum(trial.state == TrialState.WAITING for trial in known)
        for point in [point for point in self._grid() if point not in taken][: max(0, count - waiting)]:
            self.study.enqueue_trial(point)
