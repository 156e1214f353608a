"""Revival of dead units: units of a sparse code that are never among the kept ones get a gradient of their own.

P = 1/(B n) sum_b |x_b - g(sg(h_b) + z_b)|^2,   z_b: the k largest relu(a_bj) of the dead units j, else 0
"""

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.losses import Loss
from hourglass.models import Autoencoder, Output
from hourglass.regularizers.regularizer import Penalty
from hourglass.system.checks import check_whole

__all__ = ["Revival"]


class Revival(Penalty):
    """The error that is left when units which have long been off are put on: what they could still explain.

    The mean squared error over batch and the n values of a sample, like loss=mse with loss.reduction=mean; no gradient
    goes through sg(h). Exactly 0 while no unit is dead; a unit that no input makes positive stays
    dead. The reference (AuxK) decodes z alone, with a linear decoder, to
    the residual x - g(h), which then is the same value; it holds g(h) fixed, where here the decoder learns from it too.

    Reference: Scaling and evaluating sparse autoencoders (Gao et al., 2024).

    Args:
        weight: lambda, there 1/32.
        k: dead units that are put on for each sample, at least 1; all of them if there are fewer.
        after: training steps without being on after which a unit is dead, at least 0.

    Example:
        >>> Revival(weight=0.03125, k=32, after=256)
        Revival(weight=0.03125, k=32, after=256)
    """

    after: Tensor

    def __init__(self, *, weight: float = 0.03125, k: int = 32, after: int = 200) -> None:
        super().__init__(weight=weight)
        check_whole("k", k, lowest=1)
        check_whole("after", after, lowest=0)
        self.k = k
        self.register_buffer("after", torch.tensor(float(after)), persistent=False)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, k={self.k}, after={self.after.item():g}"

    def attach(self, model: Autoencoder, *, batch_size: int) -> None:
        """See `Regularizer.attach`: refuses a bottleneck that doesn't count how long its units have been off."""
        super().attach(model, batch_size=batch_size)
        if model.bottleneck.idle is None:
            raise ValueError(
                "needs a bottleneck that counts the steps since a unit was on, but the model's doesn't;"
                " set bottleneck=top_k or bottleneck=batch_top_k, or jump_relu or gated"
            )

    def compare_by(self, loss: Loss) -> None:
        """See `Comparing`: by the squared error, whatever the loss is."""

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        idle = model.bottleneck.idle
        assert idle is not None, "attach has seen to it"
        dead = (idle > self.after) & (model.bottleneck.active > 0)  # (code_size,)
        values, units = (output.encoded.relu() * dead).topk(min(self.k, len(dead)), dim=1)
        code = output.code.detach()
        left = x - model.decode(code.scatter_add(1, units, values.to(code.dtype)), output.y)
        there = ~x.isnan()  # what is missing counts nowhere
        return torch.where(there, left, 0.0).square().sum() / there.sum().clamp(min=1) * dead.any()
