"""How the samples of a source become train, validation and test.

With a permutation p of the source's N samples, drawn once from `split_seed`,

    test       = p[0 : t]                 t = test_share of N; nothing when the source brings its own test set
    validation = p[t : t + v]             v = validation_size, a number or a share of N
    train      = p[t + v : ][: train_size]

so that a larger `train_size` adds samples and takes none away, and neither validation nor test depends on it.
A validation set of the source's own stands in for v. With `validation="test"`, as some publications measure, v is 0 and
validation is the test set. `test_size` keeps that many samples of the test set, drawn from `split_seed` as well. With
`test_share=1.0` all is test, for a model that has been trained: nothing is left to train on.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from operator import eq
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from hourglass.data.binarized import BINARIZE, Binarized, drawn_once, told
from hourglass.data.dataset import Category, Dataset, Scaling, Split, digest, limits
from hourglass.data.factors import Factor
from hourglass.data.missing import check_finite, filled, means
from hourglass.data.scaling import fit_scaling
from hourglass.system.checks import check_choice, check_count, check_share

VALIDATIONS = ("split", "test")
RESIDENTS = ("auto", "always", "never")


class Splits(TypedDict):
    """The choices that every source takes, as `**splits: Unpack[Splits]`; see `Splitting`."""

    validation_size: int | float
    validation: str
    split_seed: int
    train_size: int | None
    test_size: int | None
    order_seed: int
    resident: str


class SplitsAndTest(Splits):
    """The same for a source that brings no test set of its own."""

    test_share: float


class ImageSplits(Splits, Binarized):
    """The choices of a source of images in [0, 1]."""


class ImageSplitsAndTest(SplitsAndTest, Binarized):
    """The same for a source that brings no test set of its own."""


@dataclass(frozen=True, kw_only=True)
class Splitting:
    """The choices that every source shares; each is checked here, before anything is fetched or read.

    validation_size: number of samples (int) or share of the source's samples (float between 0 and 1).
    validation: "split" takes it from the training samples, "test" uses the test set.
    split_seed, order_seed: 0 or more. train_size, test_size: at most so many samples; None keeps all.
    test_share: share of the samples set apart for testing, 1.0 for all; None where the source brings its own test set.
    resident: "auto", "always" or "never", see `Dataset`.
    binarize: "none", "static" or "dynamic", see `hourglass.data.binarized`.
    binarize_seed: of the fixed draws, 0 or more.
    """

    validation_size: int | float
    validation: str
    split_seed: int
    train_size: int | None
    test_size: int | None
    order_seed: int
    resident: str
    test_share: float | None
    binarize: str = "none"
    binarize_seed: int = 0

    def __post_init__(self) -> None:
        check_choice("validation", self.validation, VALIDATIONS)
        check_choice("resident", self.resident, RESIDENTS)
        check_choice("binarize", self.binarize, BINARIZE)
        check_count("binarize_seed", self.binarize_seed, low=0, high=2**32 - 1)
        if type(self.validation_size) is float:
            check_share("validation_size", self.validation_size)
        else:
            check_count("validation_size", self.validation_size)
        # 2^32 - 1 is the largest seed that the permutation takes.
        check_count("split_seed", self.split_seed, low=0, high=2**32 - 1)
        check_count("order_seed", self.order_seed, low=0)
        for key, size in (("train_size", self.train_size), ("test_size", self.test_size)):
            if size is not None:
                check_count(key, size)
        if self.test_share is not None:
            check_share("test_share", self.test_share, or_all=True)

    def dataset(
        self,
        *,
        name: str,
        samples: Split,
        test: Split | None,
        validation: Split | None = None,
        columns: tuple[str, ...] | None = None,
        scaling: str = "none",
        notes: tuple[str, ...] = (),
        classes: tuple[str, ...] | None = None,
        categories: tuple[Category, ...] = (),
        factors: tuple[Factor, ...] = (),
        missing: str = "refuse",
    ) -> Dataset:
        """Split `samples` (and cut `test`, the source's own test set, which stands in for `test_share`).

        validation: the source's own validation set, which stands in for `validation_size`.
        scaling: see `hourglass.data.scaling`, fitted on train.
        notes: what to say of the data before they are used.
        classes: names of the labels. categories: the columns that are one-hot. factors: those of `Split.factors`.
        missing: "refuse", or what becomes of a NaN: "mean", the mean of its column over train, or "mask", the same for
            the model alone, see `Dataset`.
        Raises ValueError where the sizes ask for more than there is, or a float is nan or infinite.
        """
        for part in (samples, validation, test):
            if part is not None:
                check_finite(name, part.x, missing=missing != "refuse")
        given = samples, validation, test
        drawn = drawn_once(self.binarize, given, seed=self.binarize_seed, scaling=scaling)
        train, validation, test = self._divided(*drawn, self.permutation)
        levels = self._divided(*given, self.permutation)[0].x if self.binarize == "dynamic" else None
        known = train if len(train) else test  # with test_share=1.0
        fitted = fit_scaling(known.x, scaling, categories=categories)
        same = validation is test
        train, test = _scaled(train, fitted), _scaled(test, fitted)
        validation = test if same else _scaled(validation, fitted)
        known = train if len(train) else test
        fill = None if missing == "refuse" else means(known.x, columns)
        if missing == "mean":
            train, test = filled(train, fill), filled(test, fill)
            validation = test if same else filled(validation, fill)
            known = train if len(train) else test
        (train, validation, test), notes = _with_classes((train, validation, test), notes)
        grey = train.x.dtype == torch.uint8
        parts = (train, validation, test)
        return Dataset(
            name=name,
            train=train,
            validation=validation,
            test=test,
            shape=tuple(train.x.shape[1:]),
            range=(0.0, 1.0) if grey else limits(known.x),
            digest=digest(*parts) if levels is None else digest(*parts, Split(x=levels, y=None)),
            order_seed=self.order_seed,
            resident=self.resident,
            columns=columns,
            scaling=fitted,
            notes=(*notes, *told(self.binarize, self.binarize_seed)),
            classes=classes,
            categories=categories,
            fill=fill,
            factors=factors,
            levels=levels,
        )

    def mapped_dataset(
        self,
        *,
        name: str,
        samples: Split,
        validation: Split | None,
        test: Split | None,
        digests: Mapping[str, Tensor],
        notes: tuple[str, ...] = (),
        classes: tuple[str, ...] | None = None,
    ) -> Dataset:
        """The same for grey levels that lie in the order of `permutation` already: nothing is copied, x isn't read.

        Every split is then one slice of x, which may be mapped from a file larger than the memory.

        validation, test: the source's own sets, which stand in for `validation_size` and `test_share`.
        digests: (N, 32) uint8, the SHA-256 of every sample of `train`, `validation` and `test`, as far as they are
            given: the data set's is made of these.
        classes: names of the classes, by number.
        """
        parts, notes = self.in_order(samples, validation, test, notes)
        given = {"train": samples, "validation": validation, "test": test}
        marks = {name: Split(x=digests[name], y=part.y) for name, part in given.items() if part is not None}
        marked = self._divided(marks["train"], marks.get("validation"), marks.get("test"), range)
        return Dataset(
            name=name,
            train=parts[0],
            validation=parts[1],
            test=parts[2],
            shape=tuple(samples.x.shape[1:]),
            range=(0.0, 1.0),
            digest=digest(*(replace(mark, y=part.y) for mark, part in zip(marked, parts, strict=True))),
            order_seed=self.order_seed,
            resident=self.resident,
            columns=None,
            scaling=None,
            notes=notes,
            classes=None if parts[0].y is None else classes,
        )

    def in_order(
        self, samples: Split, validation: Split | None, test: Split | None, notes: tuple[str, ...] = ()
    ) -> tuple[tuple[Split, Split, Split], tuple[str, ...]]:
        """Train, validation and test of samples that lie in random order already: nothing is read. See `dataset`."""
        return _with_classes(self._divided(samples, validation, test, range), notes)

    def _divided(
        self, samples: Split, validation: Split | None, test: Split | None, draw: Callable[[int], Tensor | range]
    ) -> tuple[Split, Split, Split]:
        total = len(samples)
        order = draw(total)
        if test is None:
            assert self.test_share is not None, "a source without a test set of its own takes a test_share"
            held_out = _count(self.test_share, total) if self.test_share != 1 else total
            if held_out > total - 2 and self.test_share != 1:
                raise ValueError(
                    f"test_share must leave 2 samples or more of {total}, for validation and training, "
                    f"got {self.test_share}"
                )
            test, order = _taken(samples, order[:held_out]), order[held_out:]
        if self.test_size is not None:
            if self.test_size > len(test):
                raise ValueError(f"test_size must be at most {len(test)}, the test samples, got {self.test_size}")
            test = _taken(test, draw(len(test))[: self.test_size])
        if self.test_share == 1 and not len(order):  # nothing is left to divide
            nothing = _taken(samples, order)
            return nothing, test if self.validation == "test" else nothing, test
        if self.validation == "test":
            validation = test
        elif validation is None:
            size = _count(self.validation_size, total)
            if size >= len(order):
                raise ValueError(
                    f"validation_size must be at most {len(order) - 1} of {total}, to leave training samples, "
                    f"got {self.validation_size}"
                )
            validation, order = _taken(samples, order[:size]), order[size:]
        if self.train_size is not None and self.train_size > len(order):
            raise ValueError(
                f"train_size must be at most {len(order)}, what validation and test leave of {total}, "
                f"got {self.train_size}"
            )
        return _taken(samples, order[: self.train_size]), validation, test

    def permutation(self, size: int) -> Tensor:
        """The order p of `size` samples, (size,) int64."""
        # RandomState, because NumPy has frozen its stream for good (NEP 19): a digest must outlive a release.
        return torch.from_numpy(np.random.RandomState(self.split_seed).permutation(size))


def existing_file(key: str, path: str) -> Path:
    """The file `path`, ~ expanded. Raises ValueError where there is none."""
    file = Path(str(path)).expanduser()  # data.path=2024 arrives as a number
    if not file.is_file():
        raise ValueError(f"{key} must be an existing file, got {path}")
    return file


def check_apart(what: str, given: Mapping[str, str | None], same: Callable[[str, str], bool] = eq) -> None:
    """ValueError where two of a source's keys name the same samples, which would be trained and tested on.

    what: "file" or "split". given: by key, that of the samples first; None: nothing. same: whether two are one.
    """
    held = [(key, value) for key, value in given.items() if value is not None]
    for (first, one), (second, other) in combinations(held, 2):
        if same(one, other):
            advice = (
                "null sets some of the samples apart"
                if first == next(iter(given))
                else "data.validation=test validates on the test set"
            )
            raise ValueError(f"{second} must be another {what} than {first}, got {other} for both: {advice}")


def check_files_apart(paths: Mapping[str, str | None]) -> None:
    """The same for files, whatever their paths look like. Raises ValueError for one that isn't there, too."""
    files = {key: None if path is None else str(existing_file(key, path)) for key, path in paths.items()}
    check_apart("file", files, os.path.samefile)


def _with_classes(
    parts: tuple[Split, Split, Split], notes: tuple[str, ...]
) -> tuple[tuple[Split, Split, Split], tuple[str, ...]]:
    """Train, validation and test, without labels where train has one class only: there is nothing to tell apart."""
    train, validation, test = parts
    learned = train if len(train) else test
    if learned.y is None or bool((learned.y != learned.y[0]).any()):
        return parts, notes
    bare = replace(test, y=None)
    note = f"all labels are {learned.y[0].item()}, of one class: taken as data without labels"
    parts = replace(train, y=None), bare if validation is test else replace(validation, y=None), bare
    return parts, (*notes, note)


def _count(size: int | float, total: int) -> int:
    """A number of samples, given as such or as a share of `total`; a share gives at least one."""
    return size if type(size) is int else max(1, round(size * total))


def _taken(split: Split, index: Tensor | range) -> Split:
    def rows(array: Tensor) -> Tensor:
        if isinstance(index, range):  # a run: a view will do, and a mapped file stays one
            return array.narrow(0, index.start, len(index))
        return array.index_select(0, index)  # copies whole samples: 3 times as fast as x[index] on 55,000 images

    return Split(
        x=rows(split.x),
        y=None if split.y is None else rows(split.y),
        factors=None if split.factors is None else rows(split.factors),
    )


def _scaled(split: Split, scaling: Scaling | None) -> Split:
    x = split.x if scaling is None else scaling.apply(split.x)
    return replace(split, x=x if x.dtype == torch.uint8 else x.float())
