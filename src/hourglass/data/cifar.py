"""CIFAR-10: 50,000 + 10,000 colour photographs of 32x32 in ten classes (Krizhevsky, 2009).

It is published as Python pickles, a format that can run any code when it is read. So each file is read only after
its digest is the published one, and even then by a reader that knows three names,

    array = _reconstruct(ndarray, ...), dtype      and refuses every other,

which is all that an array of bytes and a list of labels need.
"""

import io
import pickle
from functools import partial
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from hourglass.data.dataset import Dataset, Split
from hourglass.data.downloads import from_archive
from hourglass.data.fetch import Collection, DataCorruptError, load
from hourglass.data.splitting import Splits, Splitting

TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_FILES = ("test_batch",)

#: MD5 as torchvision lists them; the archive's SHA-256 as Keras does.
CIFAR10 = Collection(
    name="cifar-10-batches-py",
    subfolder="",
    algorithm="md5",
    digests={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
    carriers=(
        (
            "torchvision's mirror",
            partial(
                from_archive,
                "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            ),
        ),
    ),
    instead="data=patches data.colour=true",
)


CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def cifar10(*, root: str | None, **splits: Unpack[Splits]) -> Dataset:
    """Photographs of things, (3, 32, 32) uint8.

    Reference: Learning multiple layers of features from tiny images (Krizhevsky, 2009).
    Labels: 0 airplane, 1 automobile, 2 bird, 3 cat, 4 deer, 5 dog, 6 frog, 7 horse, 8 ship, 9 truck.

    root: a torchvision root that holds cifar-10-batches-py; None is the data folder, filled by fetching when need be.
    The others: `Splitting`. Raises ValueError, and what `fetch.load` raises.
    """
    splitting = Splitting(test_share=None, **splits)
    return photographs("cifar10", CIFAR10, root, splitting)


def photographs(name: str, collection: Collection, root: str | None, splitting: Splitting) -> Dataset:
    """The batches of `collection` as a data set."""
    contents = load(collection, root=root)

    def split(files: tuple[str, ...]) -> Split:
        batches = [_batch(contents[file], file) for file in files]
        return Split(x=torch.cat([x for x, _ in batches]), y=torch.cat([y for _, y in batches]))

    return splitting.dataset(name=name, samples=split(TRAIN_FILES), test=split(TEST_FILES), classes=CLASSES)


class _ArrayUnpickler(pickle.Unpickler):
    """Reads arrays, lists, dicts, numbers and text, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """The three names that an array is pickled with; numpy.core is numpy._core since NumPy 2."""
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype")}:
            return getattr(np, name)
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np.empty(0).__reduce__()[0]  # the same function, wherever this NumPy keeps it
        raise pickle.UnpicklingError(f"it wants {module}.{name}, which no array of pixels needs")


def _batch(content: bytes, source: str) -> tuple[Tensor, Tensor]:
    """The images and labels in `content`, the bytes of one batch file; `source` names it in errors."""
    try:
        # latin1: the files were written by Python 2, whose text is bytes.
        held = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
        x, y = held["data"], np.array(held["labels"], dtype=np.int64)
    except Exception as error:  # a broken pickle raises anything at all
        raise DataCorruptError(f"{source} can't be read as a CIFAR-10 batch: {error}") from error
    if type(x) is not np.ndarray or x.dtype != np.uint8 or x.ndim != 2 or x.shape[1] != 3 * 32 * 32:
        raise DataCorruptError(f"{source} must hold data (N, 3072) uint8, got {getattr(x, 'shape', x)!r}")
    if y.shape != x.shape[:1] or (len(y) and not 0 <= y.min() <= y.max() <= 9):
        raise DataCorruptError(f"{source} must hold {len(x)} labels from 0 to 9, got shape {y.shape}")
    return torch.from_numpy(x.reshape(-1, 3, 32, 32)), torch.from_numpy(y)
