"""The loss of a table: of its numbers, and of its one-hot columns."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.losses.loss import Likelihood

__all__ = ["OfColumns"]


class OfColumns(Likelihood):
    """Of a table: a loss of its numbers, and the cross-entropy of each group of one-hot columns.

    With numbers x_j, groups g of one-hot columns and probabilities r_g for each, summed over what is there:
        mean   (sum_j loss(r_j, x_j) + sum_g -x_g . log r_g) / columns      a group is one column of the table
        sum    the same sum, then the mean over the samples

    A target that is NaN is missing: it adds nothing, to the sum or to the columns.

    Args:
        numbers: the loss of the numbers.
        groups: where each group begins and ends, in order; the end is no part of it.

    Example:
        >>> from hourglass.losses import MSE
        >>> loss = OfColumns(numbers=MSE(reduction="sum"), groups=[(1, 3)])
        >>> loss(torch.tensor([[1.0, 0.5, 0.5]]), torch.tensor([[3.0, 0.0, 1.0]]))  # 4 + log 2
        tensor(4.6931)
        >>> loss(torch.tensor([[1.0, 0.5, 0.5]]), torch.tensor([[torch.nan, 0.0, 1.0]]))
        tensor(0.6931)
    """

    def __init__(self, *, numbers: Likelihood, groups: Sequence[tuple[int, int]] = ()) -> None:
        super().__init__(reduction=numbers.reduction)
        self.numbers = numbers
        self.groups = tuple(groups)
        self.allowed = numbers.allowed

    @override
    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        summed = self.reduction == "sum"
        return self._sum(reconstruction, target)[0] / len(target) if summed else self.mean(reconstruction, target)

    @override
    def mean(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        value, columns = self._sum(reconstruction, target)
        return value / columns.clamp(min=1)

    def _sum(self, r: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The sum over a batch, and over how many columns of the table it is."""
        (r, x, there), parts = self._parts(r, x)
        # Where nothing is there, r = x = 0: no loss has a value or a gradient at that.
        value = self.numbers.mean(r, x) * x.numel() if x.numel() else r.sum()
        columns = there.sum()
        for r_g, x_g, there_g in parts:
            value = value - (x_g * _log(r_g)).sum()
            columns = columns + there_g.any(-1).sum()
        return value, columns

    def _parts(self, r: Tensor, x: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], list[tuple[Tensor, Tensor, Tensor]]]:
        """Of the numbers, and of each group: reconstruction, target, both 0 where nothing is there, and where it is."""
        there = ~x.isnan()
        r, x = torch.where(there, r, 0.0), torch.where(there, x, 0.0)
        ends = [0, *(end for group in self.groups for end in group), x.shape[-1]]

        def pick(each: Tensor) -> Tensor:
            return torch.cat([each[..., a:b] for a, b in zip(ends[::2], ends[1::2], strict=True)], dim=-1)

        numbers = (pick(r), pick(x), pick(there)) if self.groups else (r, x, there)
        return numbers, [(r[..., a:b], x[..., a:b], there[..., a:b]) for a, b in self.groups]

    @override
    def log_density(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """That of the numbers, and sum_g x_g . log r_g, over what is there: see `Likelihood.log_density`."""
        (r, x, there), parts = self._parts(reconstruction, target)
        value = target.new_zeros(len(target))
        for r_g, x_g, _ in parts:
            value = value + (x_g * _log(r_g)).sum(-1)
        if not x.shape[-1]:
            return value
        nothing = x.new_zeros(1, 1)  # what the density of an entry that isn't there has added
        empty = (~there).sum(-1) * self.numbers.log_density(nothing, nothing)
        return value + self.numbers.log_density(r, x) - empty


def _log(r: Tensor) -> Tensor:
    """From -87 up, what float32 has."""
    return r.clamp(min=torch.finfo(torch.float32).tiny).log()
