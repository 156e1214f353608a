"""The gaussian code of a variational autoencoder.

The encoder gives the mean m and the log variance v of a normal distribution for each input. While training the code is
a draw of it, otherwise it is the mean; the prior N(0, 1) pulls the distribution in, by the Kullback-Leibler divergence:

    z = m + exp(v / 2) e,   e ~ N(0, 1)
    kl = 1/B sum_b sum_j  1/2 (m_bj^2 + exp(v_bj) - 1 - v_bj),   weighted with beta
"""

import math

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks.activity import LEAST_VARIANCE, Activity, Varying
from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck, Draws
from hourglass.losses import Term
from hourglass.system.checks import check_level, check_whole

__all__ = ["Gaussian"]


class Gaussian(Bottleneck):
    """A stochastic code with a normal posterior and a standard normal prior.

    The divergence is in nats per sample, so the reconstruction loss must be too (`loss.reduction=sum`): then beta 1 is
    the evidence lower bound, beta above 1 asks for independent units, and beta 0 leaves the prior out.

    References: Auto-encoding variational Bayes (Kingma & Welling, 2014); beta-VAE (Higgins et al., 2017).

    Args:
        code_size: number of code units; the encoder gives two values for each.
        beta: weight of the divergence, at least 0.
        warmup_steps: training steps over which beta rises linearly from zero, at least 0.

    Example:
        >>> Gaussian(code_size=2, beta=1.0, warmup_steps=0)
        Gaussian(code_size=2, beta=1, warmup_steps=0)
    """

    beta: Tensor
    step: Tensor
    differs = True
    per_sample = True

    def __init__(self, *, code_size: int, beta: float = 1.0, warmup_steps: int = 0) -> None:
        super().__init__(code_size=code_size, inputs=2 * code_size, code_range=(-math.inf, math.inf))
        check_level("beta", beta)
        check_whole("warmup_steps", warmup_steps, lowest=0)
        self.warmup_steps = warmup_steps
        self.register_buffer("beta", torch.tensor(beta))
        self.register_buffer("step", torch.tensor(0.0))

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, beta={self.beta.item():g}, warmup_steps={self.warmup_steps}"

    def posterior(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Encoder outputs (B, 2 code_size) to mean and log variance, each (B, code_size)."""
        mean, log_variance = a.chunk(2, dim=1)
        return mean * self.active, log_variance * self.active

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; the loss term is `kl`, the rate in nats per sample."""
        if not self.training:
            mean, log_variance = self.posterior(a)
            return Bottled(mean, {"kl": self._divergence(mean, log_variance)})
        if self.warmup_steps:
            self.step += 1
        return self.as_trained(a)

    def as_trained(self, a: Tensor) -> Bottled:
        """See `Bottleneck.as_trained`: a draw."""
        mean, log_variance = self.posterior(a)
        draw = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        return Bottled(draw * self.active, {"kl": self._divergence(mean, log_variance)})

    def _divergence(self, mean: Tensor, log_variance: Tensor) -> Term:
        each = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)  # (B, code_size)
        warm = (self.step / self.warmup_steps).clamp(max=1.0) if self.warmup_steps else 1.0
        return Term(each.sum(dim=1).mean(), self.beta * warm)

    @property
    def settled(self) -> bool:
        """See `Bottleneck.settled`: once beta has risen."""
        return float(self.step) >= self.warmup_steps

    def prior(self, count: int) -> Tensor:
        """Draws (count, code_size) of N(0, 1); inactive units are 0."""
        return torch.randn(count, self.code_size, device=self.active.device) * self.active

    def prior_quantiles(self, shares: Tensor) -> Tensor:
        """See `HasQuantiles.prior_quantiles`."""
        values: Tensor = torch.special.ndtri(shares.double())
        return values.float()

    def draws(self, a: Tensor, count: int) -> Draws:
        """Draws, `count` for each of the encoder outputs (B, 2 code_size).

            log p(z) = -1/2 sum_j (z_j^2 + ln 2 pi),   log q(z | x) = -1/2 sum_j (e_j^2 + v_j + ln 2 pi)

        summed over active units.
        """
        mean, log_variance = self.posterior(a)
        e = torch.randn(count, *mean.shape, dtype=mean.dtype, device=mean.device) * self.active
        z = mean + (0.5 * log_variance).exp() * e
        constant = math.log(2 * math.pi) * self.active.sum()
        log_prior = -0.5 * (z.square().sum(dim=2) + constant)
        return Draws(z, log_prior, -0.5 * ((e.square() + log_variance).sum(dim=2) + constant))

    @override
    def slope(self, a: Tensor) -> None:
        """None: mean and variance are not one value per unit."""
        return

    def activity(self) -> Activity:
        """See `Bottleneck.activity`: by the variance of the posterior mean, Var_x E[z_j | x] > .01."""
        return Varying(least=LEAST_VARIANCE)

    def rates(self, a: Tensor) -> Tensor:
        """See `HasRate.rates`: 1/2 (m_j^2 + exp(v_j) - 1 - v_j) of each unit, (B, code_size)."""
        mean, log_variance = self.posterior(a)
        return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
