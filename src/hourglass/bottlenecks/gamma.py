"""A variational code of positive numbers: gamma posterior and gamma prior.

    q(z_j | x) = Gamma(z_j; shape s_j, rate r_j),   p(z_j) = Gamma(z_j; s, r),   Gamma(z; s, r) ~ z^(s - 1) exp(-r z)
    KL = (s_j - s) psi(s_j) - ln G(s_j) + ln G(s) + s (ln r_j - ln r) + s_j (r / r_j - 1)

with G the gamma function and psi its logarithmic derivative. Draws pass their gradient to shape and rate implicitly,
dz/ds = -(dF/ds) / q(z), F the distribution function: exact, where the gradient of an accepted proposal alone is not.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks.activity import Activity, Varying
from hourglass.bottlenecks.bottleneck import Draws
from hourglass.bottlenecks.variational import Drawn, Variational
from hourglass.system.checks import check_above
from hourglass.system.torch_internals import standard_gamma

__all__ = ["Gamma"]

_LEAST = 1e-3  # of shape and rate: below, a draw is too near to 0 for 32 bits


class Gamma(Variational):
    """A code of positive units, each drawn from a gamma distribution.

    Divergence and beta: `Variational`. Outside training the code is the mean s_j / r_j.

    References: Reparameterization gradients through acceptance-rejection sampling algorithms (Naesseth et al., 2017);
    the gradient is that of Implicit reparameterization gradients (Figurnov et al., 2018).

    Args:
        code_size: number of code units; the encoder gives two values a for each, whose softplus are shape and rate.
        beta: weight of the divergence, at least 0.
        warmup_steps: training steps over which beta rises linearly from zero, at least 0.
        prior_shape: s, above 0; above 1 the likeliest value is not 0.
        prior_rate: r, above 0.

    Example:
        >>> Gamma(code_size=2, beta=1.0, warmup_steps=0, prior_shape=2.0, prior_rate=1.0)
        Gamma(code_size=2, beta=1, warmup_steps=0, prior_shape=2, prior_rate=1)
    """

    prior_shape: Tensor
    prior_rate: Tensor

    def __init__(
        self,
        *,
        code_size: int,
        beta: float = 1.0,
        warmup_steps: int = 0,
        prior_shape: float = 2.0,
        prior_rate: float = 1.0,
    ) -> None:
        super().__init__(
            code_size=code_size, inputs=2 * code_size, code_range=(0.0, math.inf), beta=beta, warmup_steps=warmup_steps
        )
        check_above("prior_shape", prior_shape)
        check_above("prior_rate", prior_rate)
        self.register_buffer("prior_shape", torch.tensor(prior_shape))
        self.register_buffer("prior_rate", torch.tensor(prior_rate))

    def extra_repr(self) -> str:
        """The settings."""
        shape, rate = self.prior_shape.item(), self.prior_rate.item()
        return f"{super().extra_repr()}, prior_shape={shape:g}, prior_rate={rate:g}"

    def _read(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Encoder outputs (B, 2 code_size) to shape and rate, each (B, code_size)."""
        shape, rate = (F.softplus(each) + _LEAST for each in a.chunk(2, dim=-1))
        return shape, rate

    @override
    def in_use(self, a: Tensor) -> Tensor:
        shape, rate = self._read(a)
        return shape / rate * self.active

    @override
    def drawn(self, a: Tensor) -> Drawn:
        shape, rate = self._read(a)
        return Drawn(_draw(shape) / rate * self.active, self._divergences(shape, rate))

    @override
    def exact_rates(self, a: Tensor) -> Tensor:
        return self._divergences(*self._read(a))

    def _divergences(self, shape: Tensor, rate: Tensor) -> Tensor:
        s, r = self.prior_shape, self.prior_rate
        each = (shape - s) * torch.digamma(shape) - torch.lgamma(shape) + torch.lgamma(s)
        return (each + s * (rate.log() - r.log()) + shape * (r / rate - 1)) * self.active

    def prior(self, count: int) -> Tensor:
        """Draws (count, code_size) of the prior; inactive units are 0."""
        return _draw(self.prior_shape.expand(count, self.code_size)) / self.prior_rate * self.active

    def draws(self, a: Tensor, count: int) -> Draws:
        """Draws, `count` for each of the encoder outputs (B, 2 code_size)."""
        shape, rate = self._read(a)
        code = _draw(shape.expand(count, *shape.shape)) / rate
        densities = (self._log_density(code, *each) for each in ((self.prior_shape, self.prior_rate), (shape, rate)))
        log_prior, log_posterior = densities
        return Draws(code * self.active, log_prior, log_posterior)

    def _log_density(self, z: Tensor, shape: Tensor, rate: Tensor) -> Tensor:
        each = shape * rate.log() - torch.lgamma(shape) + (shape - 1) * z.log() - rate * z
        return (each * self.active).sum(dim=-1)

    def prior_quantiles(self, shares: Tensor) -> Tensor:
        """See `HasQuantiles.prior_quantiles`."""
        from scipy.special import gammaincinv

        shape, rate = self.prior_shape.item(), self.prior_rate.item()
        return torch.from_numpy(gammaincinv(shape, shares.double().cpu().numpy()) / rate).float()

    @override
    def activity(self) -> Activity:
        """See `Bottleneck.activity`: by the variance beside that of the most variable unit."""
        return Varying(least=None)


def _draw(shape: Tensor) -> Tensor:
    """Of Gamma(shape, 1), with its implicit gradient."""
    return standard_gamma(shape).clamp(min=torch.finfo(shape.dtype).tiny)
