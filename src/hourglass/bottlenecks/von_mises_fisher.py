"""A variational code on a sphere: von Mises-Fisher posterior, uniform prior.

A point of the unit sphere in n dimensions, drawn around a mean direction m with concentration k:

    q(z | x) = C_n(k) exp(k m.z),   C_n(k) = k^(n/2 - 1) / ((2 pi)^(n/2) I_{n/2 - 1}(k))
    KL = k I_{n/2}(k) / I_{n/2 - 1}(k) + log C_n(k) + log S_n,   S_n = 2 pi^(n/2) / Gamma(n/2) the sphere's surface

A draw is w m + sqrt(1 - w^2) v, with v a uniform direction across m, and w drawn by rejection (Wood, 1994) with

    f(w) ~ exp(k w) (1 - w^2)^((n - 3) / 2),   dw/dk = -(dF/dk) / f = 1/f(w) int_w^1 (t - E t) f(t) dt

as its implicit gradient (Figurnov et al., 2018): exact, where the gradient of an accepted proposal alone is not.
"""

import math

import torch
import torch.nn.functional as F
from numpy.polynomial.legendre import leggauss
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks.activity import Activity, Varying
from hourglass.bottlenecks.bessel import log_bessel
from hourglass.bottlenecks.bottleneck import Draws
from hourglass.bottlenecks.variational import Drawn, Variational
from hourglass.system.checks import check_whole

__all__ = ["VonMisesFisher"]

_PROPOSALS = 24  # of which the first accepted one counts: two thirds are, so that all fail once in 10^11 draws
_NODES = 48  # of the integral in the gradient
_LEAST = 1e-12


