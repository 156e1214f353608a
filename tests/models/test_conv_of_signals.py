"""Convolutions along one direction: sizes, the formula, and a training on signals with its curves."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import hourglass
from hourglass.bottlenecks import Deterministic
from hourglass.configuration.composition import compose_config
from hourglass.figures import signals
from hourglass.models import Conv
from hourglass.models.upsampling import DoublingConv1d, DoublingConv2d
from hourglass.pipeline.evaluate import evaluate
from hourglass.pipeline.train import train
from hourglass.system.errors import HourglassError


def conv(shape: tuple[int, ...], **changes: Any) -> Conv:
    settings: dict[str, Any] = {
        "code_size": None,
        "depth": 2,
        "widths": [4, 3],
        "decoder_widths": None,
        "dense_widths": [],
        "decoder_dense_widths": None,
        "kernel_size": 3,
        "downsampling": "pooling",
        "upsampling": "nearest",
        "decoder_padding": None,
        "unit_norm": False,
        "activation": "relu",
        "output_activation": "linear",
        "bottleneck": partial(Deterministic, activation="linear"),
    }
    return Conv(shape=shape, **{**settings, **changes})


@pytest.mark.parametrize("downsampling", ["pooling", "stride"])
@pytest.mark.parametrize("upsampling", ["nearest", "transposed"])
@pytest.mark.parametrize(("length", "inner"), [(16, 4), (13, 4), (17, 5)])
@pytest.mark.parametrize("code_size", [None, 5])
def test_any_length_comes_back_whole(
    downsampling: str, upsampling: str, length: int, inner: int, code_size: int | None
) -> None:
    model = conv((2, length), downsampling=downsampling, upsampling=upsampling, code_size=code_size)
    x = torch.randn(3, 2, length)
    output = model(x)
    assert output.reconstruction.shape == x.shape
    assert output.code.shape == (3, 3 * inner if code_size is None else 5)
    assert not any(isinstance(module, nn.Conv2d) for module in model.modules())
    output.reconstruction.sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_a_signal_is_an_image_of_one_row() -> None:
    """The doubling convolution of signals is that of images whose kernel has its weights in the middle row."""
    one, two = DoublingConv1d(2, 3, 3), DoublingConv2d(2, 3, 3)
    with torch.no_grad():
        two.weight.zero_()
        two.weight[:, :, 1] = one.weight
        two.bias.copy_(one.bias)  # type: ignore[union-attr, arg-type]
    c = torch.randn(2, 2, 5)
    assert one(c).allclose(two(c[:, :, None])[:, :, 0], atol=1e-6)
    assert one(c).allclose(F.conv1d(c.repeat_interleave(2, 2), one.weight, one.bias, padding=1), atol=1e-6)


def test_what_can_not_be(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"depth must be from 0 to 4 for signals of 16 \(each stage halves them\), got 5"
    ):
        conv((1, 16), depth=5, widths=None)
    with pytest.raises(ValueError, match=r"decoder_padding .* leads to signals of 14, the input has 16"):
        conv((1, 16), decoder_padding=["same", "same", "valid"])
    with pytest.raises(ValueError, match=r"rows of shape .* come by data=signals"):
        conv((16,))
    np.savez(tmp_path / "images.npz", x=np.zeros((9, 3, 4, 4), np.float32))
    config, _ = compose_config(["data=signals", f"data.path={tmp_path}/images.npz"])
    with pytest.raises(HourglassError, match=r"data.path must hold signals \(N, C, L\) or \(N, L\)"):
        hourglass.configuration.build.build(config.data)


def test_signals_are_trained_drawn_loaded_and_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "cache"))
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    random, time = np.random.default_rng(0), np.arange(30)
    phase = random.uniform(0, 6, size=(200, 2, 1))
    x = np.sin(time / 3 + phase).astype(np.float32)
    np.savez("waves.npz", x=x, y=(phase[:, 0, 0] > 3).astype(np.int64))
    words = ["data=signals", "data.path=waves.npz", "model=conv", "model.code_size=4", "model.depth=2", "loss=mse"]
    words += ["model.output_activation=linear", "bottleneck=gaussian", "loss.reduction=sum", "noise=gaussian"]
    words += [
        "training.epochs=8",
        "training.batch_size=16",
        "optimizer.lr=0.01",
        "name=waves",
        f"tracking.uri={uri}",
        "callback.pictures.every=100",
    ]
    config, choices = compose_config([*words, "callback.usefulness.probe_samples=50"])
    result = train(config, choices=choices, folder=tmp_path)
    assert result.parts.data.shape == (2, 30)
    assert result.metrics["test/explained_variance"] > 0
    assert "test/ssim" not in result.metrics
    assert (tmp_path / "reconstructions.png").exists()
    model = hourglass.load("waves", uri=uri)
    assert model.encode(x[:5]).shape == (5, 4)
    assert model.sample(3).shape == (3, 2, 30)
    with pytest.raises(HourglassError, match=r"the model takes \(N, 2, 30\)"):
        model.encode(x[:5, 0])
    with pytest.raises(HourglassError, match="column"):
        model.encode(x[:5] * 1000)
    _, measured = evaluate("waves", ["data=signals", "data.path=waves.npz", "noise=none"], uri=uri)
    assert measured["test/mse"] < result.metrics["test/mse"] * 1.5


def test_curves_of_signals() -> None:
    x = torch.randn(12, 4, 20)
    picture = signals(x, x + 1, x * 0.5, value_range=(-1, 1), caption="waves")
    assert "waves: original black, corrupted grey, output red, its MSE at the left" in picture.texts
    assert [text for text in picture.texts if text.startswith("channel")] == ["channel 1", "channel 2", "channel 3"]
    expected = f"{(x[0] * 0.5).square().mean().item():.4g}"
    assert expected in picture.texts
    assert signals(x, None, None, value_range=(-1, 1), caption="drawn").texts[0] == "drawn"
    with pytest.raises(ValueError, match=r"output must be signals \(n, C, L\)"):
        signals(x, None, x[:, 0], value_range=(-1, 1), caption="")
