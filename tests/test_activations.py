"""Activations: values by hand, and ranges that hold and are as narrow as they can be."""

import math

import pytest
import torch

from hourglass.activations import ACTIVATIONS, activation, activation_range, is_monotone


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # at -1, 0 and 2
        ("linear", (-1.0, 0.0, 2.0)),
        ("relu", (0.0, 0.0, 2.0)),
        ("sigmoid", (0.268941, 0.5, 0.880797)),  # 1 / (1 + e^-a)
        ("tanh", (-0.761594, 0.0, 0.964028)),
        ("softplus", (0.313262, 0.693147, 2.126928)),  # ln(1 + e^a)
        ("leaky_relu", (-0.01, 0.0, 2.0)),
        ("elu", (-0.632121, 0.0, 2.0)),  # e^a - 1 below zero
        ("selu", (-1.111331, 0.0, 2.101402)),  # 1.050701 times elu with 1.673263
        ("gelu", (-0.158655, 0.0, 1.954500)),  # a P(e < a) for a standard normal e
        ("silu", (-0.268941, 0.0, 1.761594)),  # a sigmoid(a)
    ],
)
def test_values_by_hand(name: str, expected: tuple[float, ...]) -> None:
    assert activation(name)(torch.tensor([-1.0, 0.0, 2.0])).tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_which_never_fall(name: str) -> None:
    values = activation(name)(torch.linspace(-50, 50, 200_001, dtype=torch.float64))
    assert is_monotone(name) == bool((values.diff() >= 0).all())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_range_holds_every_value_and_is_tight(name: str) -> None:
    low, high = activation_range(name)
    values = activation(name)(torch.linspace(-50, 50, 200_001, dtype=torch.float64))
    lowest, highest = values.min().item(), values.max().item()
    assert low <= lowest
    assert highest <= high
    # An end that is finite is reached within 2e-4, one that is not is left far behind.
    assert lowest == pytest.approx(low, abs=2e-4) if math.isfinite(low) else lowest < -0.4
    assert highest == pytest.approx(high, abs=2e-4) if math.isfinite(high) else highest > 40


def test_an_unknown_name_gets_the_list_and_the_key() -> None:
    known = ", ".join(ACTIVATIONS)
    with pytest.raises(ValueError, match=f"^output_activation must be one of {known}, got 'swish'$"):
        activation("swish", key="output_activation")
    with pytest.raises(ValueError, match=f"^activation must be one of {known}, got 'Relu'$"):
        activation_range("Relu")
