"""SearchSettings of a search: what they refuse, and how large a batch is."""

from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from hourglass.configuration.groups import conf_dir
from hourglass.sweeps.search.settings import SearchSettings
from hourglass.sweeps.search.space import parse
from hourglass.system.errors import HourglassError


def settings(**changed: Any) -> SearchSettings:
    held = yaml.safe_load((conf_dir() / "hydra/sweeper/hourglass_optuna.yaml").read_text())
    del held["_target_"]
    return SearchSettings(**{**held, **changed})


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"n_trials": 0}, "n_trials must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"reduction_factor": 1}, "reduction_factor must be at least 2, got 1"),
        ({"objective": []}, "objective must be one or several different names"),
        ({"direction": "down"}, "direction must be minimize or maximize, got 'down'"),
        ({"objective": ["a/b", "c/d", "e/f"], "direction": ["minimize"] * 2}, "one for all 3 objectives or one for"),
        ({"objective": ["a/b", "c/d"], "pruner": "median"}, "pruner=median compares trials by one objective, got 2"),
    ],
)
def test_a_mistake_is_refused(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        settings(**changed)


def test_one_direction_serves_all_objectives() -> None:
    assert settings(objective=["a/b", "c/d"]).directions == ["minimize"] * 2
    assert settings(objective=["a/b", "c"], direction=["maximize", "minimize"]).directions == ["maximize", "minimize"]


@pytest.mark.parametrize(
    ("changed", "places", "stack", "expected"),
    [
        ({"sampler": "tpe", "n_trials": 20}, 2, 1, 2),  # every core has a job
        ({"sampler": "tpe", "n_trials": 4}, 2, 1, 2),
        ({"sampler": "tpe", "n_trials": 1}, 2, 1, 1),
        ({"sampler": "tpe", "n_trials": 100}, 1, 64, 20),  # a stack, but five batches to learn from
        ({"sampler": "tpe", "n_trials": 1000}, 1, 64, 64),
        ({"sampler": "random", "n_trials": 50}, 2, 1, 50),
        ({"sampler": "grid", "n_trials": 50}, 2, 1, 50),
        ({"sampler": "nsga2", "n_trials": 50, "startup_trials": 12}, 2, 1, 12),
        ({"sampler": "tpe", "n_trials": 50, "batch_size": 7}, 2, 1, 7),
    ],
)
def test_the_size_of_a_batch(changed: dict[str, Any], places: int, stack: int, expected: int) -> None:
    assert settings(**changed).batch(places=places, stack=stack) == expected


@pytest.mark.parametrize(
    ("changed", "words", "reason"),
    [
        ({"sampler": "grid"}, ["a=interval(1,2)"], "sampler=grid: a=interval(1,2) is continuous and has no grid"),
        ({"sampler": "cmaes"}, ["a=1,2", "b=x,y"], "sampler=cmaes moves through numbers"),
        ({"sampler": "cmaes", "objective": ["a/b", "c/d"]}, ["a=interval(1,2)"], "sampler=cmaes has one objective"),
    ],
)
def test_a_sampler_needs_its_space(changed: dict[str, Any], words: list[str], reason: str) -> None:
    space = parse(OverridesParser.create().parse_overrides(words))
    with pytest.raises(HourglassError) as caught:
        settings(**changed).check(space)
    assert reason in str(caught.value)
