"""Nested dictionaries: every prefix of the code is to reconstruct by itself, so that the first units tell the most.

    P = sum_m L(x, g(h_1, ..., h_m, 0, ..., 0)),    m = p n for each share p of the n units

with the loss L of the reconstruction. So a code can be cut to any of these sizes after the training; a plain one tells
a feature by units that may stand anywhere, and splits the general ones.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from hourglass.losses import MSE, Loss
from hourglass.models import Autoencoder, Output
from hourglass.regularizers.regularizer import Penalty

__all__ = ["Matryoshka"]


class Matryoshka(Penalty):
    """The reconstruction losses of prefixes of the code, added to that of the whole.

    Goes with every code; the reference has it with batch top-k, whose k units are chosen among all, before the cut.
    Measures `mse_prefix_<m>`, the squared error of each prefix of the code in use, also with weight 0: what a code
    that was trained as a whole makes of its prefixes.

    References: Learning multi-level features with matryoshka sparse autoencoders (Bussmann et al., 2025); Matryoshka
    representation learning (Kusupati et al., 2022).

    Args:
        weight: lambda, of each prefix beside the whole.
        shares: p, above 0 and below 1, in rising order: shares of the code's units, at least one unit each.

    Raises:
        ValueError: shares out of their range, or none.

    Example:
        >>> Matryoshka(weight=1.0, shares=[0.25, 0.5])
        Matryoshka(weight=1, shares=[0.25, 0.5])
    """

    shares: Tensor

    def __init__(self, *, weight: float = 1.0, shares: Sequence[float] = (0.0625, 0.125, 0.25, 0.5)) -> None:
        super().__init__(weight=weight)
        given = list(shares)
        if not given or given != sorted(set(given)) or not all(0 < share < 1 for share in given):
            raise ValueError(f"shares must be above 0 and below 1, in rising order, one at least, got {given}")
        self.register_buffer("shares", torch.tensor(given), persistent=False)
        self._loss: tuple[Loss] = (MSE(reduction="mean"),)  # in a tuple: it is the learner's module, not this one's

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, shares={[round(share, 6) for share in self.shares.tolist()]}"

    def compare_by(self, loss: Loss) -> None:
        """See `Comparing`: by the loss of the reconstruction."""
        self._loss = (loss,)

    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        """See `Penalty.penalty`; x is the target."""
        (loss,) = self._loss
        losses = [loss(model.decode(code, output.y), x) for code in self._prefixes(model, output.code)]
        return torch.stack(losses).sum()

    def scores(self, model: Autoencoder, x: Tensor, output: Output) -> dict[str, Tensor]:
        """See `Scored`: `mse_prefix_<m>` for each size m."""
        sizes = self._sizes(model).tolist()
        return {
            f"mse_prefix_{int(size)}": (model.decode(code, output.y) - x).square().nanmean()
            for size, code in zip(sizes, self._prefixes(model, output.code), strict=True)
        }

    # By `active`: in a stack the units that a smaller model lacks follow its own.

    def _sizes(self, model: Autoencoder) -> Tensor:
        return (self.shares * model.bottleneck.active.sum()).round().clamp(min=1)

    def _prefixes(self, model: Autoencoder, code: Tensor) -> list[Tensor]:
        place = torch.arange(code.shape[1], device=code.device)
        return [code * (place < size) for size in self._sizes(model)]
