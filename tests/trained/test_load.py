"""What a run left, read by another version than the one that recorded it."""

from typing import Any

import pytest
import torch
import yaml
from omegaconf import OmegaConf

import hourglass
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import compose
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run, initialise_store


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    initialise_store(uri)
    return uri


def recorded(
    uri: str,
    name: str,
    *words: str,
    without: tuple[str, str] | None = None,
    renamed: dict[str, str] | None = None,
    lacking: tuple[str, ...] = (),
) -> Run:
    """A run as an earlier version would have left it: without a key, its weights by other names or without some."""
    config, _ = compose_config(["data=digits", "model.code_size=3", *words])
    parts = compose(config)
    whole: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    if without is not None:
        del whole[without[0]][without[1]]
    weights = {
        (renamed or {}).get(key, key): value for key, value in parts.model.state_dict().items() if key not in lacking
    }
    with Run.start(
        uri=uri, experiment="hourglass", name=name, tags={"noise": "none", "data": "digits"}, params={}
    ) as run:
        run.log_text(yaml.safe_dump(whole), "config.yaml")
        run.log_weights(weights, metadata=parts.data.metadata)
    return run


def test_as_recorded(uri: str) -> None:
    recorded(uri, "now")
    assert hourglass.load("now", uri=uri)(torch.rand(2, 1, 8, 8)).code.shape == (2, 3)


def test_a_run_from_before_a_key_was_added(uri: str) -> None:
    run = recorded(uri, "old", "sampler=mixture", without=("sampler", "components"))
    with pytest.raises(
        HourglassError,
        match=rf"^run old \({run.id}\) was recorded by an earlier version without sampler\.components, which this one"
        " needs$",
    ):
        hourglass.load("old", uri=uri)


def test_a_run_from_before_a_key_that_has_a_default(uri: str) -> None:
    recorded(uri, "untied", without=("model", "tied"))
    assert hourglass.load("untied", uri=uri)(torch.rand(2, 1, 8, 8)).code.shape == (2, 3)


def test_a_key_that_only_a_measurement_needs(uri: str) -> None:
    from hourglass.pipeline.evaluate import evaluate

    recorded(uri, "older", without=("training", "patience"))
    assert hourglass.load("older", uri=uri).code_size == 3
    with pytest.raises(HourglassError, match=r"^run older .* without training\.patience, which this one needs$"):
        evaluate("older", [], uri=uri)


def test_weights_that_have_another_name_now(uri: str) -> None:
    run = recorded(uri, "renamed", renamed={"encoder.1.bias": "encoder.1.offset"})
    with pytest.raises(
        HourglassError, match=rf"^run renamed \({run.id}\) holds other weights in weights\.safetensors than .*offset"
    ):
        hourglass.load("renamed", uri=uri)


def test_weights_that_an_earlier_version_had_not_and_that_the_model_adds(uri: str) -> None:
    added = ("bottleneck.idle", "bottleneck.deviation")
    recorded(uri, "jumped", "bottleneck=jump_relu", lacking=added)
    loaded = hourglass.load("jumped", uri=uri)
    state = loaded.model.state_dict()
    assert state["bottleneck.idle"].tolist() == [0, 0, 0]
    assert state["bottleneck.deviation"].item() == 1
    recorded(uri, "cut", "bottleneck=jump_relu", lacking=("bottleneck.log_threshold",))
    with pytest.raises(HourglassError, match=r"nothing in place of bottleneck\.log_threshold \[3\]$"):
        hourglass.load("cut", uri=uri)
