"""Codes of several stochastic layers: a variational autoencoder whose prior is learned from layer to layer.

The code is z_1; above it stand z_2 ... z_L, of which the top has a standard normal prior:

    p(z) = N(z_L; 0, 1) prod_l N(z_l; m_l(z_{l+1}), s_l(z_{l+1})^2)

With a posterior q(z | x) of all layers the bound on log p(x) is

    E_q log p(x | z_1) - sum_l kl_l,    kl_l = E_q [log q(z_l | .) - log p(z_l | z_{l+1})]

in nats per sample, each layer's by itself. How the posterior goes through the layers, the subclasses say:

    hierarchical    q(z | x) = q(z_1 | x) prod_l q(z_{l+1} | z_l)            upwards, from sample to sample
    ladder          q(z | x) = q(z_L | x) prod_l q(z_l | z_{l+1}, x)         downwards, as the prior goes

Codes are drawn from the top: z_L, then z_{L-1} of it, down to the code.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.bottlenecks.activity import LEAST_VARIANCE, Activity, Varying
from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck, Draws
from hourglass.bottlenecks.normal import Gives, Normal, together
from hourglass.losses import Term
from hourglass.system.checks import check_level, check_whole, check_widths
from hourglass.system.modes import same_draws

__all__ = ["Hierarchical", "Ladder"]


class Layer(NamedTuple):
    """What is known of one stochastic layer for some inputs."""

    z: Tensor
    """(..., units): its values, 0 in units that are not active."""
    posterior: Normal
    """That they were drawn from."""
    prior: Normal
    """Given the layer above."""


class Layered(Bottleneck):
    """A code of several stochastic layers, see the module.

    Args:
        code_size: units of z_1; the encoder gives two values for each.
        upper_sizes: units of z_2, z_3, ..., each at least 1, one layer or more.
        width: units of the hidden layer between two stochastic ones, at least 1.
        beta: weight of the divergences, at least 0.
        warmup_steps: training steps over which beta rises linearly from zero, at least 0.
    """

    beta: Tensor
    step: Tensor
    differs = True
    per_sample = True

    def __init__(
        self, *, code_size: int, upper_sizes: Sequence[int], width: int, beta: float, warmup_steps: int
    ) -> None:
        super().__init__(code_size=code_size, inputs=2 * code_size, code_range=(-math.inf, math.inf))
        check_widths("upper_sizes", upper_sizes)
        if not upper_sizes:
            raise ValueError("upper_sizes must list the units of one layer or more above the code, got []")
        check_whole("width", width, lowest=1)
        check_level("beta", beta)
        check_whole("warmup_steps", warmup_steps, lowest=0)
        self.sizes = [code_size, *upper_sizes]
        self.width = width
        self.warmup_steps = warmup_steps
        self.register_buffer("beta", torch.tensor(beta))
        self.register_buffer("step", torch.tensor(0.0))
        self.below = nn.ModuleList(Gives([upper], width, lower) for lower, upper in pairwise(self.sizes))

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{super().extra_repr()}, upper_sizes={self.sizes[1:]}, width={self.width}, beta={self.beta.item():g},"
            f" warmup_steps={self.warmup_steps}"
        )

    @abstractmethod
    def layers(self, a: Tensor, *, drawn: bool) -> list[Layer]:
        """Encoder outputs (..., 2 code_size) to the layers, the code's first; drawn, or each at its mean."""

    @abstractmethod
    def divergence(self, layer: Layer) -> Tensor:
        """kl_l of each unit, of a layer that isn't the top one and was drawn: (..., units)."""

    def given(self, a: Tensor) -> Normal:
        """What the encoder says of z_1."""
        mean, log_variance = a.chunk(2, dim=-1)
        return Normal(mean * self.active, log_variance * self.active)

    def prior_of(self, number: int, above: Tensor) -> Normal:
        """The prior of layer `number`, counted from 0, the code's, given the values of the one above."""
        _, prior = self.below[number](above)
        return Normal(prior.mean * self.active, prior.log_variance * self.active) if number == 0 else prior

    @staticmethod
    def top_prior(z: Tensor) -> Normal:
        """N(0, 1)."""
        return Normal(torch.zeros_like(z), torch.zeros_like(z))

    def _bottled(self, layers: list[Layer]) -> Bottled:
        warm = (self.step / self.warmup_steps).clamp(max=1.0) if self.warmup_steps else 1.0
        each = [*map(self.divergence, layers[:-1]), layers[-1].posterior.divergence(layers[-1].prior)]
        each[0] = each[0] * self.active
        terms = {f"kl_{number}": Term(kl.sum(-1).mean(), self.beta * warm) for number, kl in enumerate(each, start=1)}
        return Bottled(layers[0].z, terms)

    @override
    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; the terms are `kl_1`, of the code, `kl_2`, ..., in nats per sample."""
        if not self.training:
            return self._bottled(self.layers(a, drawn=False))
        if self.warmup_steps:
            self.step += 1
        return self.as_trained(a)

    @override
    def as_trained(self, a: Tensor) -> Bottled:
        """See `Bottleneck.as_trained`: a draw of all layers."""
        return self._bottled(self.layers(a, drawn=True))

    @property
    def settled(self) -> bool:
        """See `Bottleneck.settled`: once beta has risen."""
        return float(self.step) >= self.warmup_steps

    def prior(self, count: int) -> Tensor:
        """Codes (count, code_size) drawn from the top; inactive units are 0."""
        z = torch.randn(count, self.sizes[-1], device=self.active.device)
        for number in reversed(range(len(self.below))):
            z = self.prior_of(number, z).draw()
        return z * self.active

    def draws(self, a: Tensor, count: int) -> Draws:
        """See `HasDensity.draws`; the densities are those of all layers together."""
        layers = self.layers(a.expand(count, *a.shape), drawn=True)
        log_prior = [layer.prior.log_density(layer.z) for layer in layers]
        log_posterior = [layer.posterior.log_density(layer.z) for layer in layers]
        return Draws(layers[0].z, self._summed(log_prior), self._summed(log_posterior))

    def _summed(self, each: Sequence[Tensor]) -> Tensor:
        """Over the units of all layers, of the code's the active ones."""
        return torch.cat([each[0] * self.active, *each[1:]], dim=-1).sum(-1)

    def rates(self, a: Tensor) -> Tensor:
        """See `HasRate.rates`: of the units of all layers, given one draw of the layers above, always the same."""
        with same_draws(a):
            layers = self.layers(a, drawn=True)
        code, *upper = (layer.posterior.divergence(layer.prior) for layer in layers)
        return torch.cat([code * self.active, *upper], dim=-1)

    @override
    def slope(self, a: Tensor) -> None:
        """None: mean and variance are not one value per unit."""
        return

    def activity(self) -> Activity:
        """See `Bottleneck.activity`: by the variance of the posterior mean, Var_x E[z_1j | x] > .01."""
        return Varying(least=LEAST_VARIANCE)


