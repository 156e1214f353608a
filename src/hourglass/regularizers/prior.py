"""Penalties on the distribution of the codes, apart from that of the code of one sample.

    total_correlation   KL(q(z) || prod_j q(z_j)):  the units should be independent
    mmd                 the distance of q(z) from N(0, 1):  codes drawn from N(0, 1) should decode well
    sliced_wasserstein  another such distance, that of their shadows on lines

where q(z) is the distribution of the codes of all samples, here that of the batch.
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks import HasPosterior
from hourglass.models import Autoencoder, Output
from hourglass.regularizers.regularizer import Penalty
from hourglass.system.checks import check_whole
from hourglass.system.precision import full_precision, wide

__all__ = ["MMD", "SlicedWasserstein", "TotalCorrelation", "discrepancy", "kernel", "sliced", "total_correlation"]


class TotalCorrelation(Penalty):
    """Dependence of the units of a gaussian code on each other, in nats.

    P = 1/B sum_b  log q(z_b) - sum_j log q(z_bj),   q(z) = 1/B sum_i N(z; m_i, exp(v_i))

    An unbiased estimate of the total correlation of the batch's mixture q, which is at least 0; a single estimate can
    be below. The evidence lower bound holds the total correlation once already, so that the weight is beta - 1 of the
    reference, whose minibatch-weighted sampling has the same gradient: it divides by N B with the size N of the data
    set, which adds (code_size - 1) log N. The draws are its own, so that it is the same outside training, where the
    code is the mean. Takes memory for B^2 code_size values.

    Reference: Isolating sources of disentanglement in variational autoencoders (Chen et al., 2018).

    Args:
        weight: lambda.

    Example:
        >>> TotalCorrelation(weight=5.0)
        TotalCorrelation(weight=5)
    """

    mixes_samples = True
    signed = True

    def __init__(self, *, weight: float = 3.0) -> None:
        super().__init__(weight=weight)

    def attach(self, model: Autoencoder, *, batch_size: int) -> None:
        """See `Regularizer.attach`: refuses a code that is not drawn from a gaussian."""
        super().attach(model, batch_size=batch_size)
        if not isinstance(model.bottleneck, HasPosterior):
            raise ValueError(
                "needs a code with a gaussian posterior, but the model's has none: set bottleneck=gaussian flow=none"
            )

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        mean, log_variance = cast(HasPosterior, model.bottleneck).posterior(wide(output.encoded))
        drawn = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        return total_correlation(drawn, mean, log_variance, model.bottleneck.active)


class _ToNormal(Penalty):
    """A distance of the codes of the batch from N(0, 1) in every unit."""

    mixes_samples = True

    @override
    def attach(self, model: Autoencoder, *, batch_size: int) -> None:
        """See `Regularizer.attach`: refuses a code that can't go everywhere, as the prior does."""
        low, high = model.bottleneck.code_range
        if low > -math.inf or high < math.inf:
            raise ValueError(
                f"needs a code without bounds, but the model's lies in [{low:g}, {high:g}];"
                " set bottleneck=linear or bottleneck=gaussian"
            )

    def prior(self, model: Autoencoder, count: int) -> Tensor:
        """See `PullsToPrior.prior`: draws of N(0, 1)."""
        active = model.bottleneck.active
        return torch.randn(count, len(active), device=active.device) * active


class MMD(_ToNormal):
    """Maximum mean discrepancy between the codes of the batch and as many draws of N(0, 1).

    P = 1/B^2 sum_bc  k(h_b, h_c) + k(z_b, z_c) - 2 k(h_b, z_c),   z ~ N(0, 1)
    k(u, v) = sum_s  c_s / (c_s + |u - v|^2),   c_s = 2 code_size s

    The squared distance of the two samples in the space of the kernel, so never below 0; the references leave out the
    terms b = c, whose share falls with 1/B. A deterministic code becomes a Wasserstein autoencoder, a gaussian one with
    beta 0 its stochastic form, with beta above 0 an InfoVAE.

    References: Wasserstein auto-encoders (Tolstikhin et al., 2018); InfoVAE (Zhao, Song & Ermon, 2019).

    Args:
        weight: lambda.
        scales: the s, each above 0: of the distances that the kernel tells apart, in squared standard deviations.

    Example:
        >>> MMD(weight=10.0, scales=[0.1, 1.0, 10.0])
        MMD(weight=10, scales=[0.1, 1.0, 10.0])
    """

    scales: Tensor

    def __init__(self, *, weight: float = 0.1, scales: Sequence[float] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)) -> None:
        super().__init__(weight=weight)
        if not scales or not all(0 < scale < math.inf for scale in scales):
            raise ValueError(f"scales must list numbers above 0, got {list(scales)}")
        self.register_buffer("scales", torch.tensor(list(scales)), persistent=False)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, scales={[round(scale, 4) for scale in self.scales.tolist()]}"

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        active = model.bottleneck.active
        code = wide(output.code)
        with full_precision(x):
            return discrepancy(code, torch.randn_like(code) * active, 2 * active.sum() * self.scales)


