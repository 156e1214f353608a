"""Losses of each value by itself, each the negative logarithm of a density.

mse         (r - x)^2                             a normal density with variance 1/2
mae         |r - x|                               a Laplace density
log_cosh    1/alpha log cosh(alpha (r - x))       between the two: squared near 0, absolute far from it
student_t   (n + 1)/2 log(1 + (r - x)^2 / n s^2)  Student's with n degrees of freedom, of heavy tails
bce         -x log r - (1 - x) log(1 - r)         a Bernoulli probability
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from hourglass.losses.loss import Likelihood, Reduction
from hourglass.system.checks import check_above

__all__ = ["BCE", "MAE", "MSE", "LogCosh", "StudentT"]


class MSE(Likelihood):
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

    @override
    def log_density(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """-|x - r|^2 - d/2 log pi: see `Likelihood.log_density`."""
        error = (reconstruction - target).square().flatten(1)
        return -error.sum(1) - error.shape[1] / 2 * math.log(math.pi)


class MAE(Likelihood):
    """Absolute error: |r - x|, least at the median of what a value may be, where the squared one is at the mean.

    Summed over a sample it is the negative logarithm of a Laplace density of scale 1, less a constant.

    Example:
        >>> loss = MAE(reduction="mean")
        >>> loss
        MAE(reduction=mean)
        >>> loss(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 1.0]]))
        tensor(0.2500)
    """

    @override
    def mean(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(reconstruction, target)

    @override
    def log_density(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """-|x - r| - d log 2: see `Likelihood.log_density`."""
        error = (reconstruction - target).abs().flatten(1)
        return -error.sum(1) - error.shape[1] * math.log(2)


class LogCosh(Likelihood):
    """Logarithm of the hyperbolic cosine: 1/alpha log cosh(alpha (r - x)).

    Near 0 it is alpha/2 (r - x)^2, beyond 1/alpha it goes over to |r - x| - log(2)/alpha, with a gradient throughout.
    Its density is p(x | r) = alpha cosh(alpha (r - x))^(-1/alpha) / B(1/(2 alpha), 1/2), B the beta function.

    Reference: Log hyperbolic cosine loss improves variational auto-encoder (Chen, Chen & Chen, 2019).

    Args:
        alpha: above 0; 1/alpha is the error from which on it counts as it is.
        reduction: see `hourglass.losses`.

    Example:
        >>> loss = LogCosh(alpha=10.0, reduction="mean")
        >>> loss
        LogCosh(reduction=mean, alpha=10)
        >>> loss(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.1, 1.0]]))  # log cosh(1) / 10 / 2
        tensor(0.0217)
    """

    alpha: Tensor

    def __init__(self, *, alpha: float = 10.0, reduction: Reduction) -> None:
        super().__init__(reduction=reduction)
        check_above("alpha", alpha)
        self.register_buffer("alpha", torch.tensor(alpha), persistent=False)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, alpha={self.alpha.item():g}"

    @override
    def mean(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        return self._each(reconstruction, target).mean()

    def _each(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        a = (self.alpha * (reconstruction - target)).abs()
        # log cosh(a) = a + log((1 + e^-2a) / 2), which neither overflows nor leaves a rest at 0.
        return (a + (torch.expm1(-2 * a) / 2).log1p()) / self.alpha

    @override
    def log_density(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """See `Likelihood.log_density`."""
        each = self._each(reconstruction, target).flatten(1)
        half = 0.5 / self.alpha
        constant = self.alpha.log() + torch.lgamma(half + 0.5) - torch.lgamma(half) - math.lgamma(0.5)
        return constant * each.shape[1] - each.sum(1)


class StudentT(Likelihood):
    """Negative logarithm of Student's t density around r, less a constant: large errors cost little more than others.

    (n + 1)/2 log(1 + (r - x)^2 / (n s^2))

    So a few values that no model explains, outliers, don't pull the reconstruction. One degree is Cauchy's density;
    with many it becomes a normal one of standard deviation s.

    Reference: Student-t variational autoencoder for robust density estimation (Takahashi et al., 2018), which learns n
    and s for each value; here they are given.

    Args:
        degrees: n, degrees of freedom, above 0.
        scale: s, above 0, in units of the data: errors far below it count squared.
        reduction: see `hourglass.losses`.

    Example:
        >>> loss = StudentT(degrees=3.0, scale=0.1, reduction="sum")
        >>> loss
        StudentT(reduction=sum, degrees=3, scale=0.1)
        >>> loss(torch.tensor([[0.0]]), torch.tensor([[0.3]]))  # 2 log(1 + 9/3)
        tensor(2.7726)
    """

    degrees: Tensor
    scale: Tensor

    def __init__(self, *, degrees: float = 3.0, scale: float = 0.1, reduction: Reduction) -> None:
        super().__init__(reduction=reduction)
        check_above("degrees", degrees)
        check_above("scale", scale)
        self.register_buffer("degrees", torch.tensor(degrees), persistent=False)
        self.register_buffer("scale", torch.tensor(scale), persistent=False)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, degrees={self.degrees.item():g}, scale={self.scale.item():g}"

    @override
    def mean(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        return self._each(reconstruction, target).mean()

    def _each(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        squares = ((reconstruction - target) / self.scale).square() / self.degrees
        return (self.degrees + 1) / 2 * squares.log1p()

    @override
    def log_density(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """See `Likelihood.log_density`."""
        each = self._each(reconstruction, target).flatten(1)
        n = self.degrees
        constant = torch.lgamma((n + 1) / 2) - torch.lgamma(n / 2) - (n * math.pi).log() / 2 - self.scale.log()
        return constant * each.shape[1] - each.sum(1)


class BCE(Likelihood):
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

    @override
    def log_density(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """sum_j x_j log r_j + (1 - x_j) log(1 - r_j), logarithms from -100 up: see `Likelihood.log_density`.

        For pixels of 0 and 1 the Bernoulli likelihood; for grey ones a pseudo-likelihood, whose sum over all images
        is not 1: comparable between models of the same data, not with a density.
        """
        with torch.autocast(target.device.type, enabled=False):
            # Of NaN it makes NaN, see `_CrossEntropy`.
            known = ~reconstruction.isnan()
            nats = F.binary_cross_entropy(reconstruction.where(known, 0.5), target, reduction="none")
            return -nats.where(known, math.nan).flatten(1).sum(1)


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
