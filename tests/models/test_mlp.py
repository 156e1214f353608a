"""Fully connected models: sizes by hand, and what is refused."""

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from hourglass.bottlenecks import Deterministic, Gaussian, JumpReLU
from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.models import MLP, Solvable
from hourglass.models.layers import TiedLinear
from hourglass.models.mlp import taper


def mlp(**changed: Any) -> MLP:
    torch.manual_seed(0)
    given = {
        "shape": (1, 28, 28),
        "code_size": 64,
        "depth": 0,
        "widths": None,
        "decoder_widths": None,
        "tied": False,
        "unit_norm": False,
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


def test_tied_weights_are_those_of_the_mirrored_layers() -> None:
    model = mlp(depth=1, widths=[128], tied=True)
    # 784*128 + 128 + 128*64 + 64 and the biases 128 + 784
    assert sum(p.numel() for p in model.parameters()) == 784 * 128 + 128 + 128 * 64 + 64 + 128 + 784
    down = [layer.weight for layer in model.encoder if isinstance(layer, nn.Linear)]
    up = [layer.weight for layer in model.decoder if isinstance(layer, TiedLinear)]
    assert torch.equal(up[0], down[1].T)
    assert torch.equal(up[1], down[0].T)


@pytest.mark.parametrize("tied", [False, True])
def test_unit_norm_is_that_of_the_code_units_weight_vectors(tied: bool) -> None:
    model = mlp(depth=1, widths=[128], tied=tied, unit_norm=True, output_activation="linear")
    torch.testing.assert_close(model.decoder[0].weight.norm(dim=0), torch.ones(64))
    assert isinstance(model.decoder[2], TiedLinear if tied else nn.Linear)


@pytest.mark.parametrize(
    ("changed", "lengths"),
    [
        ({}, [4]),
        ({"depth": 2}, [4, 4, 4]),
        ({"depth": 2, "tied": True}, [3, 3, 3]),
        ({"bottleneck": partial(Gaussian, beta=1.0, warmup_steps=0), "depth": 1}, [4, 4]),
        # the thresholds come last
        ({"bottleneck": partial(JumpReLU, weight=0.0, threshold=0.1, bandwidth=0.1), "depth": 1}, [4, 5]),
    ],
)
def test_stages(changed: dict[str, Any], lengths: list[int]) -> None:
    model = mlp(**changed).eval()
    stages = model.stages()
    assert [len(stage.parameters) for stage in stages] == lengths
    assert {id(p) for stage in stages for p in stage.parameters} == {id(p) for p in model.parameters()}
    z = x = torch.rand(3, 1, 28, 28)
    for stage in stages:
        assert stage.decode(stage.encode(z)).shape == z.shape
        z = stage.encode(z)
    assert torch.equal(z, model.encode(x))
    for stage in reversed(stages):
        z = stage.decode(z)
    assert torch.equal(z, model(x).reconstruction)


def test_a_stage_by_hand() -> None:
    (stage,) = mlp(shape=(2,), code_size=1, output_activation="linear").stages()
    with torch.no_grad():
        for parameter, numbers in zip(
            stage.parameters, ([[2.0, -1.0]], [0.5], [[3.0], [-2.0]], [0.0, 1.0]), strict=True
        ):
            parameter.copy_(torch.tensor(numbers))
    assert stage.encode(torch.tensor([[1.0, 0.5]])).tolist() == [[2.0]]  # as in test_forward_by_hand
    assert stage.decode(torch.tensor([[2.0]])).tolist() == [[6.0, -3.0]]


def test_what_is_no_mirror_image_has_no_stages() -> None:
    message = r"decoder_widths must be null or the mirror image \[250, 500\] for a model of stages, got \[300\]"
    with pytest.raises(ValueError, match=message):
        mlp(depth=2, widths=[500, 250], decoder_widths=[300]).stages()


def test_a_model_for_gradients_has_no_closed_form() -> None:
    assert not isinstance(mlp(), Solvable)


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
        (
            {"tied": True, "depth": 1, "widths": [128], "decoder_widths": [100]},
            r"tied needs decoder_widths to be null or the mirror image \[128\], got \[100\]",
        ),
        (
            {"tied": True, "bottleneck": partial(Gaussian, beta=1.0, warmup_steps=0)},
            "tied needs a bottleneck that takes one value for each of the 64 code units, but Gaussian takes 128",
        ),
        ({"output_activation": "swish"}, "output_activation must be one of .*, got 'swish'"),
    ],
)
def test_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        mlp(**changed)


@pytest.mark.parametrize(
    ("words", "widths"),
    [
        (["model=multilayer"], [128]),
        (["model=multilayer", "model.depth=0"], []),
        (["model=multilayer", "model.depth=2"], [340, 148]),
        (["model=multilayer", "model.depth=2", "model.widths=[9,5]"], [9, 5]),
        (["model=multilayer", "model.depth=1", "model.widths=null"], [224]),
        (["model=conv_dae"], [32, 32]),
        (["model=conv_dae", "model.depth=1"], [16]),
    ],
)
def test_a_preset_gives_its_published_widths_at_its_own_depth_only(words: list[str], widths: list[int]) -> None:
    config, _ = compose_config(words)
    assert build(config.model, shape=(1, 28, 28)).widths == widths
