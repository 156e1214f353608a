"""A variational code whose normal posterior a flow bends.

    z_0 = m + exp(v / 2) e,  e ~ N(0, 1),   z = f(z_0; h),   kl = 1/B sum_b log q(z_b | x_b) - log p(z_b)
    log q(z | x) = log N(z_0; m, exp(v)) - log |det df / dz_0|

The encoder gives mean m, log variance v and context h, see `hourglass.bottlenecks.flows`.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.bottlenecks.activity import LEAST_VARIANCE, Activity, Varying
from hourglass.bottlenecks.bottleneck import Draws
from hourglass.bottlenecks.flows import Flow, InverseAutoregressive
from hourglass.bottlenecks.priors import Prior, StandardNormal, normal_log_density
from hourglass.bottlenecks.variational import Drawn, Variational

__all__ = ["FlowGaussian"]


class FlowGaussian(Variational):
    """A stochastic code whose posterior is a normal distribution that a flow has bent.

    Divergence and beta: `Variational`; the divergence is estimated by the draw. Outside training the code is what the
    flow makes of the mean.

    Reference: Variational inference with normalizing flows (Rezende & Mohamed, 2015).

    Args:
        code_size: number of code units; the encoder gives three values for each.
        beta: weight of the divergence, at least 0.
        warmup_steps: training steps over which beta rises linearly from zero, at least 0.
        prior: builds the prior from the code size.
        flow: builds the flow from the code size.

    Example:
        >>> from functools import partial
        >>> from hourglass.bottlenecks import Householder
        >>> FlowGaussian(code_size=2, beta=1.0, warmup_steps=0, flow=partial(Householder, steps=1))
        FlowGaussian(
          code_size=2, beta=1, warmup_steps=0
          (density): StandardNormal()
          (flow): Householder(
            code_size=2
            (steps): ModuleList(
              (0): _Reflection(
                (following): Identity()
              )
            )
          )
        )
    """

    def __init__(
        self,
        *,
        code_size: int,
        beta: float = 1.0,
        warmup_steps: int = 0,
        prior: Callable[..., Prior] = StandardNormal,
        flow: Callable[..., Flow] = InverseAutoregressive,
    ) -> None:
        super().__init__(
            code_size=code_size,
            inputs=3 * code_size,
            code_range=(-math.inf, math.inf),
            beta=beta,
            warmup_steps=warmup_steps,
        )
        self.density = prior(code_size=code_size)
        self.flow = flow(code_size=code_size)

    @override
    def attach(self, *, encoder: nn.Module, shape: tuple[int, ...]) -> None:
        self.density.attach(bottleneck=self, encoder=encoder, shape=shape)

    @override
    def begin(self, x: Tensor) -> None:
        self.density.begin(x)

    def _read(self, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encoder outputs (B, 3 code_size) to mean, log variance and context, each (B, code_size)."""
        mean, log_variance, context = a.chunk(3, dim=-1)
        return mean * self.active, log_variance * self.active, context * self.active

    @override
    def in_use(self, a: Tensor) -> Tensor:
        mean, _, context = self._read(a)
        return self.flow(mean, context, self.active).code  # type: ignore[no-any-return]

    @override
    def drawn(self, a: Tensor) -> Drawn:
        code, log_prior, log_posterior = self.draws(a, 1)
        return Drawn(code.squeeze(0), (log_posterior - log_prior).transpose(0, 1))

    @override
    def exact_rates(self, a: Tensor) -> None:
        """None: a bent density has its value at draws only."""
        return

    def prior(self, count: int) -> Tensor:
        """Draws (count, code_size) of the prior; inactive units are 0."""
        return self.density.draw(count, self.active)

    def prior_quantiles(self, shares: Tensor) -> Tensor | None:
        """See `HasQuantiles.prior_quantiles`."""
        return self.density.quantiles(shares)

    def draws(self, a: Tensor, count: int) -> Draws:
        """Draws, `count` for each of the encoder outputs (B, 3 code_size), with their densities."""
        mean, log_variance, context = self._read(a)
        e = torch.randn(count, *mean.shape, dtype=mean.dtype, device=mean.device) * self.active
        code, log_determinant = self.flow(mean + (0.5 * log_variance).exp() * e, context, self.active)
        log_posterior = normal_log_density(e, log_variance, self.active) - log_determinant
        return Draws(code, self.density.log_density(code, self.active), log_posterior)

    @override
    def activity(self) -> Activity:
        """See `Bottleneck.activity`: by the variance of the code in use, as of a gaussian one."""
        return Varying(least=LEAST_VARIANCE)
