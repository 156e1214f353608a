"""Batches as slices of a permutation of arrays in memory.

One training step of Lightning costs about a millisecond of its own, as much as a whole step of a small net on a
CPU. So the loop is handed chunks of many batches, gathered by one indexing, and the training procedure walks
through them; batches, steps and mathematics stay what they were.
"""

from collections.abc import Callable, Iterator
from itertools import islice, repeat
from typing import NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor

from hourglass.data.binarized import fresh_draw
from hourglass.data.dataset import EVAL_BATCH, Blocks, Split

__all__ = [
    "CHUNK_BYTES",
    "Batches",
    "Chunk",
    "blocks_of",
    "chunk_rows",
    "counts_batches",
    "is_all",
    "is_exact",
    "permuted",
    "some",
    "some_of",
]

CHUNK_BYTES = 16_000_000
"""About the size of a chunk: large enough to make Lightning's share vanish, small next to any memory."""


class Chunk(NamedTuple):
    """Several batches in a row, gathered at once."""

    x: Tensor
    """(n, *shape): clean samples as the data set holds them, uint8 or float32."""
    corrupted: Tensor | None = None
    """(n, *shape) float32: their frozen corruption; None where noise is drawn at every step or there is none."""
    y: Tensor | None = None
    """(n,): their classes; None where the training procedure doesn't ask for them."""
    whole: bool = False
    """Whether it is a single batch, whatever the learner's own batch size: a person's loader made it."""
    target: Tensor | None = None
    """(n, *target shape): what is to be made of them, as the data set holds it; None where that is they themselves."""


def chunk_rows(x: Tensor, batch_size: int) -> int:
    """Samples of a chunk over x: as many whole batches as fit `CHUNK_BYTES`, at least one."""
    item = x[:1].numel() * x.element_size()
    return batch_size * max(1, CHUNK_BYTES // (batch_size * item))


def counts_batches(trainer: pl.Trainer) -> bool:
    """Whether a callback that isn't ours wants to know of every batch, or a limit counts them: then a chunk is one."""
    if trainer.max_steps != -1 or not is_all(trainer.limit_train_batches) or not is_all(trainer.val_check_interval):
        return True
    if trainer.loggers and not is_exact(trainer):  # Lightning gives what is measured to the others, by batches
        return True
    hooks = ("on_train_batch_start", "on_train_batch_end")
    return any(
        getattr(type(callback), hook) is not getattr(pl.Callback, hook)
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        if not type(callback).__module__.startswith("hourglass.")
        for hook in hooks
    )


def is_exact(trainer: pl.Trainer) -> bool:
    """Whether what records a training is given what is measured by the learner, as it is: a run's is, not others."""
    return all(getattr(logger, "exact", False) for logger in trainer.loggers) and bool(trainer.loggers)


def is_all(share: float | None) -> bool:
    """Whether that is every batch: 1.0, while 1 is one of them."""
    return share is None or (isinstance(share, float) and share == 1.0)


def some(x: Tensor, count: int) -> Tensor:
    """`count` samples at most of (N, *shape), drawn once and for all: the first ones may be sorted, or easier."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return x[order[:count].sort().values]


def some_of(split: Split, count: int) -> tuple[Tensor, Tensor | None]:
    """The samples that `some` draws of a split, and their labels where there are any."""
    return some(split.x, count), None if split.y is None else some(split.y, count)


def blocks_of(x: Tensor, y: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Samples (N, *shape) and their labels, where there are any, in blocks that are measured at once."""
    blocks = torch.split(x, EVAL_BATCH)
    return zip(blocks, repeat(None) if y is None else torch.split(y, EVAL_BATCH), strict=False)


def permuted(count: int, *, blocks: Blocks | None, generator: torch.Generator) -> Iterator[Tensor]:
    """A random order of 0 to `count` - 1, a part after the other.

    Args:
        count: how many.
        blocks: None: a permutation, in one part. Else the blocks are permuted, and a part holds all rows of
            `blocks.mixed` of them in random order: what a disk is asked for at a time lies in as few places.
        generator: on the CPU, so that the order is the same on every device.
    """
    if blocks is None:
        yield torch.randperm(count, generator=generator)
        return
    order = torch.randperm(-(-count // blocks.rows), generator=generator)
    for chosen in torch.split(order, blocks.mixed):
        spans = [torch.arange(at * blocks.rows, min((at + 1) * blocks.rows, count)) for at in chosen.tolist()]
        rows = torch.cat(spans)
        yield rows[torch.randperm(len(rows), generator=generator)]


class Batches:
    """An iterable of chunks over one split, in order or in a new permutation each epoch.

    Args:
        x: (N, *shape) samples.
        corrupted: (N, *shape) frozen corruption of them, or None.
        y: (N,) classes, or None.
        target: (N, *target shape) targets that are not the samples, or None.
        rows: samples of a chunk; the last one of an epoch may be smaller.
        order: None for the order of the data; otherwise gives the seed of the permutation whenever an epoch starts.
        blocks: see `permuted`.
        drawn: whether x are grey levels from which every epoch draws images of 0 and 1 (`hourglass.data.binarized`).
        split: the split that x are all samples of, in its order; None: it isn't known.

    Example:
        >>> batches = Batches(x=torch.arange(5.0), corrupted=None, rows=2, order=None)
        >>> [chunk.x.tolist() for chunk in batches]
        [[0.0, 1.0], [2.0, 3.0], [4.0]]
    """

    def __init__(
        self,
        *,
        x: Tensor,
        corrupted: Tensor | None,
        y: Tensor | None = None,
        target: Tensor | None = None,
        rows: int,
        order: Callable[[], int] | None,
        blocks: Blocks | None = None,
        drawn: bool = False,
        split: Split | None = None,
    ) -> None:
        self.x = x
        self.corrupted = corrupted
        self.y = y
        self.target = target
        self.rows = rows
        self.order = order
        self.blocks = blocks
        self.drawn = drawn
        self.split = split
        self.skipped = 0
        """Chunks that the next epoch leaves out, which a resumed training has made."""

    def __len__(self) -> int:
        """Number of chunks."""
        return -(-len(self.x) // self.rows)

    def __iter__(self) -> Iterator[Chunk]:
        """One epoch."""
        skipped, self.skipped = self.skipped, 0
        yield from islice(self._epoch(), skipped, None)

    def _epoch(self) -> Iterator[Chunk]:
        parts = {"x": self.x, "corrupted": self.corrupted, "y": self.y, "target": self.target}
        held = {name: part for name, part in parts.items() if part is not None}
        if self.order is None:
            for start in range(0, len(self.x), self.rows):
                yield Chunk(**{name: part[start : start + self.rows] for name, part in held.items()})  # type: ignore[arg-type]
            return
        generator = torch.Generator().manual_seed(self.order())
        for drawn in self._chosen(generator):
            chosen = drawn.to(self.x.device)
            chunk = Chunk(**{name: part.index_select(0, chosen) for name, part in held.items()})  # type: ignore[arg-type]
            yield chunk._replace(x=fresh_draw(chunk.x, generator)) if self.drawn else chunk

    def _chosen(self, generator: torch.Generator) -> Iterator[Tensor]:
        """The samples of one chunk after the other."""
        left = torch.empty(0, dtype=torch.int64)
        for part in permuted(len(self.x), blocks=self.blocks, generator=generator):
            left = torch.cat([left, part])
            whole = len(left) // self.rows * self.rows
            yield from torch.split(left[:whole], self.rows) if whole else ()
            left = left[whole:]
        if len(left):
            yield left
