"""Models of arms measured anew: by `hourglass evaluate`, or by a function of one's own; both leave a run.

    def sharper(model, data, *, seed, radius=2) -> dict[str, float]

is such a function: `model` the trained model (`hourglass.load`) and `data` its data set where the arm is `of` another;
without, it is called with the seed and its own arguments alone.
"""

import hashlib
import inspect
import logging
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from hourglass.configuration.build import build
from hourglass.configuration.identity import config_hash
from hourglass.configuration.schema import located
from hourglass.data import Dataset
from hourglass.pipeline import evaluate
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run, flatten, search_runs
from hourglass.trained.load import Trained

__all__ = ["Measurement", "measure"]

log = logging.getLogger("hourglass")

_ASKED = "machine.measurement"
"""Tag of a measurement's run: the hash of what was asked for."""


class Measurement(NamedTuple):
    """What is measured; it can be sent to another process."""

    uri: str
    experiment: str
    run_id: str | None
    """The model's; None: there is none."""
    evaluate: tuple[str, ...] | None
    measure: dict[str, Any] | None
    seed: int
    name: str
    folder: str
    """Where a function of one's own is looked for, beside the current folder."""
    again: bool = False
    """Whether it is measured though it is recorded."""

    @property
    def key(self) -> str:
        """The hash of it, and of the file that its function is written in, which may change; raises as `function`."""
        own: dict[str, Any] = {"evaluate": list(self.evaluate)} if self.evaluate is not None else {}
        if self.measure is not None:
            own = {"measure": self.measure, "source": _source(self.function())}
        return config_hash({"run": self.run_id, "seed": self.seed, **own})

    def function(self) -> Callable[..., Any]:
        """What `measure` names; HourglassError where it can't be had."""
        assert self.measure is not None
        if self.folder not in sys.path:
            sys.path.append(self.folder)
        return located(self.measure["_target_"], "measure")


def measure(asked: Measurement) -> dict[str, float]:
    """The metrics, found recorded or measured now.

    Raises:
        HourglassError: see `hourglass.pipeline.evaluate`; a function that can't be had, or answers no numbers.
    """
    key = asked.key
    known = search_runs(asked.uri, None, f"tags.`{_ASKED}` = '{key}' AND attributes.status = 'FINISHED'")
    if known and not asked.again:
        return dict(known[0].data.metrics)
    trained = None if asked.run_id is None else Trained.of(asked.run_id, uri=asked.uri)
    if asked.evaluate is not None:
        assert trained is not None
        # As the arm's own training was measured, which says what the claim goes by.
        run, metrics = evaluate.measure(trained, asked.evaluate, besides=())
        run.set_tags({_ASKED: key})
        return metrics
    assert asked.measure is not None
    arguments = {key: value for key, value in asked.measure.items() if key != "_target_"}
    tags = {"kind": "measurement", _ASKED: key}
    params = flatten({"measure": asked.measure, "seed": asked.seed})
    if trained is None:
        opened = Run.start(uri=asked.uri, experiment=asked.experiment, name=asked.name, tags=tags, params=params)
    else:
        opened = trained.run.start_below(name=asked.name, tags=tags, params=params)
    with opened as run:
        given: list[Any] = []
        if trained is not None:
            given = [trained.in_own_units, _data(trained.config)]
        values = asked.function()(*given, seed=asked.seed, **arguments)
        run.log_metrics(_numbers(values, asked.measure["_target_"]), step=0)
    return dict(run.metrics)


def _source(function: Callable[..., Any]) -> str:
    """The hash of the file that it is written in; empty where there is none to be read, as of a builtin."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
        return "" if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except (TypeError, OSError):
        return ""


def _data(config: DictConfig) -> Dataset:
    data: Dataset = build(OmegaConf.create(config).data, Dataset)
    return data


def _numbers(values: object, target: str) -> dict[str, float]:
    if not isinstance(values, Mapping) or not values:
        raise HourglassError(f"{target} must return numbers by name, got {values!r}")
    numbers = {str(key): float(value) for key, value in values.items()}
    for key, value in numbers.items():
        if not math.isfinite(value):
            raise HourglassError(f"{target} must return numbers, got {key}={value}")
    return numbers
