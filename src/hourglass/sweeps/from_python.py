"""A sweep from Python, on arrays in memory: `hourglass train -m` in the words of `hourglass.fit`.

    hourglass.sweep(x, code_size=[2, 8], seed=[0, 1])  is  hourglass train -m data=arrays model.code_size=2,8 seed=0,1

A list is an axis; several at once, which are one value, stand in a tuple. The processes of the jobs read the arrays
from files (`data.handed_over`), and record them by their digest.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from hourglass.configuration.composition import compose_multirun
from hourglass.configuration.hydra_internals import BasicSweeper
from hourglass.configuration.overrides import parse
from hourglass.data.given_arrays import Given
from hourglass.data.handed_over import hand_over
from hourglass.pipeline.fit import Overrides, choice_word, data_of, given_as, value_word, words_of
from hourglass.sweeps.axes import key_of
from hourglass.sweeps.hydra_jobs import Batch, run
from hourglass.system import process
from hourglass.system.errors import HourglassError
from hourglass.system.messages import heard
from hourglass.system.passwords import without_passwords
from hourglass.system.undone import undone
from hourglass.tracking import search_runs
from hourglass.tracking.machine import CONFIG_HASH
from hourglass.tracking.mlflow_internals import PARENT
from hourglass.tracking.retries import import_mlflow

if TYPE_CHECKING:
    from pandas import DataFrame

TOGETHER = ("callback",)
"""Groups whose choices make no other job: a list of them means all of them."""


def sweep(
    x: Any,
    y: Any,
    *,
    target: Any = None,
    validation: Any,
    test: Any,
    choices: Mapping[str, Any],
    values: Mapping[str, Any],
    names: Mapping[str, str],
    overrides: Overrides,
    tracking: str | None,
    folder: str | PathLike[str] | None,
) -> "DataFrame":
    """Train one model for each combination; see `hourglass.sweep`.

    Args:
        x: samples.
        y: their labels.
        target: what is to be made of them; None: they themselves.
        validation: an own validation set.
        test: an own test set.
        choices: of the groups, by their names.
        values: by dotted key; None is left to the choices.
        names: what columns call dotted keys.
        overrides: words of the command line, or values by their keys, where a list is an axis and a tuple a list.
        tracking: `mlflow`, or `none` or None to keep nothing.
        folder: where the files of jobs go; None: as on the command line, nowhere that stays with `tracking=None`.

    Raises:
        HourglassError: a mistake that all jobs share, in one line.
    """
    if tracking not in ("mlflow", "none", None):
        raise HourglassError(
            f"tracking must be one of mlflow, none, got {tracking!r}; another store: overrides={{'tracking.uri': ...}}"
        )
    with undone(), process.sigterm_raises(), ExitStack() as stack:
        stack.enter_context(heard())
        given = given_as(x, y, validation=validation, test=test, target=target)
        words = ["data=arrays"]
        words += [word for group, choice in choices.items() if (word := _choices(group, choice)) is not None]
        words += words_of({key: value for key, value in values.items() if value is not None}, _word)
        if given.samples.columns is not None:  # as data=csv does
            words.append("data.scaling=minmax")
        words += words_of(overrides, _word)
        asked = [word for word in words if word != "data=arrays"]
        kept = tracking == "mlflow"
        if not kept:
            place = stack.enter_context(tempfile.TemporaryDirectory())
            words.append(value_word("tracking.uri", f"sqlite:///{place}/mlflow.db"))
            folder = folder or place
        if folder is not None:
            words.append(value_word("hydra.sweep.dir", Path(folder).absolute()))
        context, config = stack.enter_context(compose_multirun(words))
        _check(config)
        _ = config.hydra.sweep.dir  # has the time in it, which from now on is that of all jobs
        jobs = _combinations(context, config)
        import_mlflow()
        digest = stack.enter_context(hand_over({name: each for name, each in given._asdict().items() if each}))
        parts = {"y": y, "target": target, "validation": validation, "test": test}
        command = _call([key for key, each in parts.items() if each is not None], asked)
        batch = run(
            context, config, jobs, 0, prepare=_Digests(given, len(jobs)), also={"arrays": digest}, command=command
        )
        several = overrides if isinstance(overrides, list | tuple) else [overrides]
        given_by_key = [choices, values, *(each for each in several if isinstance(each, Mapping))]
        listed = {key_of(key) for each in given_by_key for key, value in each.items() if _is_axis(value)}
        return _frame(batch, listed - set(TOGETHER), names, kept=kept)


# Words


def _word(key: str, value: Any) -> str:
    """`{"optimizer.lr": [1e-3, 1e-2]}` to `optimizer.lr=0.001,0.01`."""
    if not _is_axis(value):
        return value_word(key, value)
    return _joined(key, [value_word(key, each) for each in value])


def _choices(group: str, choice: Any) -> str | None:
    if choice is None:
        return None
    if not _is_axis(choice) or group in TOGETHER:
        return choice_word(group, choice)
    return _joined(group, [choice_word(group, each) for each in choice])


def _is_axis(value: Any) -> bool:
    return isinstance(value, list | range) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _joined(key: str, words: Sequence[str]) -> str:
    if not words:
        raise HourglassError(f"{key} must have at least one value, got none")
    return f"{key}={','.join(word.partition('=')[2] for word in words)}"


# Jobs


def _check(config: DictConfig) -> None:
    """HourglassError where something else is asked for than a sweep on the arrays."""
    _check_data(config)
    made = config.hydra.runtime.choices
    for group in ("hydra/launcher", "hydra/sweeper"):
        if made[group] != "hourglass":
            raise HourglassError(
                f"{group}={made[group]}: hourglass.sweep has lists as axes, in processes of this machine; the command"
                f" line has: hourglass train -m {group}={made[group]}"
            )
    if config.sweep.engine != "local":
        raise HourglassError(
            f"sweep.engine must be local, got {config.sweep.engine}: arrays in memory reach this machine only; save"
            " them with numpy.savez, and the command line has data=npz"
        )


def _check_data(config: DictConfig) -> None:
    data = config.hydra.runtime.choices["data"]
    if data != "arrays" or config.resume:
        said = "resume" if config.resume else f"data={data}"
        raise HourglassError(f"{said}: hourglass.sweep trains anew, on x; the command line has: hourglass train {said}")


def _combinations(context: Any, config: DictConfig) -> list[list[str]]:
    """The words of each job, as Hydra's own sweeper combines them."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    axes = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]  # of a recipe
    parser = OverridesParser.create(config_loader=context.config_loader)
    (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides([*axes, *config.hydra.overrides.task]), None)
    return jobs


