"""Which recorded runs answer for a training, in a real store."""

from pathlib import Path
from typing import Any

import pytest

from hourglass.pipeline.known import known_run
from hourglass.tracking import Run

PROBED: dict[str, Any] = {
    "progress": {"_target_": "hourglass.callbacks.Progress"},
    "usefulness": {"_target_": "u", "probe_samples": 500, "probes": ["knn"], "likelihood_draws": None},
    "loss_recovered": {"_target_": "l", "host": {"_target_": "h", "path": "a.safetensors"}},
}
PARAMS = {
    "callback.usefulness._target_": "u",
    "callback.usefulness.probe_samples": "500",
    "callback.usefulness.probes": "[knn, linear]",
    "callback.usefulness.likelihood_draws": "null",
    "callback.loss_recovered._target_": "l",
    "callback.loss_recovered.host._target_": "h",
    "callback.loss_recovered.host.path": "a.safetensors",
}


def recorded(uri: str, *, changed: dict[str, str | None], tags: dict[str, str]) -> str:
    """The id of a finished run of the training "some"; a param that is changed to None is left out."""
    params = {key: value for key, value in {**PARAMS, **changed}.items() if value is not None}
    tags = {"machine.config_hash": "some", **tags}
    with Run.start(uri=uri, experiment="e", name="r", tags=tags, params=params) as run:
        pass
    return run.id


@pytest.mark.parametrize(
    ("changed", "tags", "found"),
    [
        ({}, {}, True),
        ({"callback.usefulness.probe_samples": "10000"}, {}, False),
        ({"callback.usefulness.likelihood_draws": "100"}, {}, False),
        ({"callback.usefulness.probes": "[linear]"}, {}, False),
        ({"callback.usefulness.probes": "null"}, {}, False),
        ({"callback.usefulness._target_": None}, {}, False),
        ({"callback.loss_recovered.host.path": "b.safetensors"}, {}, False),
        # Of before the key: it has all probes that there are.
        ({"callback.usefulness.probes": None}, {}, True),
        ({}, {"pruned": "epoch 1, step 1"}, False),
        ({}, {"machine.config_hash": "other"}, False),
    ],
)
def test_a_run_answers_for_its_training_if_it_was_measured_as_asked(
    tmp_path: Path, changed: dict[str, str | None], tags: dict[str, str], found: bool
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    run_id = recorded(uri, changed=changed, tags=tags)
    known = known_run(uri, "some", PROBED)
    assert (known is not None and known.info.run_id) == (found and run_id)


def test_of_several_runs_the_latest_that_answers_is_found(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    recorded(uri, changed={}, tags={})
    latest = recorded(uri, changed={}, tags={})
    recorded(uri, changed={}, tags={"pruned": "epoch 1, step 1"})
    known = known_run(uri, "some", PROBED)
    assert known is not None
    assert known.info.run_id == latest
