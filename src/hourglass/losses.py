"""Reconstruction losses: the distance between reconstruction r and clean target x.

With d values per sample and B samples, `reduction` says how they are put together:

- mean: the mean over all B d values, what Keras and most documents report;
- sum: the sum over the d values, then the mean over the samples (nats per sample for `BCE`), what a bound
  on a log-likelihood needs, and what a penalty weight is relative to in most papers.

Each loss is, up to a constant, the negative logarithm of a density p(x | r) of the data around the reconstruction;
`log_density` is that logarithm, with its constant.

A loss is the sum of terms, of which the reconstruction is one:

    total = sum_k  lambda_k P_k

A weight that a sweep varies must not hide in what is logged, so that a term keeps the two apart: `kl` is the rate in
nats whatever beta is, `kl_weighted` its part of the loss.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hourglass.system.checks import check_choice

__all__ = [
    "BCE",
    "MSE",
    "REDUCTIONS",
    "Loss",
    "OfColumns",
    "Reduction",
    "Term",
    "auto",
    "bce",
    "logged",
    "mse",
    "total",
]

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

    @abstractmethod
    def log_density(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Log p(x | r) in nats per sample: two tensors (B, *shape) to (B,)."""


class MSE(Loss):
    """Squared error: (r - x)^2.

    Summed over a sample it is the negative logarithm of a normal density around r with variance 1/2, less a constant.

    Example:
        >>> loss = MSE(reduction="mean")
        >>> loss
        MSE(reduction=mean)
        >>> loss(torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 1.0]]))
        tensor(0.5000)
    """

    @override
    def mean(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(reconstruction, target)

    def log_density(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """-|x - r|^2 - d/2 log pi: see `Loss.log_density`."""
        error = (reconstruction - target).square().flatten(1)
        return -error.sum(1) - error.shape[1] / 2 * math.log(math.pi)


class BCE(Loss):
    """Binary cross-entropy in nats: -x log r - (1 - x) log(1 - r), for data and reconstructions in [0, 1].

    For grey targets it does not fall to zero but to their entropy; the metric `bce_excess` is what is above.

    Example:
        >>> loss = BCE(reduction="sum")
        >>> loss
        BCE(reduction=sum)
        >>> loss(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.0, 1.0]]))
        tensor(1.3863)
    """

    allowed = (0.0, 1.0)

    @override
    def mean(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        # Autocast forbids BCE on a GPU; here it is computed in the precision of its arguments.
        with torch.autocast(target.device.type, enabled=False):
            value: Tensor = _CrossEntropy.apply(reconstruction, target, 0)
            return value

    def log_density(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """sum_j x_j log r_j + (1 - x_j) log(1 - r_j), logarithms from -100 up: see `Loss.log_density`.

        For pixels of 0 and 1 the Bernoulli likelihood; for grey ones a pseudo-likelihood, whose sum over all images
        is not 1: comparable between models of the same data, not with a density.
        """
        with torch.autocast(target.device.type, enabled=False):
            return -F.binary_cross_entropy(reconstruction, target, reduction="none").flatten(1).sum(1)


class _CrossEntropy(torch.autograd.Function):
    """`F.binary_cross_entropy`, the mean, with its limits: logarithms from -100 up, r (1 - r) from 1e-12 up.

    On a CPU PyTorch's own takes one logarithm at a time, half of a small net's whole step; this takes a fifth of that.
    And of NaN it makes NaN, where PyTorch's raises, on a GPU for good: of a stack of models only one may have diverged.
    """

    # `lead`: the number of axes before those that the mean is taken over, one for each vmap around it.

    @staticmethod
    def forward(r: Tensor, x: Tensor, lead: int) -> Tensor:
        on, off = r.log().clamp_(min=-100), r.neg().log1p_().clamp_(min=-100)
        return off.lerp_(on, x).flatten(lead).mean(dim=lead).neg_()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:  # noqa: ARG004
        r, x, ctx.lead = inputs
        ctx.save_for_backward(r, x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        r, x = ctx.saved_tensors
        share = gradient / r.shape[ctx.lead :].numel()
        variance = torch.addcmul(r, r, r, value=-1).clamp_(min=1e-12)
        return (r - x).div_(variance).mul_(share.view(*share.shape, *[1] * (r.ndim - ctx.lead))), None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, int | None, None], r: Tensor, x: Tensor, lead: int
    ) -> tuple[Tensor, int]:
        r_dim, x_dim, _ = in_dims
        r = r.expand(info.batch_size, *r.shape) if r_dim is None else r.movedim(r_dim, 0)
        value: Tensor = _CrossEntropy.apply(r, x if x_dim is None else x.movedim(x_dim, 0), lead + 1)
        return value, 0


class OfColumns(Loss):
    """Of a table: a loss of its numbers, and the cross-entropy of each group of one-hot columns.

    With numbers x_j, groups g of one-hot columns and probabilities r_g for each, summed over what is there:
        mean   (sum_j loss(r_j, x_j) + sum_g -x_g . log r_g) / columns      a group is one column of the table
        sum    the same sum, then the mean over the samples

    A target that is NaN is missing: it adds nothing, to the sum or to the columns.

    Args:
        numbers: the loss of the numbers.
        groups: where each group begins and ends, in order; the end is no part of it.

    Example:
        >>> loss = OfColumns(numbers=MSE(reduction="sum"), groups=[(1, 3)])
        >>> loss(torch.tensor([[1.0, 0.5, 0.5]]), torch.tensor([[3.0, 0.0, 1.0]]))  # 4 + log 2
        tensor(4.6931)
        >>> loss(torch.tensor([[1.0, 0.5, 0.5]]), torch.tensor([[torch.nan, 0.0, 1.0]]))
        tensor(0.6931)
    """

    def __init__(self, *, numbers: Loss, groups: Sequence[tuple[int, int]] = ()) -> None:
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
        """That of the numbers, and sum_g x_g . log r_g, over what is there: see `Loss.log_density`."""
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


def auto(*, data_range: Sequence[float], reduction: Reduction) -> Loss:
    """`BCE` for data in [0, 1], else `MSE`: the documents' rule of thumb."""
    return BCE(reduction=reduction) if _within(data_range, BCE.allowed) else MSE(reduction=reduction)


def mse(*, data_range: Sequence[float], reduction: Reduction) -> Loss:  # noqa: ARG001
    """`MSE`, for data of any range."""
    return MSE(reduction=reduction)


def bce(*, data_range: Sequence[float], reduction: Reduction) -> Loss:
    """`BCE`; raises ValueError for data outside [0, 1]."""
    if not _within(data_range, BCE.allowed):
        low, high = data_range
        raise ValueError(
            f"bce needs data in [0, 1], got data from {low:g} to {high:g}; use loss=mse, or data scaled to [0, 1]"
        )
    return BCE(reduction=reduction)


def _within(inner: Sequence[float], outer: Sequence[float]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


class Term(NamedTuple):
    """One term of a loss."""

    value: Tensor
    """P: a scalar in units of its own."""
    weight: Tensor | None = None
    """lambda: a scalar; None where there is none to choose, as of the reconstruction."""

    @property
    def weighted(self) -> Tensor:
        """Lambda P: what is added to the loss."""
        return self.value if self.weight is None else self.weight * self.value


def total(terms: Mapping[str, Term]) -> Tensor:
    """The loss: the sum of all weighted terms, a scalar."""
    weighted = [term.weighted for term in terms.values()]
    return weighted[0] if len(weighted) == 1 else torch.stack(weighted).sum()


def logged(terms: Mapping[str, Term]) -> dict[str, Tensor]:
    """What is logged of a loss: `loss`, each term as it is and, as `..._weighted`, what it adds; scalars."""
    found = {"loss": total(terms)}
    for name, term in terms.items():
        found[name] = term.value
        if term.weight is not None:
            found[f"{name}_weighted"] = term.weighted
    return found
