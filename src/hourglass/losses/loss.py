"""The contract of a reconstruction loss."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from hourglass.system.checks import check_choice

__all__ = ["REDUCTIONS", "Likelihood", "Loss", "Reduction"]

Reduction = Literal["mean", "sum"]
REDUCTIONS = ("mean", "sum")


class Loss(nn.Module):
    """A reconstruction loss; `allowed` is the range that reconstruction and target must keep to."""

    allowed = (float("-inf"), float("inf"))

    def __init__(self, *, reduction: Reduction) -> None:
        super().__init__()
        check_choice("reduction", reduction, REDUCTIONS)
        self.reduction = reduction

    def extra_repr(self) -> str:
        """The settings."""
        return f"reduction={self.reduction}"

    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Two tensors (B, *shape) to a scalar."""
        mean = self.mean(reconstruction, target)
        return mean if self.reduction == "mean" else mean * (target.numel() / len(target))

    @abstractmethod
    def mean(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """The mean over all values."""

    def check(self, shape: Sequence[int]) -> None:
        """Raise ValueError if samples of this shape can't be compared; as a rule all can."""


class Likelihood(Loss):
    """A loss that is, up to a constant, the negative logarithm of a density p(x | r) of the data.

    Only such a loss makes of a variational autoencoder's objective a bound on the likelihood.
    """

    @abstractmethod
    def log_density(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Log p(x | r) in nats per sample, with its constant: two tensors (B, *shape) to (B,)."""
