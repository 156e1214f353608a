"""Drawn symbols: bits, and categories.

A discrete choice has no gradient. Each code here takes that of a continuous stand-in for it: the straight-through
estimator lets the gradient pass as if the choice were the identity, Gumbel-softmax softens the choice itself.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck, Draws
from hourglass.bottlenecks.spread import spread
from hourglass.losses import Term
from hourglass.system.checks import check_above, check_level

__all__ = ["Binary", "Categorical"]


class Binary(Bottleneck):
    """A code of bits: Bernoulli draws while training, the likelier value otherwise.

    h_j ~ Bernoulli(s(a_j)), with the gradient of s(a_j) (straight-through)

    The logits a are spread first (see `hourglass.bottlenecks.spread`): as they come, half of the bits end up constant.

    Reference: Estimating or propagating gradients through stochastic neurons (Bengio, Leonard & Courville, 2013), which
    takes the logits as they come.

    Args:
        code_size: number of bits.
        deviation: of the logits, above 0; null: as they come. The larger, the less is left to chance.

    Example:
        >>> Binary(code_size=8, deviation=4.0)
        Binary(
          code_size=8
          (spread): Spread(deviation=4, decay=0.99)
        )
    """

    differs = True

    def __init__(self, *, code_size: int, deviation: float | None = 4.0) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(0.0, 1.0))
        self.spread = spread(code_size, deviation)

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; no loss terms."""
        if self.training:
            return self.as_trained(a)
        p = self.spread(a).sigmoid()
        return self._straight_through(p, (p > 0.5).to(p.dtype))

    def as_trained(self, a: Tensor) -> Bottled:
        """See `Bottleneck.as_trained`: a draw."""
        p = self.spread(a).sigmoid()
        return self._straight_through(p, torch.bernoulli(p))

    def _straight_through(self, p: Tensor, bits: Tensor) -> Bottled:
        return Bottled((p + (bits - p).detach()) * self.active, {})

    def prior(self, count: int) -> Tensor:
        """Fair bits, (count, code_size); inactive ones are 0."""
        return torch.bernoulli((0.5 * self.active).expand(count, -1))

    def symbol_draws(self, a: Tensor, count: int) -> Draws:
        """See `HasSymbolDraws.symbol_draws`: log p(z) = -n log 2, log q(z | x) = sum_j log p_j or log(1 - p_j)."""
        logits = self.spread(a)
        bits = torch.bernoulli(logits.sigmoid().expand(count, *logits.shape))
        log_q = F.logsigmoid(torch.where(bits > 0, logits, -logits)) * self.active
        log_prior = (-math.log(2) * self.active.sum()).expand(bits.shape[:2])
        return Draws(bits * self.active, log_prior, log_q.sum(2))

    def choices(self, a: Tensor) -> Tensor:
        """See `Symbolic.choices`: the bits, (B, code_size)."""
        bits: Tensor = (self.spread(a) > 0).long()
        return bits

    def of_choices(self, choices: Tensor) -> Tensor:
        """See `Spelled.of_choices`: the bits themselves."""
        return choices * self.active

    def symbols(self, a: Tensor) -> Tensor:
        """See `Symbolic.symbols`: (active bits, 2), how often each is 0, and 1."""
        ones = self.choices(a)[:, self.active > 0].sum(dim=0)
        return torch.stack([len(a) - ones, ones], dim=1)

    @override
    def slope(self, a: Tensor) -> None:
        """None: the code is piecewise constant."""
        return