class Hierarchical(Layered):
    """Several stochastic layers, with a posterior that goes upwards from layer to layer.

        q(z_1 | x) of the encoder,    q(z_{l+1} | z_l) = N(m(z_l), s(z_l)^2)

    What an upper layer is given is a draw of the one below, so that upper ones often stay unused.

    References: Stochastic backpropagation and approximate inference in deep generative models (Rezende, Mohamed &
    Wierstra, 2014); Importance weighted autoencoders (Burda, Grosse & Salakhutdinov, 2016), for two layers.

    Args:
        code_size: units of z_1; the encoder gives two values for each.
        upper_sizes: units of z_2, z_3, ..., each at least 1, one layer or more.
        width: units of the hidden layer between two stochastic ones, at least 1.
        beta: weight of the divergences, at least 0.
        warmup_steps: training steps over which beta rises linearly from zero, at least 0.

    Example:
        >>> code = Hierarchical(code_size=4, upper_sizes=[2], width=8)(torch.zeros(3, 8))
        >>> code.code.shape, list(code.losses)
        (torch.Size([3, 4]), ['kl_1', 'kl_2'])
    """

    def __init__(
        self,
        *,
        code_size: int,
        upper_sizes: Sequence[int] = (16,),
        width: int = 64,
        beta: float = 1.0,
        warmup_steps: int = 0,
    ) -> None:
        super().__init__(
            code_size=code_size, upper_sizes=upper_sizes, width=width, beta=beta, warmup_steps=warmup_steps
        )
        self.above = nn.ModuleList(Gives([lower], width, upper) for lower, upper in pairwise(self.sizes))

    @override
    def layers(self, a: Tensor, *, drawn: bool) -> list[Layer]:
        posteriors = [self.given(a)]
        values = [self._value(posteriors[0], drawn=drawn) * self.active]
        for above in self.above:
            posteriors.append(above(values[-1])[1])
            values.append(self._value(posteriors[-1], drawn=drawn))
        priors = [self.prior_of(number, z) for number, z in enumerate(values[1:])]
        return [Layer(*each) for each in zip(values, posteriors, [*priors, self.top_prior(values[-1])], strict=True)]

    @staticmethod
    def _value(normal: Normal, *, drawn: bool) -> Tensor:
        return normal.draw() if drawn else normal.mean

    @override
    def divergence(self, layer: Layer) -> Tensor:
        """See `Layered.divergence`: at the draw, because the layer above was drawn of it."""
        return layer.posterior.log_density(layer.z) - layer.prior.log_density(layer.z)


