"""A variational code in hyperbolic space: wrapped normal distributions on the Poincare ball.

The ball of radius 1/sqrt(c) has the metric l_z^2 |dz|^2, l_z = 2 / (1 - c |z|^2): room grows exponentially with the
distance from the centre, as the nodes of a tree do with their depth. With Moebius addition (+) and exp_0:

    exp_0(u) = tanh(sqrt(c) |u|) u / (sqrt(c) |u|),   d(x, y) = 2/sqrt(c) artanh(sqrt(c) |-x (+) y|)
    z = m (+) exp_0(v / 2),   v ~ N(0, exp(s)),  m = exp_0(a / 2)
    log q(z | x) = log N(v; 0, exp(s)) - (n - 1) log(sinh(sqrt(c) |v|) / (sqrt(c) |v|)),   |v| = d(m, z)

The prior is the wrapped N(0, 1) at the centre. Densities are against the volume of the ball.
"""

import math

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks.activity import Activity, Varying
from hourglass.bottlenecks.bottleneck import Draws
from hourglass.bottlenecks.priors import normal_log_density
from hourglass.bottlenecks.variational import Drawn, Variational
from hourglass.system.checks import check_above

__all__ = ["Poincare", "moebius_add"]

_EDGE = 1e-5  # of the radius that no point comes nearer to: there distances are beyond what 32 bits hold
_LEAST = 1e-12


class Poincare(Variational):
    """A code of points of the Poincare ball, each drawn from a wrapped normal distribution.

    Divergence and beta: `Variational`; the divergence is estimated by the draw. Outside training the code is the centre
    m of the distribution. The decoder sees the points' coordinates; the reference also tries layers of gyroplanes.

    References: Continuous hierarchical representations with Poincare variational auto-encoders (Mathieu et al., 2019);
    A wrapped normal distribution on hyperbolic space (Nagano et al., 2019).

    Args:
        code_size: n, number of code units; the encoder gives two values for each.
        beta: weight of the divergence, at least 0.
        warmup_steps: training steps over which beta rises linearly from zero, at least 0.
        curvature: c, above 0; towards 0 the space becomes flat.

    Example:
        >>> Poincare(code_size=2, beta=1.0, warmup_steps=0, curvature=1.0)
        Poincare(code_size=2, beta=1, warmup_steps=0, curvature=1)
    """

    def __init__(self, *, code_size: int, beta: float = 1.0, warmup_steps: int = 0, curvature: float = 1.0) -> None:
        check_above("curvature", curvature)
        radius = 1 / math.sqrt(curvature)
        super().__init__(
            code_size=code_size,
            inputs=2 * code_size,
            code_range=(-radius, radius),
            beta=beta,
            warmup_steps=warmup_steps,
        )
        self.curvature = curvature

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, curvature={self.curvature:g}"

    def _read(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Encoder outputs (B, 2 code_size) to centre and log variance, each (B, code_size)."""
        at, log_variance = a.chunk(2, dim=-1)
        return self._exp(at * self.active / 2), log_variance * self.active

    @override
    def in_use(self, a: Tensor) -> Tensor:
        return self._read(a)[0]

    @override
    def drawn(self, a: Tensor) -> Drawn:
        code, log_prior, log_posterior = self.draws(a, 1)
        return Drawn(code.squeeze(0), (log_posterior - log_prior).transpose(0, 1))

    @override
    def exact_rates(self, a: Tensor) -> None:
        """None: the divergence of two wrapped distributions has no formula."""
        return

    def draws(self, a: Tensor, count: int) -> Draws:
        """Draws, `count` for each of the encoder outputs (B, 2 code_size); densities are against the ball's volume."""
        centre, log_variance = self._read(a)
        e = torch.randn(count, *centre.shape, dtype=centre.dtype, device=centre.device) * self.active
        v = (0.5 * log_variance).exp() * e
        code = self._inside(moebius_add(centre, self._exp(v / 2), self.curvature))
        log_posterior = normal_log_density(e, log_variance, self.active) - self._log_volume(_norm(v))
        return Draws(code, self.log_prior(code), log_posterior)

    def log_prior(self, z: Tensor) -> Tensor:
        """Log p(z) of points (..., code_size) of the ball, (...)."""
        root = math.sqrt(self.curvature)
        distance = 2 / root * (root * _norm(z)).clamp(max=1 - _EDGE).atanh()
        normal = -0.5 * (distance.square() + math.log(2 * math.pi) * self.active.sum())
        return normal - self._log_volume(distance)

    def prior(self, count: int) -> Tensor:
        """Draws (count, code_size) of the wrapped N(0, 1) at the centre; inactive units are 0."""
        v = torch.randn(count, self.code_size, device=self.active.device) * self.active
        return self._exp(v / 2)

    def _log_volume(self, distance: Tensor) -> Tensor:
        """(n - 1) log(sinh(r) / r), r = sqrt(c) d: how much more room there is at a distance than in flat space."""
        r = (math.sqrt(self.curvature) * distance).clamp(min=1e-4)
        return (self.active.sum() - 1) * (r + torch.log(-torch.expm1(-2 * r)) - math.log(2) - r.log())

    def _exp(self, u: Tensor) -> Tensor:
        root = math.sqrt(self.curvature)
        length = _norm(u).unsqueeze(-1) * root
        return self._inside(length.tanh() / length * u)

    def _inside(self, z: Tensor) -> Tensor:
        highest = (1 - _EDGE) / math.sqrt(self.curvature)
        return z * (highest / _norm(z)).clamp(max=1.0).unsqueeze(-1)

    @override
    def activity(self) -> Activity:
        """See `Bottleneck.activity`: by the variance beside that of the most variable unit."""
        return Varying(least=None)


def moebius_add(x: Tensor, y: Tensor, curvature: float) -> Tensor:
    """X (+) y of points (..., n) of the Poincare ball.

    ((1 + 2 c x.y + c |y|^2) x + (1 - c |x|^2) y) / (1 + 2 c x.y + c^2 |x|^2 |y|^2)
    """
    c = curvature
    xy, xx, yy = ((u * v).sum(dim=-1, keepdim=True) for u, v in ((x, y), (x, x), (y, y)))
    return ((1 + 2 * c * xy + c * yy) * x + (1 - c * xx) * y) / (1 + 2 * c * xy + c**2 * xx * yy)


def _norm(x: Tensor) -> Tensor:
    """|x| of (..., n), with a gradient at 0 too."""
    return x.square().sum(dim=-1).clamp(min=_LEAST).sqrt()
