"""Penalties on the activity of the code: how much, how often and how alike its units are on.

l1              sum_j |h_j|
l2              sum_j h_j^2
kl_sparsity     sum_j KL(rho || mean of h_j)
decorrelation   sum_j<k cov(h_j, h_k)^2
"""

from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.models import Autoencoder, Output
from hourglass.regularizers.regularizer import Penalty
from hourglass.system.checks import check_choice
from hourglass.system.precision import full_precision, wide

__all__ = ["L1", "L2", "Decorrelation", "KLSparsity"]


class _Activity(Penalty):
    """A sum over the units of each sample, whose mean or sum over the batch is the penalty.

    Args:
        weight: lambda.
        reduction: `sample`, the mean over the samples of the batch; `batch`, the sum over them. In validation and test,
            whose batches have other sizes, that is the sum over a training batch: their mean times its samples.
    """

    def __init__(self, *, weight: float = 1e-4, reduction: Literal["sample", "batch"] = "sample") -> None:
        super().__init__(weight=weight)
        check_choice("reduction", reduction, ("sample", "batch"))
        self.reduction = reduction
        self.mixes_samples = reduction == "batch"

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, reduction={self.reduction}"

    def reduced(self, activity: Tensor) -> Tensor:
        """Activities (B, code_size) to the penalty, a scalar."""
        total = activity.sum()
        if self.reduction == "sample":
            return total / len(activity)
        return total if self.training else total * (self.batch_size / len(activity))


class L1(_Activity):
    """Absolute activity of the code, which makes most units zero for most inputs.

    reduction sample: P = 1/B sum_b sum_j |h_bj|;  reduction batch: P = sum_b sum_j |h_bj|

    `batch` is what Keras before version 3 did with `activity_regularizer`: there the same lambda weighs
    as many times more as the batch has samples.

    Reference: Sparse deep belief net model for visual area V2 (Lee et al., 2008) for sparse codes in deep nets.

    Args:
        weight: lambda.
        reduction: `sample` or `batch`.

    Example:
        >>> L1(weight=0.001, reduction="sample")
        L1(weight=0.001, reduction=sample)
    """

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        return self.reduced(output.code.abs())

    def note(self, model: Autoencoder) -> str | None:
        """See `Noted.note`: a code that never is exactly zero becomes small, not sparse."""
        if not model.bottleneck.activity().switches:
            return (
                "makes this code small, but no unit is ever exactly 0 and so off; set bottleneck=relu for a sparse code"
            )
        return None


class L2(_Activity):
    """Squared activity of the code, which keeps it small.

    reduction sample: P = 1/B sum_b sum_j h_bj^2;  reduction batch: P = sum_b sum_j h_bj^2

    Args:
        weight: lambda.
        reduction: `sample` or `batch`.

    Example:
        >>> L2(weight=0.001, reduction="sample")
        L2(weight=0.001, reduction=sample)
    """

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        return self.reduced(output.code.square())


class KLSparsity(Penalty):
    """Divergence of each unit's mean activity from a target, both taken as Bernoulli probabilities.

    P = sum_j  rho log(rho / q_j) + (1 - rho) log((1 - rho) / (1 - q_j)),   q_j = 1/B sum_b h_bj

    Needs a code in [0, 1], as a sigmoid gives.

    Reference: Sparse autoencoder, CS294A lecture notes (Ng, 2011).

    Args:
        weight: lambda.
        target: rho, the wanted mean activity, strictly between 0 and 1.

    Example:
        >>> KLSparsity(weight=0.1, target=0.05)
        KLSparsity(weight=0.1, target=0.05)
    """

    mixes_samples = True
    target: Tensor
    code_range = (0.0, 1.0)

    def __init__(self, *, weight: float = 1e-2, target: float = 0.05) -> None:
        super().__init__(weight=weight)
        if not 0 < target < 1:
            raise ValueError(f"target must be strictly between 0 and 1, got {target}")
        self.register_buffer("target", torch.tensor(target), persistent=False)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, target={self.target.item():g}"

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        # A unit that is off for the whole batch would make the divergence infinite.
        q = wide(output.code).mean(dim=0).clamp(1e-6, 1 - 1e-6)  # (code_size,)
        rho = self.target
        divergence = rho * torch.log(rho / q) + (1 - rho) * torch.log((1 - rho) / (1 - q))
        return (divergence * model.bottleneck.active).sum()


class Decorrelation(Penalty):
    """Covariance of different code units over the batch, so that no two tell the same.

    P = sum_j<k C_jk^2,   C = 1/B sum_b (h_b - m)(h_b - m)^T,   m = 1/B sum_b h_b

    Reference: Reducing overfitting in deep networks by decorrelating representations (Cogswell et al., 2016).

    Args:
        weight: lambda.

    Example:
        >>> Decorrelation(weight=0.1)
        Decorrelation(weight=0.1)
    """

    mixes_samples = True

    def __init__(self, *, weight: float = 1e-3) -> None:
        super().__init__(weight=weight)

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        """See `Penalty.penalty`. A unit that is not active is zero, and so is its covariance."""
        with full_precision(x):
            code = wide(output.code)
            centred = code - code.mean(dim=0)
            covariance = centred.T @ centred / len(code)  # (code_size, code_size)
            return covariance.triu(diagonal=1).square().sum()
