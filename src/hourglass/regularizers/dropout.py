"""Dropout on the code: a disturbance instead of a term of the loss.

h~ = h m / (1 - p),   m_j ~ Bernoulli(1 - p)
"""

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.models import Autoencoder, Output
from hourglass.regularizers.regularizer import Regularizer
from hourglass.system.checks import check_fraction

__all__ = ["Dropout"]


class Dropout(Regularizer):
    """Each code unit is left out with probability p while the model trains, so that no unit relies on another.

    What is kept is scaled up, so that the decoder's sums have the same mean; a code in [0, 1] then reaches 1 / (1 - p).
    The output's code is what the decoder saw. Evaluation is untouched.

    Reference: Dropout: a simple way to prevent neural networks from overfitting (Srivastava et al., 2014).

    Args:
        share: p, from 0 to below 1.

    Example:
        >>> Dropout(share=0.2)
        Dropout(share=0.2)
    """

    share: Tensor

    def __init__(self, *, share: float = 0.2) -> None:
        super().__init__()
        check_fraction("share", share)
        self.register_buffer("share", torch.tensor(share), persistent=False)

    def extra_repr(self) -> str:
        """The settings."""
        return f"share={self.share.item():g}"

    def attach(self, model: Autoencoder, *, batch_size: int) -> None:
        """See `Regularizer.attach`: every code suits."""

    @override
    def forward(self, model: Autoencoder, x: Tensor, output: Output) -> None:
        """None: there is no term."""
        return

    def disturb(self, code: Tensor) -> Tensor:
        """See `Disturbing.disturb`: units are left out and the others scaled up."""
        keep = torch.rand_like(code) >= self.share
        return code * keep / (1 - self.share)
