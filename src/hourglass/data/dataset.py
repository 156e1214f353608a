"""A data set: three splits of arrays, in memory or mapped, and how to read a model's output in the data's own units.

Each split holds x (N, *shape), grey levels as uint8 or rows as float32. A model sees `scaled(x)`,

    uint8:    x / 255                          so that range = (0, 1)
    float32:  x, which a table may have made by  x = (raw - offset) / scale,  both fitted on train alone

and `unscaled` undoes either. Losses and metrics are measured on scaled values; a run keeps its scaling with its
weights, so that a trained table model takes and gives rows in the table's own units. Nothing here draws a batch.

A missing entry of a table is NaN in its split. A model sees the mean of the column over train in its place (`filled`);
what it makes of it is compared with nothing (`target`).
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from hourglass.data.factors import Factor

log = logging.getLogger("hourglass")

EVAL_BATCH = 1000
"""Samples that are measured at a time; part of what makes the noise of validation and test the same in every run."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """One part of a data set, on the CPU. x: (N, *shape), uint8 or float32. y: (N,) int64 labels, or None.

    factors: (N, F) int64, which of its values each of `Dataset.factors` has, counted from 0; None where none is known.

    Where no memory holds them x is `shards.Shards`, of which a slice, a choice of rows, or a block of `torch.split` is
    a tensor.
    """

    x: Tensor
    y: Tensor | None
    factors: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)


class Blocks(NamedTuple):
    """How data are shuffled that are read from a disk: whole blocks, several of which are mixed."""

    rows: int
    """Samples of a block, which lie together."""
    mixed: int
    """Blocks that batches are drawn from at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scaling:
    """x = (raw - offset) / scale, by column, offset and scale (D,), or by channel, (C, 1, 1); float64, on the CPU.

    In float64, because a column of dates or amounts can have more digits than float32 keeps.
    """

    offset: Tensor
    scale: Tensor

    def apply(self, raw: Tensor) -> Tensor:
        """(N, *shape) in the source's own units -> (N, *shape) scaled, float32."""
        return ((raw.double() - self.offset.to(raw.device)) / self.scale.to(raw.device)).float()

    def undo(self, x: Tensor) -> Tensor:
        """(N, *shape) scaled -> (N, *shape) in the source's own units, float64."""
        return x.double() * self.scale.to(x.device) + self.offset.to(x.device)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scaling) and self.to_json() == other.to_json()

    def to_json(self) -> str:
        """As text, to the last bit."""
        return json.dumps({"offset": self.offset.tolist(), "scale": self.scale.tolist()})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote; ValueError for anything else."""
        held = json.loads(text)
        if not isinstance(held, dict) or set(held) != {"offset", "scale"}:
            raise ValueError("scaling must be offset and scale of every column")
        scaling = cls(**{key: torch.tensor(values, dtype=torch.float64) for key, values in held.items()})
        if not bool(scaling.offset.isfinite().all() and scaling.scale.isfinite().all() and (scaling.scale != 0).all()):
            raise ValueError("scaling must be of finite numbers, and no scale of 0")
        return scaling


class Category(NamedTuple):
    """A column of names as the columns that stand for it: one for each name, 1 for the one that it is, else 0."""

    column: str
    """Its name, or its position in a table without names."""
    start: int
    """The first of its columns."""
    values: tuple[str, ...]
    """The names, in the order of their columns."""

    @property
    def span(self) -> slice:
        """Its columns."""
        return slice(self.start, self.start + len(self.values))


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Named splits and how to read them.

    shape: of one sample, images (C, H, W), signals (C, L), rows (D,).
    range: smallest and largest value of `scaled(train.x)`; exactly (0.0, 1.0) for uint8. The other splits
        of a float data set may leave it.
    digest: SHA-256 over the arrays of all splits (of a mapped file: over the SHA-256 of its samples), in hex: equal
        for equal data sets, and only for them.
    order_seed: seed of the order of batches, not the run's own: all runs of a sweep see equal batches.
    resident: whether the arrays move to the training device whole: "auto" (when they fit), "always", "never".
    columns: names of the columns of a table, where it has them.
    scaling: how floats were scaled, where they were.
    notes: what a person should know of how the data were read, a line each.
    classes: names of the labels 0, 1, 2, ..., where they have any.
    blocks: how an epoch is shuffled where rows are read from a disk; None: any order costs the same.
    statistics: of the training samples before scaling, by name: recorded with the run.
    categories: the columns of a table that are one-hot.
    fill: (D,) what a model sees in place of missing entries, the means over train; None where none is missing.
    factors: what the samples of generated data differ in; which value each sample has say the splits.
    levels: (N, *shape) the grey levels of train, from which every epoch of a training draws its images (see
        `binarized`); `train` holds one fixed draw of them. None: `train` is what is trained on.
    targets: what is to be made of the samples, row by row in the same splits, in a shape, a range and units of its own.
        None: the samples themselves.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    shape: tuple[int, ...]
    range: tuple[float, float]
    digest: str
    order_seed: int
    resident: str
    columns: tuple[str, ...] | None
    scaling: Scaling | None
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None
    blocks: Blocks | None = None
    statistics: Mapping[str, float] = field(default_factory=dict)
    categories: tuple[Category, ...] = ()
    fill: Tensor | None = None
    factors: tuple[Factor, ...] = ()
    levels: Tensor | None = None
    targets: "Dataset | None" = None

    @property
    def wanted(self) -> "Dataset":
        """What is reconstructed: the targets, or else the samples themselves."""
        return self if self.targets is None else self.targets

    def targets_of(self, split: Split) -> Split:
        """What is reconstructed of a split of this data set."""
        if self.targets is None:
            return split
        mine = (self.train, self.validation, self.test)
        theirs = (self.targets.train, self.targets.validation, self.targets.test)
        return next(goal for each, goal in zip(mine, theirs, strict=True) if each is split)

    def goal(self, x: Tensor, target: Tensor | None) -> Tensor:
        """What the reconstruction is compared with: samples (B, *shape) as `target` has them, or their own targets.

        Those as their split holds them; None where there are none.

        """
        return x if target is None else self.wanted.target(target)

    @property
    def masked(self) -> bool:
        """Whether entries are missing, which nothing is measured on."""
        return self.fill is not None and any(
            bool(split.x.isnan().any()) for split in (self.train, self.validation, self.test)
        )

    @property
    def drawable(self) -> bool:
        """Whether samples can be drawn: rows, grey and colour images; two channels, or four, are no picture."""
        return self.shape[:-2] in ((), (1,), (3,))

    @property
    def is_image(self) -> bool:
        """Whether a sample is an image (C, H, W), not a row (D,)."""
        return len(self.shape) == 3

    @property
    def is_signal(self) -> bool:
        """Whether a sample is a signal (C, L)."""
        return len(self.shape) == 2

    @property
    def sizes(self) -> dict[str, int]:
        """Samples by split: {"train": 55000, "validation": 5000, "test": 10000}."""
        return {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}

    @property
    def full_range(self) -> tuple[float, float]:
        """Smallest and largest value of all splits as a model sees them; never narrower than `range`."""
        if self.train.x.dtype == torch.uint8:
            return self.range
        filled = [split.x for split in (self.train, self.validation, self.test) if len(split)]
        values = [limits(x) for x in filled]
        return min(low for low, _ in values), max(high for _, high in values)

    @property
    def metadata(self) -> dict[str, str]:
        """What a model needs to know of the data it was trained on, as text: it is kept with the weights."""
        known = {"shape": ",".join(map(str, self.shape)), "low": str(self.range[0]), "high": str(self.range[1])}
        known["digest"] = self.digest
        if self.scaling is not None:
            known["scaling"] = self.scaling.to_json()
        for key, value in (("columns", self.columns), ("classes", self.classes), ("categories", self.categories)):
            if value:
                known[key] = json.dumps(value)
        if self.fill is not None:
            known["fill"] = json.dumps(self.fill.tolist())
        if self.targets is not None:
            known["target_shape"] = ",".join(map(str, self.targets.shape))
            if self.targets.scaling is not None:
                known["target_scaling"] = self.targets.scaling.to_json()
        return known

    def say_notes(self) -> None:
        """Say how the data were read, a line each."""
        for note in self.notes:
            log.info("data=%s: %s", self.name, note)

    def rescaled(self, scaling: Scaling | None) -> Self:
        """The same rows in another scaling, None: in the table's own units. Labels and order stay."""
        if scaling == self.scaling:
            return self
        if not isinstance(self.train.x, Tensor):
            return self._read_in(scaling)

        def change(x: Tensor) -> Tensor:
            raw = x if self.scaling is None else self.scaling.undo(x)
            return raw.float() if scaling is None else scaling.apply(raw)

        return replace(self.changed(change), scaling=scaling)

    def _read_in(self, scaling: Scaling | None) -> Self:
        """The same of shards, which are scaled as they are read."""
        parts: dict[str, Any] = {}
        for name in ("train", "test", "validation"):
            split: Any = getattr(self, name)  # its x is no tensor
            parts[name] = replace(split, x=split.x.scaled_by(scaling))
        if self.validation is self.test:
            parts["validation"] = parts["test"]
        low, high = (parts["train"] if len(self.train) else parts["test"]).x.aminmax()
        marked = f"{self.digest} {'' if scaling is None else scaling.to_json()}"
        return replace(
            self,
            **parts,
            range=(float(low), float(high)),
            digest=hashlib.sha256(marked.encode()).hexdigest(),
            scaling=scaling,
        )

    def changed(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same samples with other values: `change` makes floats of each split's x (N, *shape)."""
        done: dict[int, Split] = {}  # where validation is the test set it stays so
        for split in (self.train, self.validation, self.test):
            if id(split) not in done:
                done[id(split)] = replace(split, x=change(split.x))
        train, validation, test = (done[id(split)] for split in (self.train, self.validation, self.test))
        known = train if len(train) else test
        return replace(
            self,
            train=train,
            validation=validation,
            test=test,
            range=limits(known.x),
            digest=digest(train, validation, test),
            fill=None if self.fill is None else change(self.fill[None])[0],
            levels=None,
        )

    def scaled(self, x: Tensor) -> Tensor:
        """(B, *shape) as a split holds it -> (B, *shape) float as a model sees it, on x's own device."""
        return self.filled(self.target(x))

    def target(self, x: Tensor) -> Tensor:
        """The same with NaN where an entry is missing: what a reconstruction is compared with."""
        return x.to(torch.get_default_dtype()).div_(255) if x.dtype == torch.uint8 else x

    def filled(self, x: Tensor) -> Tensor:
        """(B, *shape) with the mean of its column in place of every missing entry."""
        return x if self.fill is None else torch.where(x.isnan(), self.fill.to(x), x)

    def unscaled(self, x: Tensor) -> Tensor:
        """(B, *shape) as a model sees or makes it -> (B, *shape) in the source's own units.

        Those are grey levels, rounded and clipped to 0 to 255 (uint8), or a table's columns before scaling.
        """
        if self.train.x.dtype == torch.uint8:
            return x.mul(255).round_().clamp_(0, 255).to(torch.uint8)
        return x if self.scaling is None else self.scaling.undo(x)


def limits(x: Tensor) -> tuple[float, float]:
    """The lowest and the highest value of x, of what is no NaN."""
    low, high = (float(bound) for bound in x.aminmax())
    if low == low:
        return low, high
    present = x[~x.isnan()]
    return (float(present.min()), float(present.max())) if len(present) else (0.0, 0.0)


def digest(*splits: Split) -> str:
    """SHA-256 over type, shape and bytes of the arrays of `splits`, in order."""
    total = hashlib.sha256()
    for split in splits:
        for array in (split.x, split.y, *(() if split.factors is None else (split.factors,))):
            if array is None:
                total.update(b"none")
            else:
                total.update(f"{array.dtype} {tuple(array.shape)}".encode())
                total.update(array.contiguous().numpy().data)
    return total.hexdigest()
