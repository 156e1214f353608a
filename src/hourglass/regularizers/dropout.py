"""Dropout on the code: a disturbance instead of a term of the loss.

h~ = h m / (1 - p),   m_j ~ Bernoulli(1 - p)
"""

from typing import cast

import torch
from torch import Tensor, nn

from hourglass.bottlenecks import Bottled
from hourglass.models import Autoencoder, Output
from hourglass.regularizers.regularizer import Regularizer


class Dropout(Regularizer):
    """Each code unit is left out with probability p while the model trains, so that no unit relies on another.

    What is kept is scaled up, so that the decoder's sums have the same mean; a code in [0, 1] then reaches 1 / (1 - p).
    The output's code is what the decoder saw. Evaluation is untouched.

    Reference: Dropout: a simple way to prevent neural networks from overfitting (Srivastava et al., 2014).

    Args:
        share: p, from 0 to below 1.
    """

    share: Tensor

    def __init__(self, *, share: float) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f"share must be from 0 to below 1, got {share}")
        self.register_buffer("share", torch.tensor(share), persistent=False)

    def attach(self, model: Autoencoder, *, batch_size: int) -> None:  # noqa: ARG002
        """See `Regularizer.attach`: from now on the model's bottleneck drops; attached again, it does so once."""
        neck = model.bottleneck
        if "dropout" not in dict(neck.named_children()):
            neck.register_forward_hook(_drop)
        # As a part of the bottleneck it is copied with the model, and `share` is one of the model's buffers.
        neck.dropout = self

    def forward(self, model: Autoencoder, x: Tensor, output: Output) -> None:  # noqa: ARG002
        """None: there is no term."""
        return

    def drop(self, code: Tensor) -> Tensor:
        """Codes (B, code_size) to the same with units left out and the others scaled up."""
        keep = torch.rand_like(code) >= self.share
        return code * keep / (1 - self.share)


def _drop(neck: nn.Module, _given: tuple[Tensor], bottled: Bottled) -> Bottled:
    if not neck.training:
        return bottled
    # Looked up in the bottleneck that runs: that of a copied model has its own.
    return bottled._replace(code=cast(Dropout, neck.dropout).drop(bottled.code))
