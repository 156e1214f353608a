"""Discrete codes: entries of a codebook, bits, and categories.

A discrete choice has no gradient. Each code here takes that of a continuous stand-in for it: the straight-through
estimator lets the gradient pass as if the choice were the identity, Gumbel-softmax softens the choice itself.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck, Draws
from hourglass.bottlenecks.spread import Spread
from hourglass.losses import Term
from hourglass.system.checks import check_above, check_fraction, check_level, check_whole

__all__ = ["Binary", "Categorical", "VectorQuantized"]


class VectorQuantized(Bottleneck):
    """A code of vectors from a learned codebook.

    The code is read as groups of d values; each group a_g becomes the nearest of K codebook vectors e_k. The codebook
    follows the groups that chose it as a running mean, and the encoder is committed to its choice:

        h_g = e_k,  k = argmin_k |a_g - e_k|^2;   commitment = lambda/(B n) sum_b sum_g |a_bg - sg(h_bg)|^2

    a mean over the n active units, where the paper has a sum: its lambda is n times this one.

    Vectors that nobody has chosen for a while are put back onto groups of the current batch. There is no prior to draw
    from: entries drawn evenly and one by one are not what an encoder gives; the reference learns a second model of it.

    References: Neural discrete representation learning (van den Oord et al., 2017), with moving averages; Jukebox
    (Dhariwal et al., 2020) for the revival.

    Args:
        code_size: number of code units, a multiple of `dimension`.
        entries: K, vectors in the codebook, at least 2.
        dimension: d, values of each vector, at least 1.
        commitment: lambda, at least 0.
        decay: share of the old running mean that a step keeps, from 0 to below 1.
        revive_below: running count of choices per step below which a vector is put back, at least 0.

    Example:
        >>> VectorQuantized(code_size=4, entries=8, dimension=2, commitment=0.25, decay=0.99, revive_below=0.01)
        VectorQuantized(code_size=4, entries=8, dimension=2, commitment=0.25)
    """

    mixes_samples = True
    codebook: Tensor
    counts: Tensor
    sums: Tensor
    commitment: Tensor

    def __init__(
        self,
        *,
        code_size: int,
        entries: int = 256,
        dimension: int = 4,
        commitment: float = 0.25,
        decay: float = 0.99,
        revive_below: float = 0.01,
    ) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(-math.inf, math.inf))
        check_whole("entries", entries, lowest=2)
        if dimension < 1 or code_size % dimension:
            raise ValueError(f"dimension must divide code_size={code_size}, got {dimension}")
        check_level("commitment", commitment)
        check_fraction("decay", decay)
        check_level("revive_below", revive_below)
        self.dimension = dimension
        self.decay = decay
        self.revive_below = revive_below
        self.register_buffer("commitment", torch.tensor(commitment))
        self.register_buffer("codebook", torch.randn(entries, dimension))
        self.register_buffer("sums", self.codebook.clone())
        self.register_buffer("counts", torch.ones(entries))

    def extra_repr(self) -> str:
        """The settings."""
        entries, commitment = len(self.codebook), self.commitment.item()
        return f"{super().extra_repr()}, entries={entries}, dimension={self.dimension}, commitment={commitment:g}"

    def choices(self, a: Tensor) -> Tensor:
        """Encoder outputs (B, code_size) to the numbers of the codebook vectors (B, code_size / d)."""
        groups = a.reshape(a.shape[0], -1, self.dimension)
        return torch.cdist(groups, self.codebook).argmin(dim=2)

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; the loss term is `commitment`."""
        chosen = self.choices(a)
        code = self.codebook[chosen].view_as(a)
        if self.training:
            self._follow(a.detach().reshape(-1, self.dimension), chosen.flatten())
        distance = ((a - code) * self.active).square().sum() / (a.shape[0] * self.active.sum())
        return Bottled((a + (code - a).detach()) * self.active, {"commitment": Term(distance, self.commitment)})

    @torch.no_grad()
    def _follow(self, groups: Tensor, chosen: Tensor) -> None:
        used = self._used().repeat(len(groups) * self.dimension // self.code_size)  # (B groups,)
        picked = F.one_hot(chosen, len(self.codebook)).to(groups.dtype) * used.unsqueeze(1)  # (B groups, K)
        self.counts.lerp_(picked.sum(dim=0), 1 - self.decay)
        self.sums.lerp_(picked.T @ groups, 1 - self.decay)
        self.codebook.copy_(self.sums / self.counts.clamp(min=1e-5).unsqueeze(1))
        dead = self.counts < self.revive_below
        places = groups[torch.multinomial(used, len(self.codebook), replacement=True)]
        self.codebook.copy_(torch.where(dead.unsqueeze(1), places, self.codebook))
        self.sums.copy_(torch.where(dead.unsqueeze(1), places, self.sums))
        self.counts.copy_(torch.where(dead, torch.ones_like(self.counts), self.counts))

    def _used(self) -> Tensor:
        """(groups,): 1 for a group of active units."""
        return self.active.view(-1, self.dimension)[:, 0]

    def symbols(self, code: Tensor) -> Tensor:
        """See `Symbolic.symbols`: (1, K), how often each entry is the nearest to a group of active units."""
        return self.choices(code)[:, self._used() > 0].flatten().bincount(minlength=len(self.codebook)).unsqueeze(0)

    @override
    def slope(self, a: Tensor) -> None:
        """None: the code is piecewise constant."""
        return


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
        self.spread = _spread(code_size, deviation)

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

    def symbols(self, code: Tensor) -> Tensor:
        """See `Symbolic.symbols`: (code_size, 2), how often each active bit is 0, and 1."""
        ones = (code > 0.5).sum(dim=0)
        return torch.stack([len(code) - ones, ones], dim=1) * (self.active > 0).unsqueeze(1)

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
        self.spread = _spread(code_size, deviation)
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

    def symbols(self, code: Tensor) -> Tensor:
        """See `Symbolic.symbols`: (code_size / K, K), how often each category is the largest of its active group."""
        chosen = code.reshape(len(code), -1, self.categories).argmax(dim=2)
        return F.one_hot(chosen, self.categories).sum(dim=0) * (self.active > 0).view(-1, self.categories)

    @override
    def slope(self, a: Tensor) -> None:
        """None: the units of a group depend on each other."""
        return

    def rates(self, a: Tensor) -> Tensor:
        """See `HasRate.rates`: log K - H(softmax(a_g)) of each group, (B, code_size / K)."""
        log_p = self._logits(a).log_softmax(dim=2)
        return math.log(self.categories) + (log_p.exp() * log_p).sum(dim=2)


def _spread(units: int, deviation: float | None) -> nn.Module:
    # None is the constructors' default because that is what runs of before the key were trained with.
    check_above("deviation", deviation, null=True)
    return nn.Identity() if deviation is None else Spread(units=units, deviation=deviation)