class VonMisesFisher(Variational):
    """A hyperspherical code: a direction, drawn from a von Mises-Fisher distribution.

    No direction is nearer to the prior than another, so that the concentration alone costs nats and the means spread
    over the sphere instead of crowding at the origin. Divergence and beta: `Variational`. Outside training the code is
    the mean direction. A sphere of many dimensions has little room: the reference finds it best below about 20.

    References: Hyperspherical variational auto-encoders (Davidson et al., 2018); Simulation of the von Mises Fisher
    distribution (Wood, 1994); Implicit reparameterization gradients (Figurnov et al., 2018).

    Args:
        code_size: n, at least 2: the sphere has one dimension less. The encoder gives two values for each unit, the
            direction's, and some whose mean a is the concentration, softplus(a) + 1.
        beta: weight of the divergence, at least 0.
        warmup_steps: training steps over which beta rises linearly from zero, at least 0.

    Example:
        >>> VonMisesFisher(code_size=3, beta=1.0, warmup_steps=0)
        VonMisesFisher(code_size=3, beta=1, warmup_steps=0)
    """

    nodes: Tensor
    weights: Tensor

    def __init__(self, *, code_size: int, beta: float = 1.0, warmup_steps: int = 0) -> None:
        super().__init__(
            code_size=code_size, inputs=2 * code_size, code_range=(-1.0, 1.0), beta=beta, warmup_steps=warmup_steps
        )
        check_whole("code_size", code_size, lowest=2)
        nodes, weights = leggauss(_NODES)
        self.register_buffer("nodes", torch.from_numpy((nodes + 1) / 2), persistent=False)
        self.register_buffer("weights", torch.from_numpy(weights / 2), persistent=False)

    @property
    def _dimension(self) -> Tensor:
        """How many units count."""
        return self.active.sum()

    def _read(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Encoder outputs (B, 2 code_size) to mean direction (B, code_size) and concentration (B,)."""
        direction, concentration = a.chunk(2, dim=-1)
        each = (concentration * self.active).sum(dim=-1) / self._dimension
        return _unit(direction * self.active), F.softplus(each) + 1

    @override
    def in_use(self, a: Tensor) -> Tensor:
        return self._read(a)[0]

    @override
    def drawn(self, a: Tensor) -> Drawn:
        mean, concentration = self._read(a)
        return Drawn(self._around(mean, concentration), self._rates(concentration))

    @override
    def exact_rates(self, a: Tensor) -> Tensor:
        return self._rates(self._read(a)[1])

    def _rates(self, concentration: Tensor) -> Tensor:
        log_bessel_, ratio = log_bessel(self._dimension / 2 - 1, concentration)
        whole = concentration * ratio + self._log_constant(concentration, log_bessel_) + self._log_surface()
        return whole.to(concentration.dtype).unsqueeze(1)

    def _log_constant(self, concentration: Tensor, log_bessel_: Tensor) -> Tensor:
        half = self._dimension.double() / 2
        return (half - 1) * concentration.double().log() - half * math.log(2 * math.pi) - log_bessel_

    def _log_surface(self) -> Tensor:
        half = self._dimension.double() / 2
        return math.log(2) + half * math.log(math.pi) - torch.lgamma(half)

    def _around(self, mean: Tensor, concentration: Tensor) -> Tensor:
        """A draw for each mean direction (..., code_size) and concentration (...)."""
        short = self._short(concentration).unsqueeze(-1)  # 1 - w
        across = torch.randn_like(mean) * self.active
        for _ in range(2):  # the second time for draws that lay almost along the mean
            across = _unit(across - (across * mean).sum(dim=-1, keepdim=True) * mean)
        return (1 - short) * mean + (short * (2 - short)).clamp(min=_LEAST).sqrt() * across

    def _short(self, concentration: Tensor) -> Tensor:
        """1 - w for each concentration (...), with the implicit gradient."""
        short = self._rejected(concentration.detach())
        slope = self._slope(concentration.detach(), short)
        return short - (concentration - concentration.detach()) * slope

    def _rejected(self, k: Tensor) -> Tensor:
        """1 - w by Wood's rejection; as many proposals for all, since a stack can't wait for one."""
        n1 = self._dimension - 1
        k = k.unsqueeze(-1)
        root = (4 * k.square() + n1.square()).sqrt()
        b, a = n1 / (2 * k + root), (n1 + 2 * k + root) / 4
        # A coordinate of a uniform direction: e = (1 + u_1) / 2 is Beta((n - 1) / 2, (n - 1) / 2).
        g = torch.randn(*k.shape[:-1], _PROPOSALS, self.code_size, dtype=k.dtype, device=k.device) * self.active
        first = torch.arange(self.code_size, device=k.device) == self.active.argmax()  # a unit that counts
        e = (1 + (_unit(g) * first).sum(dim=-1)) / 2
        below = 1 - (1 - b) * e
        t = 2 * a * b / below
        accepted = n1 * t.log() - t + 4 * a * b / (1 + b) - n1 * n1.log() >= torch.rand_like(e).log()
        chosen = accepted.to(k.dtype).argmax(dim=-1, keepdim=True)  # the first
        return (2 * b * e / below).gather(-1, chosen).squeeze(-1).clamp(_LEAST, 2 - _LEAST)

    def _slope(self, k: Tensor, short: Tensor) -> Tensor:
        """dw/dk, by quadrature over t = w + (1 - w) (1 - s^2), which leaves nothing singular at t = 1."""
        k, short = k.double().unsqueeze(-1), short.double().unsqueeze(-1)
        ratio = log_bessel(self._dimension / 2 - 1, k)[1]
        left = self.nodes.square()  # (1 - t) / (1 - w)
        # (1 - t^2) / (1 - w^2) = left (2 - short left) / (2 - short); its left is taken together with dt = 2 s ds
        power = (self._dimension.double() - 3) / 2
        log_f = k * short * (1 - left) + power * ((2 - short * left) / (2 - short)).log()
        f = log_f.exp() * 2 * self.nodes ** (self._dimension.double() - 2)
        return (((1 - short * left) - ratio) * f * short * self.weights).sum(dim=-1).to(self.active.dtype)

    def prior(self, count: int) -> Tensor:
        """Uniform directions (count, code_size); inactive units are 0."""
        return _unit(torch.randn(count, self.code_size, device=self.active.device) * self.active)

    def draws(self, a: Tensor, count: int) -> Draws:
        """Draws, `count` for each of the encoder outputs (B, 2 code_size); densities are on the sphere."""
        mean, concentration = (each.expand(count, *each.shape) for each in self._read(a))
        code = self._around(mean, concentration)
        constant = self._log_constant(concentration, log_bessel(self._dimension / 2 - 1, concentration)[0])
        log_posterior = concentration * (mean * code).sum(dim=-1) + constant.to(code.dtype)
        return Draws(code, (-self._log_surface()).to(code.dtype).expand_as(log_posterior), log_posterior)

    @override
    def activity(self) -> Activity:
        """See `Bottleneck.activity`: by the variance beside that of the most variable unit."""
        return Varying(least=None)


def _unit(x: Tensor) -> Tensor:
    return x / x.square().sum(dim=-1, keepdim=True).clamp(min=_LEAST).sqrt()
