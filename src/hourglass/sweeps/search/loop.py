"""The loop of a search: ask for a batch, train it, tell what became of it, until there are trials enough."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import configure_log, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from optuna.trial import Trial

from hourglass.configuration.build import build
from hourglass.configuration.identity import config_hash
from hourglass.sweeps.composing import Composer, command_of, make_job, study_name
from hourglass.sweeps.job import End, Job
from hourglass.sweeps.search.report import TESTED, say, show, track
from hourglass.sweeps.search.settings import SearchSettings
from hourglass.sweeps.search.space import Space, parse
from hourglass.sweeps.search.trials import Trials
from hourglass.sweeps.sweep import SweepFailed, studying, train_all
from hourglass.system.errors import HourglassError, nearest
from hourglass.system.passwords import redacted
from hourglass.tracking import flatten

log = logging.getLogger("hourglass")

_RESUMABLE = ("_target_", "n_trials", "batch_size", "folder", "params")


def search(context: HydraContext, config: DictConfig, arguments: list[str]) -> None:
    """Search as `config.hydra.sweeper` says.

    Args:
        context: as Hydra gives it to a sweeper.
        config: of the multirun.
        arguments: overrides, of which some name a space instead of a value.

    Raises:
        HourglassError: a mistake, before anything is trained; an objective that no run measures, after the first batch.
        SweepFailed: trials failed; the search came to its end all the same.
    """
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    keys: Any = OmegaConf.to_container(config.hydra.sweeper)
    keys["_target_"] = "hourglass.sweeps.search.settings.SearchSettings"
    settings: SearchSettings = build(OmegaConf.create({"hydra": {"sweeper": keys}}).hydra.sweeper)
    if not str(config.hydra.launcher._target_).endswith("HourglassLauncher"):
        raise HourglassError(
            "hydra/sweeper=hourglass_optuna needs hydra/launcher=hourglass, which tells how jobs ended, got"
            f" {config.hydra.runtime.choices['hydra/launcher']}; one after another is sweep.workers=1"
        )
    words = [*(f"{key}={value}" for key, value in settings.params.items()), *arguments]
    space = parse(OverridesParser.create(config_loader=context.config_loader).parse_overrides(words))
    settings.check(space)
    # One job, to know that every key is one, and what all of them have in common.
    some = {key: dimension.some for key, dimension in space.dimensions.items()}
    composer = Composer(context, config)
    whole = composer.compose(space.overrides(some), 0)
    example = make_job(whole, list(space.dimensions))
    _check_objectives(settings, example.config)
    common = composer.common(space.fixed)
    identity = _identity(settings, space, OmegaConf.to_container(common, resolve=False))  # type: ignore[arg-type]
    sweeping = build(whole.sweep)
    folder = Path(settings.folder) / identity
    if sweeping.rerun:
        raise HourglassError(f"sweep.rerun=true: a search is not repeated; set hydra.sweeper.seed, or delete {folder}")
    axes = {key: [dimension.written] for key, dimension in space.dimensions.items()}
    name = common.study or f"{study_name(whole, list(space.dimensions))} ({settings.sampler})"
    with (
        Trials.opened(folder=folder, settings=settings, space=space) as trials,
        studying(
            example.config,
            sweeping,
            jobs=settings.n_trials,
            varied=axes,
            identity=identity,
            name=name,
            command=command_of(config),
            folder=Path(whole.hydra.sweep.dir).absolute(),
        ) as study,
    ):
        parent, engine = study.run, study.engine
        log.info("%s: %d trials by %s, %d done before", name, trials.total, settings.sampler, len(trials.ended))
        size = settings.batch(places=engine.places, stack=sweeping.largest_stack(gpu=engine.gpu))
        while asked := trials.ask(size):
            jobs = [_job(composer, trials, trial) for trial in asked]
            what = f"trials {asked[0].number} to {asked[-1].number}" if len(asked) > 1 else f"trial {asked[0].number}"
            ends = train_all(jobs, sweeping, study=study, name=what)
            _check_measured(settings, ends)
            for trial, job in zip(asked, jobs, strict=True):
                _tell(trials, trial, job, ends[job.key])
            track(parent, trials)
        show(parent, trials)
        say(trials)
        log.info("study    %s in %s", parent.id, redacted(parent.uri))
        failure = SweepFailed(f"{trials.failed} of {len(trials.ended)} trials failed") if trials.failed else None
        if failure is not None:
            parent.fail(failure)
    if failure is not None:  # not within, where an error would cost the study its pictures and report
        raise failure


def _identity(settings: SearchSettings, space: Space, common: Mapping[str, Any]) -> str:
    """The name of a search: whatever is not among `_RESUMABLE` makes it another one."""
    same = {key: value for key, value in vars(settings).items() if key not in _RESUMABLE}
    searched = {key: repr(dimension.distribution) for key, dimension in sorted(space.dimensions.items())}
    return config_hash({**common, "search": same, "space": searched})


def _job(composer: Composer, trials: Trials, trial: Trial) -> Job:
    composed = composer.compose(trials.space.overrides(trial.params), trial.number)
    job = make_job(composed, list(trials.space.dimensions))
    return replace(job, choices={**job.choices, "trial": str(trial.number)}, watch=trials.watch(trial))


def _tell(trials: Trials, trial: Trial, job: Job, end: End) -> None:
    failure = end.failure
    values: list[float] = []
    if failure is None and TESTED in end.metrics:
        trial.set_user_attr(TESTED, end.metrics[TESTED])
    if failure is None and not end.pruned:
        found = {name: _value(name, job.config, end.metrics) for name in trials.settings.objectives}
        missing = [name for name, value in found.items() if value is None]
        failure = f"this run has no {', '.join(missing)}" if missing else None
        values = [value for value in found.values() if value is not None]
    trials.tell(trial, values, run_id=end.run_id, pruned=end.pruned, failure=failure)


def _value(name: str, config: Mapping[str, Any], metrics: Mapping[str, float]) -> float | None:
    """An objective of a job: a metric, or a key of its configuration; None where it has no such number."""
    value: Any = metrics.get(name)
    if "/" not in name:
        value = config
        for key in name.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _check_objectives(settings: SearchSettings, config: Mapping[str, Any]) -> None:
    """Those that are keys of the configuration must be there, and numbers."""
    for name in settings.objectives:
        if "/" in name:
            continue
        known = flatten(config)
        if name not in known:
            raise HourglassError(
                f"hydra.sweeper.objective={name} is no key of the configuration, and a metric has a / in its name"
                f"{nearest(name, [*known, 'fit/val_mse', 'test/mse', 'test/psnr', 'val/loss'])}"
            )
        if _value(name, config, {}) is None:
            raise HourglassError(f"hydra.sweeper.objective={name} must be a number, got {known[name]!r}")


def _check_measured(settings: SearchSettings, ends: Mapping[str, End]) -> None:
    """A metric that no run measures, or that pruning misses, is a mistake in the command, not in the trial."""
    for end in ends.values():
        if end.failure is not None and "hydra.sweeper." in end.failure:
            raise HourglassError(end.failure[end.failure.index("hydra.sweeper.") :])
    measured = [end.metrics for end in ends.values() if end.failure is None]
    known = sorted({name for metrics in measured for name in metrics})
    for name in settings.objectives:
        if measured and "/" in name and name not in known:
            raise HourglassError(f"hydra.sweeper.objective={name} is measured by no run{nearest(name, known)}")