class _Digests:
    """Writes into each job's configuration what the arrays are, as `hourglass.fit` does.

    A split that can't be made leaves it to the job's process to say so; where no split can, nothing is tried.
    """

    def __init__(self, given: Given, jobs: int) -> None:
        self.given = given
        self.left = jobs
        self.known: dict[str, dict[str, Any]] = {}
        self.refused: dict[str, HourglassError] = {}

    def __call__(self, config: DictConfig) -> None:
        _check_data(config)  # which may be an axis too
        self.left -= 1
        which = json.dumps(OmegaConf.to_container(config.data, resolve=True), sort_keys=True)
        if which not in self.known and which not in self.refused:
            try:
                data_of(config, self.given)
            except HourglassError as error:
                self.refused[which] = error
            else:
                self.known[which] = {key: config.data[key] for key in ("digest", "sizes", "range")}
        if which in self.known:
            config.data.update(self.known[which])
        if not self.left and not self.known:
            raise next(iter(self.refused.values()))


def _call(parts: Sequence[str], words: Sequence[str]) -> str:
    """How a sweep was asked for: `hourglass.sweep(x, y=y, overrides=['seed=0,1'])`."""
    arguments = ["x", *(f"{part}={part}" for part in parts), f"overrides={list(words)}"]
    return without_passwords(f"hourglass.sweep({', '.join(arguments)})")


# What is answered


def _frame(batch: Batch, listed: set[str], names: Mapping[str, str], *, kept: bool) -> "DataFrame":
    """One row per job: axes, status, metrics, run, error."""
    import pandas

    axes = [key for key in dict.fromkeys(map(key_of, batch.words[0])) if key in batch.varied or key in listed]
    runs = _failed_runs(batch) if kept else {}
    rows = {}
    for job, words in zip(batch.jobs, batch.words, strict=True):
        end = batch.ends[job.key]
        said = {key_of(word): word for word in words}
        status = "FINISHED" if end.failure is None else "REFUSED" if end.refused else "FAILED"
        run_id = (end.run_id or runs.get(job.key)) if kept else None
        rows[job.key] = {
            **{names.get(axis, axis): _value(said[axis]) for axis in axes},
            "status": status,
            **{key: end.metrics[key] for key in sorted(end.metrics)},
            "run": run_id,
            "error": end.failure,
        }
    last = ("run", "error")
    columns = dict.fromkeys(key for row in rows.values() for key in row if key not in last)
    frame = pandas.DataFrame(list(rows.values()), columns=[*columns, *last])
    frame[list(last)] = frame[list(last)].astype(object).where(frame[list(last)].notna(), None)
    if kept:
        frame.attrs["study"] = batch.study.id
    return frame


def _value(word: str) -> Any:
    """The value of an override, `masking,gaussian` of several choices."""
    value = parse(word).value()
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _failed_runs(batch: Batch) -> dict[str, str]:
    """The runs of jobs that failed, by their keys; of several the latest."""
    if not any(end.failure is not None and not end.refused for end in batch.ends.values()):
        return {}
    children = search_runs(batch.study.uri, None, f"tags.`{PARENT}` = '{batch.study.id}'")
    inorder = sorted(children, key=lambda each: each.info.start_time)
    return {run.data.tags.get(CONFIG_HASH, ""): run.info.run_id for run in inorder}