class Ladder(Layered):
    """Several stochastic layers, with a posterior that goes downwards as the prior does.

    On its way up the encoder says of every layer m^ and s^, without drawing; on the way down the prior of the layer and
    what was said are put together, weighted by how sure each is:

        q(z_l | z_{l+1}, x) = N(s^2 (m^ / s^^2 + m_p / s_p^2), s^2),    1 / s^2 = 1 / s^^2 + 1 / s_p^2

    Reference: Ladder variational autoencoders (Sonderby, Raiko, Maaloe, Sonderby & Winther, 2016), who let beta rise
    from zero (`warmup_steps`); without their batch normalisation.

    Args:
        code_size: units of z_1; the encoder gives two values for each.
        upper_sizes: units of z_2, z_3, ..., each at least 1, one layer or more.
        width: units of the hidden layer between two stochastic ones, at least 1.
        beta: weight of the divergences, at least 0.
        warmup_steps: training steps over which beta rises linearly from zero, at least 0.

    Example:
        >>> code = Ladder(code_size=4, upper_sizes=[2], width=8)(torch.zeros(3, 8))
        >>> code.code.shape, list(code.losses)
        (torch.Size([3, 4]), ['kl_1', 'kl_2'])
    """

    def __init__(
        self,
        *,
        code_size: int,
        upper_sizes: Sequence[int] = (16,),
        width: int = 64,
        beta: float = 1.0,
        warmup_steps: int = 0,
    ) -> None:
        super().__init__(
            code_size=code_size, upper_sizes=upper_sizes, width=width, beta=beta, warmup_steps=warmup_steps
        )
        given = [[code_size, code_size], *([width] for _ in upper_sizes[1:])]
        self.above = nn.ModuleList(Gives(each, width, size) for each, size in zip(given, upper_sizes, strict=True))

    @override
    def layers(self, a: Tensor, *, drawn: bool) -> list[Layer]:
        said: list[Normal] = [self.given(a)]
        known: tuple[Tensor, ...] = said[0]
        for above in self.above:
            hidden, normal = above(*known)
            known = (hidden,)
            said.append(normal)
        found = [self._layer(said[-1], self.top_prior(said[-1].mean), drawn=drawn)]
        for number in reversed(range(len(self.below))):
            prior = self.prior_of(number, found[0].z)
            found.insert(0, self._layer(together(said[number], prior), prior, drawn=drawn))
        return [found[0]._replace(z=found[0].z * self.active), *found[1:]]

    @staticmethod
    def _layer(posterior: Normal, prior: Normal, *, drawn: bool) -> Layer:
        return Layer(posterior.draw() if drawn else posterior.mean, posterior, prior)

    @override
    def divergence(self, layer: Layer) -> Tensor:
        """See `Layered.divergence`: by its formula, since the layer above came first."""
        return layer.posterior.divergence(layer.prior)
