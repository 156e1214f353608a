"""The deterministic code: an activation, unit by unit.

h_j = s(a_j)
"""

import torch
from torch import Tensor

from hourglass.activations import activation as build_activation
from hourglass.activations import activation_range
from hourglass.bottlenecks.activity import Activity, Switched
from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck

__all__ = ["KEY", "Deterministic"]

KEY = "bottleneck.activation"  # as a model's configuration calls it, which has an activation of its own


class Deterministic(Bottleneck):
    """A code that is a function of the input: h = s(a) m, with the mask m of active units.

    Args:
        code_size: number of code units.
        activation: name of the activation s.

    Example:
        >>> Deterministic(code_size=2, activation="relu")
        Deterministic(
          code_size=2
          (activation): ReLU()
        )
    """

    def __init__(self, *, code_size: int, activation: str = "linear") -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=activation_range(activation, key=KEY))
        self.activation = build_activation(activation, key=KEY)

    def forward(self, a: Tensor) -> Bottled:
        """(B, code_size) to the code of the same shape, with no loss terms."""
        return Bottled(self.activation(a) * self.active, {})

    def slope(self, a: Tensor) -> Tensor:
        """s'(a) m, (B, code_size): exact, by forward-mode differentiation of the activation."""
        derivative: Tensor = torch.func.jvp(self.activation, (a,), (torch.ones_like(a),))[1]
        return derivative * self.active

    def activity(self) -> Activity:
        """See `Bottleneck.activity`: rectified units are exactly zero when they are off."""
        rectified = bool((self.activation(torch.tensor([-9.0, -1.0, -0.1])) == 0).all())
        return Switched() if rectified else super().activity()
