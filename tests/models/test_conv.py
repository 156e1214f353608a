"""Convolutional models: sizes and values by hand, and what is refused."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from hourglass.activations import activation as build_activation
from hourglass.bottlenecks import Deterministic
from hourglass.models import Conv
from hourglass.models.upsampling import DoublingConv2d


def conv(**changed: Any) -> Conv:
    torch.manual_seed(0)
    given = {
        "shape": (1, 28, 28),
        "code_size": None,
        "depth": 3,
        "widths": [16, 8, 8],
        "decoder_widths": None,
        "dense_widths": [],
        "decoder_dense_widths": None,
        "kernel_size": 3,
        "downsampling": "pooling",
        "upsampling": "nearest",
        "decoder_padding": None,
        "unit_norm": False,
        "activation": "relu",
        "output_activation": "sigmoid",
        "bottleneck": partial(Deterministic, activation="relu"),
    }
    return Conv(**{**given, **changed})


def sides(model: Conv) -> tuple[list[int], list[int]]:
    """Heights of the maps through the encoder and through the decoder, changes only."""
    passed: dict[str, list[int]] = {"encoder": [], "decoder": []}
    for part, heights in passed.items():
        for layer in getattr(model, part):
            layer.register_forward_hook(
                lambda _module, _given, out, heights=heights: heights.append(out.shape[2]) if out.ndim == 4 else None
            )
    model(torch.rand(2, *model.shape))

    def changes(heights: list[int]) -> list[int]:
        return [side for at, side in enumerate(heights) if at == 0 or side != heights[at - 1]]

    return changes(passed["encoder"]), changes(passed["decoder"])


def count(model: Conv) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("changed", "encoder", "decoder"),
    [
        ({}, [28, 14, 7, 4], [4, 7, 14, 28]),  # 8 is cut to 7
        ({"decoder_padding": ["same", "same", "valid", "same"]}, [28, 14, 7, 4], [4, 8, 16, 14, 28]),
        ({"depth": 2, "widths": [32, 32]}, [28, 14, 7], [7, 14, 28]),
        ({"depth": 5, "widths": [4] * 5}, [28, 14, 7, 4, 2, 1], [1, 2, 4, 7, 14, 28]),
        ({"shape": (3, 9, 7), "depth": 2, "widths": [4, 4]}, [9, 5, 3], [3, 5, 9]),
        ({"depth": 0, "widths": None}, [28], [28]),
        ({"upsampling": "transposed"}, [28, 14, 7, 4], [4, 7, 14, 28]),
        ({"downsampling": "stride"}, [14, 7, 4], [4, 7, 14, 28]),  # the convolutions themselves halve
    ],
)
def test_sizes(changed: dict[str, Any], encoder: list[int], decoder: list[int]) -> None:
    assert sides(conv(**changed)) == (encoder, decoder)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        # 3x3 kernels: 1-16: 160, 16-8: 1160, 8-8: 584 | 8-8: 584, 8-8: 584, 8-16: 1168, 16-1: 145
        ({}, 4385),
        ({"decoder_padding": ["same", "same", "valid", "same"]}, 4385),
        # 1-32: 320, 32-32: 9248 | 32-32: 9248 twice, 32-1: 289
        ({"depth": 2, "widths": [32, 32]}, 28_353),
        ({"depth": 2, "widths": [32, 32], "upsampling": "transposed"}, 28_353),
        # two dense layers around a code of 10: 128*10 + 10 and 10*128 + 128
        ({"code_size": 10}, 4385 + 1290 + 1408),
        # 128-16-10 and 10-16-128: 2064 + 170, 176 + 2176
        ({"code_size": 10, "dense_widths": [16]}, 4385 + 2234 + 2352),
        # the decoder without
        ({"code_size": 10, "dense_widths": [16], "decoder_dense_widths": []}, 4385 + 2234 + 1408),
        # 1-1 on each side
        ({"depth": 0, "widths": None}, 20),
    ],
)
def test_parameters_by_hand(changed: dict[str, Any], expected: int) -> None:
    assert count(conv(**changed)) == expected


def test_widths_null_are_16_then_8() -> None:
    assert count(conv(widths=None)) == count(conv(widths=[16, 8, 8]))
    assert conv(depth=1, widths=None).code_size == 16 * 14 * 14


@pytest.mark.parametrize(("code_size", "expected"), [(None, 8 * 4 * 4), (10, 10), (128, 128)])
def test_code_size(code_size: int | None, expected: int) -> None:
    model = conv(code_size=code_size)
    assert model.code_size == expected
    assert model(torch.rand(2, 1, 28, 28)).code.shape == (2, expected)


@pytest.mark.parametrize("upsampling", ["nearest", "transposed"])
def test_forward_by_hand(upsampling: str) -> None:
    # 1x1 kernels: convolve 2 a + 1, pool, relu; convolve and double; convolve 3 c - 1.
    model = conv(shape=(1, 2, 2), depth=1, widths=[1], kernel_size=1, upsampling=upsampling, output_activation="linear")
    with torch.no_grad():
        for parameter, number in zip(model.parameters(), (2.0, 1.0, 0.5, 0.25, 3.0, -1.0), strict=True):
            parameter.fill_(number)
    output = model(torch.tensor([[[[0.0, 1.0], [-3.0, 0.5]]]]))
    # largest of 1, 3, -5, 2 is 3; the stage of the decoder makes .5*3 + .25 = 1.75 of it
    assert output.code.tolist() == [[3.0]]
    # nearest: 1.75 four times, 3*1.75 - 1 = 4.25; transposed, with stride 2 under a 1x1 kernel: 1.75 at one place and
    # the bias .25 at the others, 3*.25 - 1 = -.25
    expected = {"nearest": [[4.25, 4.25], [4.25, 4.25]], "transposed": [[4.25, -0.25], [-0.25, -0.25]]}
    assert output.reconstruction[0, 0].tolist() == expected[upsampling]


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_pooling_before_a_monotone_activation_changes_nothing(activation: str) -> None:
    model = conv(activation=activation, bottleneck=partial(Deterministic, activation=activation))
    x = a = torch.rand(3, 1, 28, 28)
    for layer in model.encoder:  # type: ignore[attr-defined]
        if isinstance(layer, nn.Conv2d):  # activate first, as the documents do
            a = nn.functional.max_pool2d(model.bottleneck.activation(layer(a)), 2, ceil_mode=True)
    torch.testing.assert_close(model.encode(x), a.flatten(1))


@pytest.mark.parametrize("activation", ["gelu", "silu"])
def test_an_activation_that_falls_somewhere_comes_before_pooling(activation: str) -> None:
    """gelu(-1) < gelu(-3): the largest of the activations is not the activation of the largest."""
    model = conv(activation=activation, code_size=10, bottleneck=partial(Deterministic, activation="linear"))
    x = a = torch.randn(3, 1, 28, 28)
    convolutions = [layer for layer in model.encoder if isinstance(layer, nn.Conv2d)]  # type: ignore[attr-defined]
    for convolution in convolutions:
        a = nn.functional.max_pool2d(build_activation(activation)(convolution(a)), 2, ceil_mode=True)
    torch.testing.assert_close(model.encode(x), model.encoder[-1](a.flatten(1)))  # type: ignore[index]
    assert len(conv(activation=activation, decoder_widths=[8, 16, 8]).stages()) == 3
    # Where the map is the code, the last stage's activation is the bottleneck's.
    whole = conv(activation=activation, bottleneck=partial(Deterministic, activation="linear"))
    layers = list(whole.encoder)  # type: ignore[call-overload]
    assert [type(layer) for layer in layers[-3:]] == [nn.Conv2d, nn.MaxPool2d, nn.Flatten]
    assert sum(isinstance(layer, type(build_activation(activation))) for layer in layers) == 2


def test_the_code_of_a_map_is_that_map() -> None:
    model = conv()
    code = model.encode(torch.rand(2, 1, 28, 28))
    unflattened = model.decoder[0](code)  # type: ignore[index]
    assert unflattened.shape == (2, 8, 4, 4)
    assert torch.equal(unflattened.flatten(1), code)


def test_unit_norm_of_a_dense_code() -> None:
    model = conv(code_size=10, unit_norm=True)
    torch.testing.assert_close(model.decoder[0].weight.norm(dim=0), torch.ones(10))
    assert count(model) == count(conv(code_size=10))


@pytest.mark.parametrize(
    ("changed", "lengths"),
    [
        ({"depth": 2, "widths": [32, 32]}, [6, 4]),
        ({"depth": 2, "widths": [32, 32], "code_size": 10}, [6, 4, 4]),
        ({"widths": [16, 8, 4], "decoder_widths": [8, 16, 5]}, [6, 4, 4]),
        ({"widths": [4] * 3, "upsampling": "transposed", "shape": (3, 9, 7)}, [6, 4, 4]),
        ({"depth": 0, "widths": None}, [4]),
        ({"depth": 0, "widths": None, "code_size": 3}, [4, 4]),
        ({"depth": 1, "widths": None}, [6]),
        ({"depth": 2, "widths": [32, 32], "code_size": 10, "dense_widths": [16]}, [6, 4, 8]),
    ],
)
def test_stages(changed: dict[str, Any], lengths: list[int]) -> None:
    model = conv(**changed).eval()
    stages = model.stages()
    assert [len(stage.parameters) for stage in stages] == lengths
    assert {id(p) for stage in stages for p in stage.parameters} == {id(p) for p in model.parameters()}
    z = x = torch.rand(2, *model.shape)
    for stage in stages:
        assert stage.decode(stage.encode(z)).shape == z.shape
        z = stage.encode(z)
    torch.testing.assert_close(z, model.encode(x))
    for stage in reversed(stages):
        z = stage.decode(z)
    torch.testing.assert_close(z, model(x).reconstruction)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, r"decoder_widths must start with \[8, 16\], before a last .* widths \[16, 8, 8\], got \[8, 8, 16\]"),
        (
            {"widths": [8, 8, 8], "decoder_padding": ["same", "same", "valid", "same"]},
            "decoder_padding must be null for a model of stages, got .*",
        ),
    ],
)
def test_no_stages(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        conv(**changed).stages()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shape": (18,)}, r"a convolution needs images \(channels, height, width\), got rows of shape \(18,\);.*"),
        ({"unit_norm": True}, "unit_norm needs a dense code: set code_size, got null"),
        ({"depth": -1}, r"depth must be from 0 to 5 for images of 28x28 .*, got -1"),
        ({"depth": 6}, r"depth must be from 0 to 5 for images of 28x28 .*, got 6"),
        ({"kernel_size": 2}, "kernel_size must be odd and at least 1, got 2"),
        ({"kernel_size": -1}, "kernel_size must be odd and at least 1, got -1"),
        ({"downsampling": "mean"}, "downsampling must be one of pooling, stride, got 'mean'"),
        ({"upsampling": "bilinear"}, "upsampling must be one of nearest, transposed, got 'bilinear'"),
        ({"widths": [16]}, r"widths must list one width for each of depth=3 stages or be null, got \[16\]"),
        ({"decoder_widths": [8]}, r"decoder_widths must list one width .*, got \[8\]"),
        ({"code_size": 10, "dense_widths": [0]}, r"dense_widths must be at least 1, got \[0\]"),
        ({"dense_widths": [16]}, r"dense_widths need a dense code: set code_size, got null and \[16\]"),
        ({"widths": [16, 8, 0]}, r"widths must be at least 1, got \[16, 8, 0\]"),
        ({"code_size": 129}, "code_size must be from 1 to 128, the values of the last stage's 8x4x4 map, .*, got 129"),
        ({"code_size": 0}, "code_size must be from 1 to 128, .*, got 0"),
        ({"decoder_padding": ["valid"]}, r"decoder_padding must list same or valid .* 4 convolutions .*'valid'\]"),
        ({"decoder_padding": ["same", "same", "same", "full"]}, r"decoder_padding must list same or valid .*'full'\]"),
        (
            {"decoder_padding": ["same", "same", "same", "valid"]},
            r"decoder_padding \[.*\] leads to images of 30x30, the input has 28x28",
        ),
        (
            {"upsampling": "transposed", "decoder_padding": ["same", "same", "valid", "same"]},
            "decoder_padding valid goes with upsampling nearest, got transposed",
        ),
    ],
)
def test_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        conv(**changed)


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
def test_a_doubling_convolution_is_the_convolution_of_the_doubled_image(kernel_size: int) -> None:
    layer = DoublingConv2d(4, 3, kernel_size).double()
    c = torch.randn(2, 4, 7, 9, dtype=torch.float64)
    doubled = torch.nn.functional.interpolate(c, scale_factor=2, mode="nearest")
    plain = torch.nn.functional.conv2d(doubled, layer.weight, layer.bias, padding=kernel_size // 2)
    torch.testing.assert_close(layer(c), plain, rtol=1e-12, atol=1e-12)
