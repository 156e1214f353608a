"""Vector quantization: each group of values becomes the nearest vector of a learned codebook."""

import math

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck
from hourglass.bottlenecks.codebook import Gradient, check_codebook, follow, nearest, passed
from hourglass.losses import Term

__all__ = ["VectorQuantized"]


class VectorQuantized(Bottleneck):
    """A code of vectors from a learned codebook.

    The code is read as groups of d values; each group a_g becomes the nearest of K codebook vectors e_k. The codebook
    follows the groups that chose it as a running mean, and the encoder is committed to its choice:

        h_g = e_k,  k = argmin_k |a_g - e_k|^2;   commitment = 1/(B n) sum_b sum_g |a_bg - sg(h_bg)|^2

    weighted with lambda. It is a mean over the n active units, where the paper has a sum: lambda is n times the paper's
    beside a reconstruction loss that is a sum over the D values of a sample, n / D times beside a mean.

    Vectors that nobody has chosen for a while are put back onto groups of the current batch. There is no prior to draw
    from: entries drawn evenly and one by one are not what an encoder gives; the reference learns a second model of it.

    References: Neural discrete representation learning (van den Oord et al., 2017), with moving averages; Jukebox
    (Dhariwal et al., 2020) for the revival; Restructuring vector quantization with the rotation trick (Fifty et al.,
    2025).

    Args:
        code_size: number of code units, a multiple of `dimension`.
        entries: K, vectors in the codebook, at least 2.
        dimension: d, values of each vector, at least 1.
        commitment: lambda, at least 0.
        decay: share of the old running mean that a step keeps, from 0 to below 1.
        revive_below: running count of choices per step below which a vector is put back, at least 0.
        gradient: how it passes the choice: `straight_through`, or `rotation` (see `hourglass.bottlenecks.codebook`).

    Raises:
        ValueError: a number out of its range, a dimension that doesn't divide the code.

    Example:
        >>> VectorQuantized(code_size=4, entries=8, dimension=2, commitment=0.25, decay=0.99, revive_below=0.01)
        VectorQuantized(code_size=4, entries=8, dimension=2, commitment=0.25, gradient=straight_through)
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
        gradient: Gradient = "straight_through",
    ) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(-math.inf, math.inf))
        check_codebook(
            code_size=code_size,
            entries=entries,
            dimension=dimension,
            commitment=commitment,
            decay=decay,
            revive_below=revive_below,
            gradient=gradient,
        )
        self.dimension = dimension
        self.decay = decay
        self.revive_below = revive_below
        self.gradient = gradient
        self.register_buffer("commitment", torch.tensor(commitment))
        self.register_buffer("codebook", torch.randn(entries, dimension))
        self.register_buffer("sums", self.codebook.clone())
        self.register_buffer("counts", torch.ones(entries))

    def extra_repr(self) -> str:
        """The settings."""
        entries, commitment = len(self.codebook), self.commitment.item()
        return (
            f"{super().extra_repr()}, entries={entries}, dimension={self.dimension}, commitment={commitment:g},"
            f" gradient={self.gradient}"
        )

    def choices(self, a: Tensor) -> Tensor:
        """Encoder outputs (B, code_size) to the numbers of the codebook vectors (B, code_size / d)."""
        return nearest(a.reshape(-1, self.dimension), self.codebook).view(a.shape[0], -1)

    def of_choices(self, choices: Tensor) -> Tensor:
        """See `Spelled.of_choices`: the vectors side by side."""
        return self.codebook[choices].flatten(1) * self.active

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; the loss term is `commitment`."""
        chosen = self.choices(a)
        groups, entries = a.reshape(*chosen.shape, self.dimension), self.codebook[chosen]  # (B, groups, d)
        if self.training:
            self._follow(groups.detach().flatten(0, 1), chosen.flatten())
        distance = ((groups - entries).view_as(a) * self.active).square().sum() / (a.shape[0] * self.active.sum())
        code = passed(groups, entries, self.gradient).view_as(a) * self.active
        return Bottled(code, {"commitment": Term(distance, self.commitment)})

    def _follow(self, groups: Tensor, chosen: Tensor) -> None:
        used = self._used().repeat(len(groups) * self.dimension // self.code_size)  # (B groups,)
        follow(
            self.codebook,
            self.counts,
            self.sums,
            groups=groups,
            chosen=chosen,
            weights=used,
            places=groups[torch.multinomial(used, len(self.codebook), replacement=True)],
            decay=self.decay,
            revive_below=self.revive_below,
        )

    def _used(self) -> Tensor:
        """(groups,): 1 for a group of active units."""
        return self.active.view(-1, self.dimension)[:, 0]

    def symbols(self, a: Tensor) -> Tensor:
        """See `Symbolic.symbols`: (1, K), how often each entry is the nearest to a group of active units."""
        return self.choices(a)[:, self._used() > 0].flatten().bincount(minlength=len(self.codebook)).unsqueeze(0)

    @override
    def slope(self, a: Tensor) -> None:
        """None: the code is piecewise constant."""
        return
