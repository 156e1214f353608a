"""Residual quantization: what one entry leaves of a group, the next one stands for.

    r_0 = a_g,    k_l = argmin_k |r_l-1 - e_k|^2,    r_l = r_l-1 - e_(k_l),    h_g = e_(k_1) + ... + e_(k_L)

L levels of K entries have K^L sums, which no codebook of that size could be learned for. The entries of a level are

    separate    its own
    shared      those of all levels
    tree        those below the entry that the level before has chosen: K, K^2, ... K^L of them
"""

import math
from itertools import accumulate
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck
from hourglass.bottlenecks.codebook import Gradient, check_codebook, follow, nearest, passed
from hourglass.losses import Term
from hourglass.system.checks import check_choice, check_level, check_whole

__all__ = ["ResidualQuantized"]

_CODEBOOKS = ("separate", "shared", "tree")
_LARGEST = 2**16


class _Levels(NamedTuple):
    """What the levels make of N = B code_size / d groups."""

    left: Tensor  # (L, N, d), what each level is given
    entry: Tensor  # (L, N), the number of the entry among those of all codebooks
    chosen: Tensor  # (L, N, d), the entry


class ResidualQuantized(Bottleneck):
    """A code of sums of codebook vectors, each of which stands for what the ones before have left.

    The codebooks follow what chose them, and vectors that nobody chose are put back, as in `VectorQuantized`; the encoder
    is committed to the sum at every level:

        commitment = 1/(B n) sum_b sum_g sum_l |a_bg - sg(e_(k_1) + ... + e_(k_l))|^2

    weighted with lambda: a mean over the n active units, a sum over the levels.

    With `dropout` some samples of a training step have the first levels alone, as many as chance says, so that each
    level is good without those that follow. There is no prior to draw from, as of `VectorQuantized`.

    References: Autoregressive image generation using residual quantization (Lee et al., 2022), with a shared codebook;
    SoundStream (Zeghidour et al., 2021), with separate ones and dropout; Hierarchical residual learning based vector
    quantized variational autoencoder (Adiban et al., 2022), with the tree.

    Args:
        code_size: number of code units, a multiple of `dimension`.
        levels: L, at least 1.
        entries: K, vectors that a level chooses from, at least 2; a tree has at most 2^16 at its last level.
        dimension: d, values of each vector, at least 1.
        codebooks: `separate`, `shared` or `tree`, see the module.
        dropout: share of the samples of a training step that have a random number of levels, from 0 to 1.
        commitment: lambda, at least 0.
        decay: share of the old running mean that a step keeps, from 0 to below 1.
        revive_below: running count of choices per step below which a vector is put back, at least 0.
        gradient: how it passes the choice: `straight_through`, or `rotation` (see `hourglass.bottlenecks.codebook`).

    Raises:
        ValueError: a number out of its range, a dimension that doesn't divide the code, a tree of too many entries.

    Example:
        >>> ResidualQuantized(code_size=4, levels=3, entries=8, dimension=2)
        ResidualQuantized(code_size=4, levels=3, entries=8, dimension=2, codebooks=separate, dropout=0, commitment=0.25, gradient=straight_through)
    """  # noqa: E501

    mixes_samples = True
    codebook: Tensor
    counts: Tensor
    sums: Tensor
    commitment: Tensor

    def __init__(
        self,
        *,
        code_size: int,
        levels: int = 4,
        entries: int = 64,
        dimension: int = 4,
        codebooks: Literal["separate", "shared", "tree"] = "separate",
        dropout: float = 0.0,
        commitment: float = 0.25,
        decay: float = 0.99,
        revive_below: float = 0.01,
        gradient: Gradient = "straight_through",
    ) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(-math.inf, math.inf))
        check_whole("levels", levels, lowest=1)
        check_codebook(
            code_size=code_size,
            entries=entries,
            dimension=dimension,
            commitment=commitment,
            decay=decay,
            revive_below=revive_below,
            gradient=gradient,
        )
        check_choice("codebooks", codebooks, _CODEBOOKS)
        check_level("dropout", dropout, highest=1)
        if codebooks == "tree" and entries**levels > _LARGEST:
            raise ValueError(f"entries must make a tree of at most {_LARGEST:,}, got {entries}^{levels}")
        self.levels, self.dimension, self.codebooks = levels, dimension, codebooks
        self.decay, self.revive_below, self.gradient, self.dropout = decay, revive_below, gradient, dropout
        self.differs = dropout > 0 and levels > 1
        nodes = {"shared": 1, "separate": levels, "tree": sum(entries**level for level in range(levels))}[codebooks]
        self.register_buffer("commitment", torch.tensor(commitment))
        self.register_buffer("codebook", torch.randn(nodes, entries, dimension))
        self.register_buffer("sums", self.codebook.clone())
        self.register_buffer("counts", torch.ones(nodes, entries))

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{super().extra_repr()}, levels={self.levels}, entries={self.entries}, dimension={self.dimension},"
            f" codebooks={self.codebooks}, dropout={self.dropout:g}, commitment={self.commitment.item():g},"
            f" gradient={self.gradient}"
        )

    @property
    def entries(self) -> int:
        """K."""
        return self.counts.shape[1]

    def _first(self, level: int) -> int:
        """The number of a level's first codebook among all, `nodes` of K entries each."""
        if self.codebooks == "tree":
            return sum(self.entries**above for above in range(level))
        return level if self.codebooks == "separate" else 0

    def _levels(self, a: Tensor) -> _Levels:
        """Encoder outputs (B, code_size) to what each level is given and chooses; without gradients."""
        left = a.detach().reshape(-1, self.dimension)
        path = torch.zeros(left.shape[0], dtype=torch.int64, device=a.device)  # the entry above, in a tree
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        flat = self.codebook.flatten(0, 1)
        for level in range(self.levels):
            first = self._first(level)
            deep = self.codebooks == "tree" and level > 0
            chosen = nearest(left, self.codebook[first + path] if deep else self.codebook[first])  # (N,)
            path = path * self.entries + chosen if self.codebooks == "tree" else path
            entry = first * self.entries + (path if deep else chosen)
            found.append((left, entry, flat[entry]))
            left = left - flat[entry]
        return _Levels(*(torch.stack(each) for each in zip(*found, strict=True)))

    def _kept(self, samples: int) -> Tensor:
        """(L, B): 1 for the levels that a sample has in a training step, the first ones."""
        device = self.active.device
        some = torch.randint(1, self.levels + 1, (samples,), device=device)
        count = torch.where(torch.rand(samples, device=device) < self.dropout, some, self.levels)
        return (torch.arange(self.levels, device=device).unsqueeze(1) < count).to(self.active.dtype)

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; the loss term is `commitment`."""
        found = self._levels(a)
        if not self.training:
            return self._bottled(a, found, None)
        kept = self._kept(a.shape[0]) if self.differs else None
        bottled = self._bottled(a, found, kept)
        self._follow(found, kept)
        return bottled

    def as_trained(self, a: Tensor) -> Bottled:
        """See `Bottleneck.as_trained`: with the levels that chance leaves."""
        return self._bottled(a, self._levels(a), self._kept(a.shape[0]) if self.differs else None)

    def _bottled(self, a: Tensor, found: _Levels, kept: Tensor | None) -> Bottled:
        partial = self._partial(found, kept)  # (L, B, code_size)
        distance = ((a - partial) * self.active).square()
        if kept is not None:
            distance = distance * kept.unsqueeze(2)
        term = Term(distance.sum() / (a.shape[0] * self.active.sum()), self.commitment)
        groups = (a.shape[0], -1, self.dimension)
        code = passed(a.reshape(groups), partial[-1].reshape(groups), self.gradient)
        return Bottled(code.reshape_as(a) * self.active, {"commitment": term})

    def _partial(self, found: _Levels, kept: Tensor | None) -> Tensor:
        """The sums up to each level, (L, B, code_size)."""
        chosen = found.chosen.reshape(self.levels, -1, self.code_size)
        added = chosen if kept is None else chosen * kept.unsqueeze(2)
        return torch.stack(list(accumulate(added.unbind(0))))  # `cumsum` has no order of its own on a GPU

    def _follow(self, found: _Levels, kept: Tensor | None) -> None:
        """One step of all codebooks; an entry is put back onto what a group left for a level that it belongs to."""
        count = found.left.shape[1]
        used = self._used().repeat(count * self.dimension // self.code_size)  # (N,)
        weights = used.expand(self.levels, -1)
        if kept is not None:
            weights = weights * kept.repeat_interleave(self.code_size // self.dimension, dim=1)
        places = torch.multinomial(used, self.counts.numel(), replacement=True) + count * self._level_of_entries()
        follow(
            self.codebook.view(-1, self.dimension),
            self.counts.view(-1),
            self.sums.view(-1, self.dimension),
            groups=found.left.flatten(0, 1),
            chosen=found.entry.flatten(),
            weights=weights.flatten(),
            places=found.left.flatten(0, 1)[places],
            decay=self.decay,
            revive_below=self.revive_below,
        )

    def _level_of_entries(self) -> Tensor:
        """The level that each entry belongs to, (nodes K,); of a shared codebook any."""
        entries, device = self.counts.numel(), self.active.device
        if self.codebooks == "shared":
            return torch.randint(self.levels, (entries,), device=device)
        number = torch.arange(entries, device=device)
        found = torch.zeros_like(number)
        for level in range(1, self.levels):
            found = found + (number >= self._first(level) * self.entries)
        return found

    def _used(self) -> Tensor:
        """(groups,): 1 for a group of active units."""
        return self.active.view(-1, self.dimension)[:, 0]

    def refined(self, a: Tensor) -> dict[str, Tensor]:
        """See `Refining.refined`: the codes after each level, `level_1` to `level_L`."""
        partial = self._partial(self._levels(a), None) * self.active
        return {f"level_{level}": code for level, code in enumerate(partial, start=1)}

    def choices(self, a: Tensor) -> Tensor:
        """See `Symbolic.choices`: for each group the number of its entry at each level, (B, code_size / d L)."""
        chosen = (self._levels(a).entry % self.entries).reshape(self.levels, a.shape[0], -1)
        return chosen.permute(1, 2, 0).flatten(1)

    def of_choices(self, choices: Tensor) -> Tensor:
        """See `Spelled.of_choices`: the sums of each group's entries."""
        levels = choices.view(len(choices), -1, self.levels).unbind(2)  # L of (B, groups)
        flat, path = self.codebook.flatten(0, 1), torch.zeros_like(levels[0])
        entries = []
        for level, chosen in enumerate(levels):
            path = path * self.entries + chosen if self.codebooks == "tree" else chosen
            entries.append(flat[self._first(level) * self.entries + path])
        return torch.stack(entries).sum(0).flatten(1) * self.active

    def symbols(self, a: Tensor) -> Tensor:
        """See `Symbolic.symbols`: (codebooks, K), of groups of active units.

        A codebook for each level, one for all, or of a tree one below each entry: their entropies are then those of an
        entry given the ones above it.
        """
        entry = self._levels(a).entry.reshape(self.levels, a.shape[0], -1)[:, :, self._used() > 0]
        return entry.flatten().bincount(minlength=self.counts.numel()).view_as(self.counts)

    @override
    def slope(self, a: Tensor) -> None:
        """None: the code is piecewise constant."""
        return
