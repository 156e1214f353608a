"""Models of arms measured anew: by `hourglass evaluate`, or by a function of one's own; both leave a run.

    def sharper(model, data, *, seed, radius=2) -> dict[str, float]

is such a function: `model` the trained model (`hourglass.load`) and `data` its data set where the arm is `of` another;
without, it is called with the seed and its own arguments alone.
"""

import logging
import math
import sys
from collections.abc import Mapping
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

    @property
    def key(self) -> str:
        """The hash of it."""
        own = {"evaluate": list(self.evaluate)} if self.evaluate is not None else {"measure": self.measure}
        return config_hash({"run": self.run_id, "seed": self.seed, **own})


def measure(asked: Measurement) -> dict[str, float]:
    """The metrics, found recorded or measured now.

    Raises:
        HourglassError: see `hourglass.pipeline.evaluate`; a function that can't be had, or answers no numbers.
    """
    known = search_runs(asked.uri, None, f"tags.`{_ASKED}` = '{asked.key}' AND attributes.status = 'FINISHED'")
    if known:
        return dict(known[0].data.metrics)
    trained = None if asked.run_id is None else Trained.of(asked.run_id, uri=asked.uri)
    if asked.evaluate is not None:
        assert trained is not None
        # As the arm's own training was measured, which says what the claim goes by.
        run, metrics = evaluate.measure(trained, asked.evaluate, besides=())
        run.set_tags({_ASKED: asked.key})
        return metrics
    assert asked.measure is not None
    arguments = {key: value for key, value in asked.measure.items() if key != "_target_"}
    tags = {"kind": "measurement", _ASKED: asked.key}
    params = flatten({"measure": asked.measure, "seed": asked.seed})
    if trained is None:
        opened = Run.start(uri=asked.uri, experiment=asked.experiment, name=asked.name, tags=tags, params=params)
    else:
        opened = trained.run.start_below(name=asked.name, tags=tags, params=params)
    with opened as run:
        if asked.folder not in sys.path:
            sys.path.append(asked.folder)
        function = located(asked.measure["_target_"], "measure")
        given: list[Any] = []
        if trained is not None:
            given = [trained.in_own_units, _data(trained.config)]
        values = function(*given, seed=asked.seed, **arguments)
        run.log_metrics(_numbers(values, asked.measure["_target_"]), step=0)
    return dict(run.metrics)


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
