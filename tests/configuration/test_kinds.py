"""A part of another kind than its place is for is refused in one line, that names both."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import compose
from hourglass.pipeline.trainer import make_callbacks
from hourglass.system.errors import HourglassError

OWN = """
from torch import nn


class Layer(nn.Module):
    def __init__(self, *, code_size=1, shape=(), data_range=()):
        super().__init__()


def rows():
    return {"x": []}


def said() -> dict:
    return {}
"""
PLACES = {
    "noise.own": ({"_target_": "kindless.Layer"}, "hourglass.noise.process.Process"),
    "regularizer.own": ({"_target_": "kindless.Layer"}, "hourglass.regularizers.regularizer.Regularizer"),
    "model.bottleneck": (
        {"_target_": "kindless.Layer", "_partial_": True},
        "hourglass.bottlenecks.bottleneck.Bottleneck",
    ),
    "data": ({"_target_": "kindless.rows"}, "hourglass.data.dataset.Dataset, got a dict"),
    "model": ({"_target_": "kindless.Layer"}, "hourglass.models.autoencoder.Autoencoder, got a Layer"),
    "sampler": ({"_target_": "kindless.Layer"}, "hourglass.samplers.sampler.Sampler, got a Layer"),
    "loss": ({"_target_": "kindless.Layer"}, "hourglass.losses.loss.Loss, got a Layer"),
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kindless.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("key", PLACES)
def test_a_part_of_another_kind_is_refused(key: str) -> None:
    node, kind = PLACES[key]
    config, _ = compose_config(["data=digits"])
    OmegaConf.update(config, key, node, merge=False, force_add=True)
    with pytest.raises(HourglassError) as caught:
        compose(config)
    message = str(caught.value)
    assert message.startswith(f"{key}._target_=kindless.")
    assert message.endswith(kind)


@pytest.mark.usefixtures("own")
def test_what_a_function_says_it_returns_is_believed() -> None:
    config, _ = compose_config(["data=digits", "+noise.own._target_=kindless.said"])
    with pytest.raises(HourglassError, match=r"^noise\.own\._target_=kindless\.said must be an hourglass\.noise"):
        compose(config)


@pytest.mark.usefixtures("own")
def test_a_callback_is_lightnings() -> None:
    config, _ = compose_config(["+callback.own._target_=kindless.Layer"])
    with pytest.raises(HourglassError, match=r"^callback\.own must be a callback of Lightning"):
        make_callbacks(config.callback)
