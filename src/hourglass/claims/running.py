"""The arms of claims, trained and measured: what is recorded already is not made again."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from hourglass.claims.claim import Arm, Claim
from hourglass.claims.measuring import Measurement, measure
from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_multirun
from hourglass.configuration.identity import config_hash
from hourglass.configuration.overrides import explain
from hourglass.pipeline.known import known_run, measuring, warn_of_changed_data
from hourglass.sweeps.axes import key_of, said_last
from hourglass.sweeps.composing import Composer, make_job
from hourglass.sweeps.job import End, Job
from hourglass.sweeps.settings import Settings
from hourglass.sweeps.slots import execute
from hourglass.sweeps.sweep import sweep
from hourglass.system.errors import HourglassError
from hourglass.tracking import initialise_store, resolve_uri
from hourglass.tracking.search import digest_of

__all__ = ["Found", "Place", "run", "trainings"]

log = logging.getLogger("hourglass")

PLAIN = "~callback.pictures"
"""Nobody looks at the pictures of a hundred runs; they take longer than the training of a small net."""


class Found(NamedTuple):
    """What the runs of some claims say."""

    values: dict[str, dict[int, dict[str, Mapping[str, float]]]]
    """By claim, seed and arm the metrics."""
    failures: dict[str, str]
    """By claim why an arm has none, in one line."""


class Place(NamedTuple):
    """One arm of a claim with one seed."""

    claim: str
    arm: str
    seed: int


def run(claims: Sequence[Claim], *, name: str, command: str, words: Sequence[str] = ()) -> Found:
    """Train and measure what the claims ask for.

    Args:
        claims: each with arms.
        name: of the study that holds their trainings.
        command: how they were asked for.
        words: of all trainings, as `tracking.uri=...` and `sweep.workers=2`; they replace those of the claims.

    Raises:
        HourglassError: words that can't be composed, with the claim and the arm; nothing is trained then.
    """
    with compose_multirun([f"study={name}", *words]) as (context, config):
        _ = config.hydra.sweep.dir  # has the time in it, which from now on is that of all jobs
        jobs = trainings(claims, Composer(context, config), words)
        ends, settings = _train(
            _together(jobs), config, name=name, command=command, claims=[claim.name for claim in claims]
        )
    found = Found({}, {})
    for place, job in jobs.items():
        end = ends[job.key]
        if end.failure is not None:
            found.failures.setdefault(place.claim, f"arm {place.arm}, seed {place.seed}: {end.failure}")
        else:
            found.values.setdefault(place.claim, {}).setdefault(place.seed, {})[place.arm] = end.metrics
    _measure(claims, {place: ends[job.key].run_id for place, job in jobs.items()}, config, settings, found)
    return found


def trainings(claims: Sequence[Claim], composer: Composer, words: Sequence[str] = ()) -> dict[Place, Job]:
    """The jobs of all arms that are trained, with every seed.

    Raises:
        HourglassError: words that can't be composed, with the claim and the arm.
    """
    jobs: dict[Place, Job] = {}
    for claim in claims:
        for arm, spec in claim.arms.items():
            if _is_trained(spec):
                for seed in claim.seeds:
                    jobs[Place(claim.name, arm, seed)] = _job(composer, claim, arm, seed, len(jobs), words)
    return jobs


def _is_trained(arm: Arm) -> bool:
    return arm.evaluate is None and arm.measure is None


def _job(composer: Composer, claim: Claim, arm: str, seed: int, number: int, words: Sequence[str]) -> Job:
    own = claim.arms[arm].words
    all_words = said_last([*claim.words, *own, *words, f"seed={seed}"])
    chooses = any(key_of(word) in ("callback", "callback.pictures") for word in all_words)
    try:
        composed = composer.compose([*all_words, *([] if chooses else [PLAIN])], number)
        return make_job(composed, {"seed", *map(key_of, own)})
    except (HourglassError, HydraException, OmegaConfBaseException) as error:
        said = str(error) if isinstance(error, HourglassError) else explain(error)
        raise HourglassError(f"{claim.name}.yaml, arm {arm}: {said}") from error


def _train(
    jobs: Sequence[Job], config: DictConfig, *, name: str, command: str, claims: Sequence[str]
) -> tuple[dict[str, End], Settings]:
    """How each job ended, by its key: found in the store, or now trained as a sweep."""
    settings: Settings = build(config.sweep)
    uri = resolve_uri(config.tracking.uri)
    initialise_store(uri)
    ends = {} if settings.rerun else _finished(jobs, uri)
    left = [job for job in jobs if job.key not in ends]
    if ends:
        log.info("%d of %d trainings are recorded already", len(ends), len(jobs))
    if left:
        # What is measured makes another study: one takes its finished jobs by what they trained, whatever they lack of
        # what is asked for now. That of all jobs, those found too, so that the same command goes on with its study.
        measured = {job.key: _measurements(job) for job in jobs}
        _, trained = sweep(
            left,
            settings,
            varied=_axes(left),
            identity=config_hash({"claims": sorted(claims), "measured": measured}),
            name=name,
            command=command,
            folder=Path(config.hydra.sweep.dir).absolute(),
        )
        ends |= trained
    return ends, settings


def _measurements(job: Job) -> dict[str, Any]:
    """The callbacks that record numbers of a job."""
    callbacks = job.config["callback"]
    return {name: callbacks[name] for name in measuring(callbacks)}


def _together(jobs: Mapping[Place, Job]) -> list[Job]:
    """Each training once, measured by all that any of its claims asks for: callbacks make no other training."""
    found: dict[str, Job] = {}
    first: dict[str, Place] = {}
    for place, job in jobs.items():
        known = found.setdefault(job.key, job)
        first.setdefault(job.key, place)
        try:
            both = _both(known.config["callback"], job.config["callback"])
        except ValueError as error:
            one = first[job.key]
            raise HourglassError(
                f"{one.claim}, arm {one.arm}, and {place.claim}, arm {place.arm}, are the same training, measured in"
                f" two ways: {error}"
            ) from error
        if both != known.config["callback"]:
            found[job.key] = replace(job, config={**job.config, "callback": both})
    return list(found.values())


def _both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The callbacks of two jobs, what is a list in both with the entries of both.

    Raises:
        ValueError: another value that they don't have in common.
    """
    found = {**one, **other}
    for name in one.keys() & other.keys() & measuring(one):
        for key, value in one[name].items():
            asked = other[name][key]
            if isinstance(value, list):
                found[name] = {**found[name], key: [*value, *(each for each in asked if each not in value)]}
            elif value != asked:
                raise ValueError(f"callback.{name}.{key} is {value} and {asked}")
    return found


