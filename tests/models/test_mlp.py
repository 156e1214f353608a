"""Fully connected models: sizes by hand, and what is refused."""

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from hourglass.bottlenecks import Deterministic
from hourglass.models import MLP
from hourglass.models.mlp import taper


def mlp(**changed: Any) -> MLP:
    torch.manual_seed(0)
    given = {
        "shape": (1, 28, 28),
        "code_size": 64,
        "depth": 0,
        "widths": None,
        "decoder_widths": None,
        "activation": "relu",
        "output_activation": "sigmoid",
        "bottleneck": partial(Deterministic, activation="relu"),
    }
    return MLP(**{**given, **changed})


def widths_of(module: nn.Module) -> list[int]:
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    assert all(before.out_features == after.in_features for before, after in pairwise(layers))
    return [layers[0].in_features, *(layer.out_features for layer in layers)]


def parameters_of(*sizes: int) -> int:
    return sum(fan_in * fan_out + fan_out for fan_in, fan_out in pairwise(sizes))


@pytest.mark.parametrize(
    ("inputs", "code_size", "depth", "expected"),
    [
        (784, 64, 0, []),
        # 784 (64/784)^(1/2) = sqrt(784 * 64) = 224
        (784, 64, 1, [224]),
        # 784 (64/784)^(1/3) = 784 * .433848 = 340.1, then 147.6
        (784, 64, 2, [340, 148]),
        (1000, 1, 2, [100, 10]),
        (16, 256, 1, [64]),  # overcomplete: it widens
        (64, 64, 3, [64, 64, 64]),
        (2, 1, 3, [2, 1, 1]),  # 1.68, 1.41, 1.19: never below 1
    ],
)
def test_taper_by_hand(inputs: int, code_size: int, depth: int, expected: list[int]) -> None:
    assert taper(inputs, code_size, depth) == expected


@pytest.mark.parametrize(
    ("changed", "encoder", "decoder"),
    [
        ({}, [784, 64], [64, 784]),
        ({"depth": 1, "widths": [128]}, [784, 128, 64], [64, 128, 784]),
        ({"depth": 2}, [784, 340, 148, 64], [64, 148, 340, 784]),
        ({"depth": 2, "widths": [500, 250], "decoder_widths": [300]}, [784, 500, 250, 64], [64, 300, 784]),
        ({"depth": 1, "widths": [128], "decoder_widths": []}, [784, 128, 64], [64, 784]),
        ({"shape": (18,), "code_size": 3, "depth": 1, "widths": [9]}, [18, 9, 3], [3, 9, 18]),
    ],
)
def test_layers(changed: dict[str, Any], encoder: list[int], decoder: list[int]) -> None:
    model = mlp(**changed)
    assert widths_of(model.encoder) == encoder
    assert widths_of(model.decoder) == decoder
    assert sum(p.numel() for p in model.parameters()) == parameters_of(*encoder) + parameters_of(*decoder)


def test_parameters_of_the_documents() -> None:
    # 784*64 + 64 + 64*784 + 784 = 101,200;  784-128-64-128-784: 218,192
    assert sum(p.numel() for p in mlp().parameters()) == 101_200
    assert sum(p.numel() for p in mlp(depth=1, widths=[128]).parameters()) == 218_192


def test_forward_by_hand() -> None:
    model = mlp(shape=(2,), code_size=1, output_activation="linear")
    with torch.no_grad():
        for parameter, numbers in zip(
            model.parameters(), ([[2.0, -1.0]], [0.5], [[3.0], [-2.0]], [0.0, 1.0]), strict=True
        ):
            parameter.copy_(torch.tensor(numbers))
    output = model(torch.tensor([[1.0, 0.5], [0.0, 4.0]]))
    # h = relu(2*1 - .5 + .5) = 2 and relu(-4 + .5) = 0;  r = (3 h, 1 - 2 h)
    assert output.code.tolist() == [[2.0], [0.0]]
    assert output.reconstruction.tolist() == [[6.0, -3.0], [0.0, 1.0]]
    assert output.losses == {}


def test_activation_stands_between_layers_and_not_at_an_end() -> None:
    model = mlp(depth=2, activation="tanh")
    kinds = [type(layer) for layer in model.encoder]  # type: ignore[attr-defined]
    assert kinds == [nn.Flatten, nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    assert isinstance(model.output_activation, nn.Sigmoid)


def test_weights_start_glorot_uniform_and_biases_at_zero() -> None:
    weight, bias = mlp().encoder.parameters()
    bound = (6 / (784 + 64)) ** 0.5
    assert weight.abs().max().item() == pytest.approx(bound, rel=1e-3)
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert not bias.any()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"code_size": -3}, "code_size must be at least 1, got -3"),
        ({"code_size": 0, "depth": 2}, "code_size must be at least 1, got 0"),
        ({"depth": -1}, "depth must be at least 0, got -1"),
        ({"depth": 2, "widths": [128]}, "widths must list one width for each of depth=2 .*, got \\[128\\]"),
        ({"depth": 0, "widths": [128]}, "widths must list one width for each of depth=0 .*, got \\[128\\]"),
        ({"depth": 1, "widths": [0]}, "widths must be at least 1, got \\[0\\]"),
        ({"decoder_widths": [-5]}, "decoder_widths must be at least 1, got \\[-5\\]"),
        ({"depth": 1, "activation": "swish"}, "activation must be one of .*, got 'swish'"),
        ({"output_activation": "swish"}, "output_activation must be one of .*, got 'swish'"),
    ],
)
def test_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        mlp(**changed)
