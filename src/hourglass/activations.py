"""Activations: the elementwise functions of the units, each with the range of its values.

The range is what lets a mistake be found before training: an output that is a sigmoid can't reach
data in [-3, 3], and a Bernoulli sparsity penalty needs a code in [0, 1].
"""

import math
from typing import NamedTuple

from torch import nn

__all__ = ["ACTIVATIONS", "INF", "Activation", "activation", "activation_range", "is_monotone"]

INF = math.inf


class Activation(NamedTuple):
    """An elementwise function and the closed interval that holds its values."""

    module: type[nn.Module]
    range: tuple[float, float]
    monotone: bool = True
    """Whether a larger input never gives a smaller value, so that the largest of several commutes with it."""


ACTIVATIONS = {
    "linear": Activation(nn.Identity, (-INF, INF)),
    "relu": Activation(nn.ReLU, (0.0, INF)),
    "sigmoid": Activation(nn.Sigmoid, (0.0, 1.0)),
    "tanh": Activation(nn.Tanh, (-1.0, 1.0)),
    "softplus": Activation(nn.Softplus, (0.0, INF)),
    "leaky_relu": Activation(nn.LeakyReLU, (-INF, INF)),
    "elu": Activation(nn.ELU, (-1.0, INF)),
    "selu": Activation(nn.SELU, (-1.7581, INF)),
    "gelu": Activation(nn.GELU, (-0.1701, INF), monotone=False),
    "silu": Activation(nn.SiLU, (-0.2785, INF), monotone=False),
}


def activation(name: str, *, key: str = "activation") -> nn.Module:
    """Build the activation called `name`; `key` names the argument in the error."""
    return _lookup(name, key).module()


def activation_range(name: str, *, key: str = "activation") -> tuple[float, float]:
    """The closed interval of the values of the activation called `name`."""
    return _lookup(name, key).range


def is_monotone(name: str, *, key: str = "activation") -> bool:
    """Whether the activation called `name` never falls."""
    return _lookup(name, key).monotone


def _lookup(name: str, key: str) -> Activation:
    if name not in ACTIVATIONS:
        raise ValueError(f"{key} must be one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]