class SlicedWasserstein(_ToNormal):
    """Squared sliced Wasserstein distance of the codes of the batch from as many draws of N(0, 1).

    P = 1/L sum_l 1/B sum_b (s_b - t_b)^2,   s = sort(H u_l),  t = sort(Z u_l),   z_b ~ N(0, 1)

    On a line the distance that is left after the best transport is that of the sorted points; here it is the mean over
    L directions u_l, drawn anew at each step, each of length 1. A deterministic code becomes a sliced Wasserstein
    autoencoder, another form of the WAE.

    Reference: Sliced Wasserstein auto-encoders (Kolouri, Pope, Martin & Rohde, 2019).

    Args:
        weight: lambda.
        projections: L, at least 1.

    Example:
        >>> SlicedWasserstein(weight=10.0, projections=50)
        SlicedWasserstein(weight=10, projections=50)
    """

    def __init__(self, *, weight: float = 0.1, projections: int = 50) -> None:
        super().__init__(weight=weight)
        check_whole("projections", projections, lowest=1)
        self.projections = projections

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, projections={self.projections}"

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        active = model.bottleneck.active
        code = wide(output.code)
        draws = torch.randn_like(code) * active
        directions = torch.randn(self.projections, len(active), dtype=code.dtype, device=code.device) * active
        with full_precision(x):
            return sliced(code, draws, directions / directions.norm(dim=1, keepdim=True))


def total_correlation(code: Tensor, mean: Tensor, log_variance: Tensor, active: Tensor) -> Tensor:
    """The estimate of `TotalCorrelation`, a scalar.

    Args:
        code: (B, code_size), one draw from each normal distribution.
        mean: (B, code_size), its mean.
        log_variance: (B, code_size), its log variance.
        active: (code_size,), 1 for units that count and 0 for others.
    """
    offset = code.unsqueeze(1) - mean  # (B, B, code_size): of code b from the mean of i
    density = -0.5 * (offset.square() / log_variance.exp() + log_variance + math.log(2 * math.pi)) * active
    log_b = math.log(len(code))
    joint = density.sum(dim=2).logsumexp(dim=1) - log_b  # (B,)
    each = density.logsumexp(dim=1) - log_b  # (B, code_size)
    return (joint - (each * active).sum(dim=1)).mean()


def discrepancy(one: Tensor, other: Tensor, widths: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of two samples (B, n) and (C, n), with all pairs, a scalar of at least 0.

    Args:
        one: points of the one sample.
        other: points of the other.
        widths: (s,): the c of the kernel sum_s c_s / (c_s + |u - v|^2).
    """

    def likeness(u: Tensor, v: Tensor) -> Tensor:
        return kernel(u, v, widths).mean()

    return likeness(one, one) + likeness(other, other) - 2 * likeness(one, other)


def sliced(one: Tensor, other: Tensor, directions: Tensor) -> Tensor:
    """Squared Wasserstein distance of two samples (B, n), the mean over the lines along directions (L, n), a scalar."""
    shadows = (each @ directions.T for each in (one, other))
    ours, theirs = (each.sort(dim=0).values for each in shadows)  # each (B, L)
    return (ours - theirs).square().mean()


def kernel(u: Tensor, v: Tensor, widths: Tensor) -> Tensor:
    """sum_s c_s / (c_s + |u_b - v_c|^2) of all pairs of points (B, n) and (C, n): (B, C); widths: the c, (s,)."""
    squares = (u.square().sum(dim=1).unsqueeze(1) + v.square().sum(dim=1) - 2 * u @ v.T).clamp(min=0)  # (B, C)
    # One after another: (B, C, s) at once takes five times as long.
    return torch.stack([width / (width + squares) for width in widths.unbind()]).sum(dim=0)
