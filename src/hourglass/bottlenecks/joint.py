"""A variational code of which some units are categories and the others numbers.

The first G K units are G one-hot groups of K, softened while training by Gumbel noise, the others gaussian. Each part
has a capacity C in nats, which rises from 0 over the training, and its divergence is held to it:

    min L + g |KL(q(z | x), N(0, 1)) - C_z| + g |KL(q(c | x), uniform) - C_c|,   C = C_max min(1, step / steps)

Without a capacity of its own the category is what a training gives up first, since numbers can say the same.
"""

import math

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks.activity import LEAST_VARIANCE, Activity, Varying
from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck
from hourglass.losses import Term
from hourglass.system.checks import check_above, check_level, check_whole

__all__ = ["Joint"]


class Joint(Bottleneck):
    """A code of one-hot groups and gaussian units.

    Outside training the code is the likeliest category of each group, and the means.

    References: Learning disentangled joint continuous and discrete representations (Dupont, 2018); Categorical
    reparameterization with Gumbel-softmax (Jang, Gu & Poole, 2017).

    Args:
        code_size: number of code units, more than groups x categories.
        groups: G, at least 1.
        categories: K, at least 2.
        temperature: of the softened categories, above 0.
        gamma: g, weight of what a divergence is away from its capacity, at least 0.
        capacity: C_max of the gaussian units together, in nats, at least 0.
        discrete_capacity: C_max of the groups together, at least 0, and no more than G log K, what they can hold.
        capacity_steps: training steps over which both rise, at least 1.

    Example:
        >>> Joint(code_size=12, groups=1, categories=10, capacity=5.0)
        Joint(code_size=12, groups=1, categories=10, temperature=0.67, gamma=30, capacity=5, discrete_capacity=5)
    """

    temperature: Tensor
    gamma: Tensor
    capacity: Tensor
    discrete_capacity: Tensor
    step: Tensor
    differs = True
    per_sample = True

    def __init__(
        self,
        *,
        code_size: int,
        groups: int = 1,
        categories: int = 10,
        temperature: float = 0.67,
        gamma: float = 30.0,
        capacity: float = 5.0,
        discrete_capacity: float = 5.0,
        capacity_steps: int = 2000,
    ) -> None:
        super().__init__(code_size=code_size, inputs=2 * code_size, code_range=(-math.inf, math.inf))
        _check(code_size, groups, categories, temperature, capacity_steps)
        for key, value in (("gamma", gamma), ("capacity", capacity), ("discrete_capacity", discrete_capacity)):
            check_level(key, value)
        self.groups, self.categories, self.capacity_steps = groups, categories, capacity_steps
        self.register_buffer("temperature", torch.tensor(temperature))
        self.register_buffer("gamma", torch.tensor(gamma))
        self.register_buffer("capacity", torch.tensor(capacity))
        self.register_buffer("discrete_capacity", torch.tensor(discrete_capacity))
        self.register_buffer("step", torch.tensor(0.0))

    def extra_repr(self) -> str:
        """The settings."""
        names = ("temperature", "gamma", "capacity", "discrete_capacity")
        numbers = ", ".join(f"{name}={getattr(self, name).item():g}" for name in names)
        return f"{super().extra_repr()}, groups={self.groups}, categories={self.categories}, {numbers}"

    @property
    def _first(self) -> int:
        """Units that are categories."""
        return self.groups * self.categories

    def _read(self, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encoder outputs (B, 2 code_size) to logits (B, G, K), means and log variances (B, others)."""
        one, other = a.chunk(2, dim=1)
        logits = one[:, : self._first].reshape(a.shape[0], self.groups, self.categories)
        active = self.active[self._first :]
        return logits, one[:, self._first :] * active, other[:, self._first :] * active

    def _code(self, chosen: Tensor, numbers: Tensor) -> Tensor:
        return torch.cat([chosen.flatten(1), numbers], dim=1) * self.active

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; terms are `capacity` and `capacity_discrete`: how far the rates are from theirs.

        Those themselves, in nats per sample, are `kl`, of the gaussian units, and `kl_discrete`, with weight 0.
        """
        if self.training:
            self.step += 1
            return self.as_trained(a)
        logits, mean, _ = self._read(a)
        return Bottled(self._code(_hard(logits), mean), self._terms(a))

    def as_trained(self, a: Tensor) -> Bottled:
        """See `Bottleneck.as_trained`: a draw, whose categories are softened."""
        logits, mean, log_variance = self._read(a)
        soft = ((logits + _gumbel(logits)) / self.temperature).softmax(dim=2)
        return Bottled(self._code(soft, _normal(mean, log_variance)), self._terms(a))

    def sampled(self, a: Tensor) -> Tensor:
        """See `Bottleneck.sampled`: the draw itself, its categories one-hot."""
        logits, mean, log_variance = self._read(a)
        return self._code(_hard(logits + _gumbel(logits)), _normal(mean, log_variance))

    def _terms(self, a: Tensor) -> dict[str, Term]:
        rates = self.rates(a).mean(dim=0)
        share = (self.step / self.capacity_steps).clamp(max=1.0)
        discrete, continuous = rates[: self.groups].sum(), rates[self.groups :].sum()
        most = share * self.discrete_capacity.clamp(max=self.groups * math.log(self.categories))
        none = torch.zeros_like(self.gamma)
        return {
            "kl": Term(continuous.detach(), none),
            "kl_discrete": Term(discrete.detach(), none),
            "capacity": Term((continuous - share * self.capacity).abs(), self.gamma),
            "capacity_discrete": Term((discrete - most).abs(), self.gamma),
        }

    @property
    def settled(self) -> bool:
        """See `Bottleneck.settled`: once the capacities have risen."""
        return float(self.step) >= self.capacity_steps

    def rates(self, a: Tensor) -> Tensor:
        """See `HasRate.rates`: of each group, log K - H(softmax(a_g)), then of each gaussian unit."""
        logits, mean, log_variance = self._read(a)
        log_p = logits.log_softmax(dim=2)
        active = self.active[: self._first].view(self.groups, self.categories)[:, 0]
        discrete = (math.log(self.categories) + (log_p.exp() * log_p).sum(dim=2)) * active
        return torch.cat([discrete, 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)], dim=1)

    def prior(self, count: int) -> Tensor:
        """Evenly drawn categories and N(0, 1), (count, code_size); inactive units are 0."""
        logits = self.active.new_zeros(count, self.groups, self.categories)
        numbers = torch.randn(count, self.code_size - self._first, device=self.active.device)
        return self._code(_hard(logits + _gumbel(logits)), numbers)

    @override
    def slope(self, a: Tensor) -> None:
        """None: a distribution is not one value per unit."""
        return

    def activity(self) -> Activity:
        """See `Bottleneck.activity`: by the variance of the mean, as of a gaussian code."""
        return Varying(least=LEAST_VARIANCE)


def _check(code_size: int, groups: int, categories: int, temperature: float, capacity_steps: int) -> None:
    check_whole("groups", groups, lowest=1)
    check_whole("categories", categories, lowest=2)
    if groups * categories >= code_size:
        raise ValueError(
            f"categories must leave a gaussian unit, groups x categories below code_size={code_size}, got {categories}"
        )
    check_above("temperature", temperature)
    check_whole("capacity_steps", capacity_steps, lowest=1)


def _gumbel(logits: Tensor) -> Tensor:
    return -torch.log(-torch.log(torch.rand_like(logits).clamp(1e-20, 1 - 1e-7)))


def _hard(logits: Tensor) -> Tensor:
    # Not `F.one_hot`, which looks at the numbers: a penalty asks for derivatives sample by sample.
    return torch.zeros_like(logits).scatter(2, logits.argmax(dim=2, keepdim=True), 1.0)


def _normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