def _finished(jobs: Sequence[Job], uri: str) -> dict[str, End]:
    """The jobs whose runs are recorded, with all measurements that they ask for."""
    known = {job.key: known_run(uri, job.key, job.config["callback"]) for job in jobs}
    ends = {
        key: End(run_id=run.info.run_id, metrics=dict(run.data.metrics), digest=digest_of(run))
        for key, run in known.items()
        if run is not None
    }
    warn_of_changed_data((job.config["data"], ends[job.key].digest) for job in jobs if job.key in ends)
    return ends


def _axes(jobs: Sequence[Job]) -> dict[str, list[str]]:
    """What differs between jobs, of all that some of them says."""
    keys = dict.fromkeys(key_of(word) for job in jobs for word in job.words if not word.startswith("~"))
    keys = dict.fromkeys(key for key in keys if key not in ("study", "name"))
    points = [job.point(list(keys)) for job in jobs]
    found = {key: list(dict.fromkeys(point[key] for point in points)) for key in keys}
    return {key: values for key, values in found.items() if len(values) > 1}


def _measure(
    claims: Sequence[Claim], runs: Mapping[Place, str], config: DictConfig, settings: Settings, found: Found
) -> None:
    """Measure models anew, each in a process of its own, and add what was found."""
    uri, experiment = resolve_uri(config.tracking.uri), config.tracking.experiment
    asked: dict[Place, Measurement] = {}
    for claim in (claim for claim in claims if claim.name not in found.failures):
        for arm, spec in claim.arms.items():
            if not _is_trained(spec):
                for seed in claim.seeds:
                    run_id = runs[Place(claim.name, spec.of, seed)] if spec.of is not None else None
                    asked[Place(claim.name, arm, seed)] = Measurement(
                        uri,
                        experiment,
                        run_id,
                        spec.evaluate,
                        spec.measure,
                        seed,
                        f"{claim.name} {arm}",
                        claim.folder,
                        again=settings.rerun,
                    )
    if not asked:
        return
    places = list(asked)
    slots = settings.slots(accelerator="cpu", jobs=len(places))
    log.info("claims: %d measurements of what was trained, %d at a time", len(places), len(slots))
    for done, outcome in enumerate(execute(measure, list(asked.values()), slots=slots), start=1):
        place = places[outcome.job]
        if outcome.failure is not None:
            found.failures.setdefault(place.claim, f"arm {place.arm}, seed {place.seed}: {outcome.failure}")
            log.error("%s, arm %s: %s", place.claim, place.arm, outcome.failure)
        else:
            found.values.setdefault(place.claim, {}).setdefault(place.seed, {})[place.arm] = outcome.value
            log.info("measured %s %s seed=%d (%d of %d)", place.claim, place.arm, place.seed, done, len(places))
