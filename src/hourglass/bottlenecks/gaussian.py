"""The gaussian code of a variational autoencoder.

The encoder gives the mean m and the log variance v of a normal distribution for each input. While training the code is
a draw of it, otherwise it is the mean; the prior, N(0, 1) unless another is chosen, pulls the distribution in, by the
Kullback-Leibler divergence:

    z = m + exp(v / 2) e,   e ~ N(0, 1)
    kl = 1/B sum_b sum_j  1/2 (m_bj^2 + exp(v_bj) - 1 - v_bj),   weighted with beta
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.bottlenecks.activity import LEAST_VARIANCE, Activity, Varying
from hourglass.bottlenecks.bottleneck import Draws
from hourglass.bottlenecks.priors import Prior, StandardNormal, normal_log_density
from hourglass.bottlenecks.variational import Drawn, Variational

__all__ = ["Gaussian"]


class Gaussian(Variational):
    """A stochastic code with a normal posterior.

    Divergence and beta: `Variational`. With N(0, 1) as the prior the divergence has a formula, with any other it is
    estimated by the draw.

    References: Auto-encoding variational Bayes (Kingma & Welling, 2014); beta-VAE (Higgins et al., 2017).

    Args:
        code_size: number of code units; the encoder gives two values for each.
        beta: weight of the divergence, at least 0.
        warmup_steps: training steps over which beta rises linearly from zero, at least 0.
        prior: builds the prior from the code size.

    Example:
        >>> Gaussian(code_size=2, beta=1.0, warmup_steps=0)
        Gaussian(
          code_size=2, beta=1, warmup_steps=0
          (density): StandardNormal()
        )
    """

    def __init__(
        self,
        *,
        code_size: int,
        beta: float = 1.0,
        warmup_steps: int = 0,
        prior: Callable[..., Prior] = StandardNormal,
    ) -> None:
        super().__init__(
            code_size=code_size,
            inputs=2 * code_size,
            code_range=(-math.inf, math.inf),
            beta=beta,
            warmup_steps=warmup_steps,
        )
        self.density = prior(code_size=code_size)  # not `prior`: that draws from it

    @property
    @override
    def asks_encoder(self) -> bool:
        return self.density.asks_encoder

    @override
    def attach(self, *, encoder: nn.Module, shape: tuple[int, ...]) -> None:
        self.density.attach(bottleneck=self, encoder=encoder, shape=shape)

    @override
    def begin(self, x: Tensor) -> None:
        self.density.begin(x)

    def posterior(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Encoder outputs (B, 2 code_size) to mean and log variance, each (B, code_size)."""
        mean, log_variance = a.chunk(2, dim=1)
        return mean * self.active, log_variance * self.active

    @override
    def in_use(self, a: Tensor) -> Tensor:
        return self.posterior(a)[0]

    @override
    def drawn(self, a: Tensor) -> Drawn:
        mean, log_variance = self.posterior(a)
        e = torch.randn_like(mean)
        code = (mean + (0.5 * log_variance).exp() * e) * self.active
        rates = self.density.divergences(mean, log_variance)
        if rates is None:
            log_posterior = normal_log_density(e * self.active, log_variance, self.active)
            rates = (log_posterior - self.density.log_density(code, self.active)).unsqueeze(1)
        return Drawn(code, rates)

    @override
    def exact_rates(self, a: Tensor) -> Tensor | None:
        return self.density.divergences(*self.posterior(a))

    def prior(self, count: int) -> Tensor:
        """Draws (count, code_size) of the prior; inactive units are 0."""
        return self.density.draw(count, self.active)

    def prior_quantiles(self, shares: Tensor) -> Tensor | None:
        """See `HasQuantiles.prior_quantiles`."""
        return self.density.quantiles(shares)

    def draws(self, a: Tensor, count: int) -> Draws:
        """Draws, `count` for each of the encoder outputs (B, 2 code_size).

            log q(z | x) = -1/2 sum_j (e_j^2 + v_j + ln 2 pi)

        summed over active units.
        """
        mean, log_variance = self.posterior(a)
        e = torch.randn(count, *mean.shape, dtype=mean.dtype, device=mean.device) * self.active
        z = mean + (0.5 * log_variance).exp() * e
        log_posterior = normal_log_density(e, log_variance, self.active)
        return Draws(z, self.density.log_density(z, self.active), log_posterior)

    @override
    def activity(self) -> Activity:
        """See `Bottleneck.activity`: by the variance of the posterior mean, Var_x E[z_j | x] > .01."""
        return Varying(least=LEAST_VARIANCE)