class Categorical(Bottleneck):
    """A code of one-hot groups, softened while training.

    Each group of K logits a_g gives a point of the simplex, h_g = softmax((a_g + n) / t) with Gumbel noise n, and the
    one-hot vector of the largest logit otherwise. The divergence from the uniform distribution is a loss term:

        kl = 1/B sum_b sum_g  log K - H(softmax(a_g)),   weighted with beta

    The logits are spread first (see `hourglass.bottlenecks.spread`): as they come, many categories are never chosen.

    References: Categorical reparameterization with Gumbel-softmax (Jang, Gu & Poole, 2017); The concrete distribution
    (Maddison, Mnih & Teh, 2017), which take the logits as they come.

    Args:
        code_size: number of code units, a multiple of `categories`.
        categories: K, at least 2.
        temperature: t, above 0.
        beta: weight of the divergence, at least 0.
        deviation: of the logits, above 0; null: as they come.

    Example:
        >>> Categorical(code_size=8, categories=4, temperature=1.0, beta=1.0, deviation=None)
        Categorical(
          code_size=8, categories=4, temperature=1, beta=1
          (spread): Identity()
        )
    """

    temperature: Tensor
    beta: Tensor
    differs = True
    per_sample = True

    def __init__(
        self,
        *,
        code_size: int,
        categories: int = 8,
        temperature: float = 0.67,
        beta: float = 1.0,
        deviation: float | None = 4.0,
    ) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(0.0, 1.0))
        if categories < 2 or code_size % categories:
            raise ValueError(f"categories must be at least 2 and divide code_size={code_size}, got {categories}")
        check_above("temperature", temperature)
        check_level("beta", beta)
        self.categories = categories
        self.spread = spread(code_size, deviation)
        self.register_buffer("temperature", torch.tensor(temperature))
        self.register_buffer("beta", torch.tensor(beta))

    def extra_repr(self) -> str:
        """The settings."""
        temperature, beta = self.temperature.item(), self.beta.item()
        return f"{super().extra_repr()}, categories={self.categories}, temperature={temperature:g}, beta={beta:g}"

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; the loss term is `kl`, the rate in nats per sample."""
        if self.training:
            return self.as_trained(a)
        logits = self._logits(a)
        hard = F.one_hot(logits.argmax(dim=2), self.categories).to(logits.dtype)
        return Bottled(hard.reshape_as(a) * self.active, {"kl": self._divergence(logits)})

    def as_trained(self, a: Tensor) -> Bottled:
        """See `Bottleneck.as_trained`: a draw, softened."""
        logits = self._logits(a)
        soft = (self._disturbed(logits) / self.temperature).softmax(dim=2)
        return Bottled(soft.reshape_as(a) * self.active, {"kl": self._divergence(logits)})

    def sampled(self, a: Tensor) -> Tensor:
        """See `Bottleneck.sampled`: the draw itself, one-hot."""
        chosen = self._disturbed(self._logits(a)).argmax(dim=2)
        return F.one_hot(chosen, self.categories).to(a.dtype).reshape_as(a) * self.active

    def _disturbed(self, logits: Tensor) -> Tensor:
        """Logits with Gumbel noise, whose largest is a draw of the categories."""
        return logits - torch.log(-torch.log(torch.rand_like(logits).clamp(1e-20, 1 - 1e-7)))

    def _logits(self, a: Tensor) -> Tensor:
        """(B, code_size) to (B, groups, K)."""
        return self.spread(a).reshape(a.shape[0], -1, self.categories)  # type: ignore[no-any-return]

    def _divergence(self, logits: Tensor) -> Term:
        log_p = logits.log_softmax(dim=2)
        divergence = math.log(self.categories) + (log_p.exp() * log_p).sum(dim=2)  # (B, groups)
        divergence = divergence * self.active.view(-1, self.categories)[:, 0]
        return Term(divergence.sum(dim=1).mean(), self.beta)

    def prior(self, count: int) -> Tensor:
        """One-hot groups of evenly drawn categories, (count, code_size); inactive units are 0."""
        groups = self.code_size // self.categories
        chosen = torch.randint(self.categories, (count, groups), device=self.active.device)
        return F.one_hot(chosen, self.categories).flatten(1) * self.active

    def symbol_draws(self, a: Tensor, count: int) -> Draws:
        """See `HasSymbolDraws.symbol_draws`: log p(z) = -groups log K, log q = sum_g log softmax(a_g)."""
        log_p = self._logits(a).log_softmax(dim=2).expand(count, -1, -1, -1)  # (count, B, groups, K)
        chosen = F.one_hot(self._disturbed(log_p).argmax(dim=3), self.categories).to(a.dtype)
        active = self.active.view(-1, self.categories)[:, 0]
        log_prior = (-math.log(self.categories) * active.sum()).expand(log_p.shape[:2])
        return Draws(chosen.flatten(2) * self.active, log_prior, ((log_p * chosen).sum(3) * active).sum(2))

    def choices(self, a: Tensor) -> Tensor:
        """See `Symbolic.choices`: the category of each group, (B, code_size / K)."""
        return self._logits(a).argmax(dim=2)

    def of_choices(self, choices: Tensor) -> Tensor:
        """See `Spelled.of_choices`: one-hot groups."""
        return F.one_hot(choices, self.categories).flatten(1) * self.active

    def symbols(self, a: Tensor) -> Tensor:
        """See `Symbolic.symbols`: (active groups, K), how often each category is the largest of its group."""
        used = self.active.view(-1, self.categories)[:, 0] > 0
        return F.one_hot(self.choices(a)[:, used], self.categories).sum(dim=0)

    @override
    def slope(self, a: Tensor) -> None:
        """None: the units of a group depend on each other."""
        return

    def rates(self, a: Tensor) -> Tensor:
        """See `HasRate.rates`: log K - H(softmax(a_g)) of each group, (B, code_size / K)."""
        log_p = self._logits(a).log_softmax(dim=2)
        return math.log(self.categories) + (log_p.exp() * log_p).sum(dim=2)
