"""Data sets that scikit-learn brings along: no network, always there."""

from functools import cache
from typing import Any, Unpack

import numpy as np
import torch

from hourglass.data.dataset import Dataset, Split
from hourglass.data.scaling import SCALINGS
from hourglass.data.splitting import ImageSplitsAndTest, SplitsAndTest, Splitting
from hourglass.system.checks import check_choice, check_count


def digits(**splits: Unpack[ImageSplitsAndTest]) -> Dataset:
    """1,797 handwritten digits, (1, 8, 8) uint8, labels 0 to 9 (Alpaydin and Kaynak, UCI, 1998).

    The original has 17 levels, 0 to 16; they become grey levels by round(v * 255 / 16), so 8 becomes 128.
    Arguments: `Splitting`.
    """
    splitting = Splitting(**splits)
    images, classes = _digits()
    samples = Split(x=torch.from_numpy(images.copy()).unsqueeze(1), y=torch.from_numpy(classes.copy()))
    return splitting.dataset(name="digits", samples=samples, test=None)


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Grey levels (1797, 8, 8) and classes (1797,): read once, since their text takes as long as a model's building."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.round(bunch.images * 255 / 16).astype(np.uint8), bunch.target.astype(np.int64, copy=False)


def breast_cancer(*, scaling: str, **splits: Unpack[SplitsAndTest]) -> Dataset:
    """569 tumours, 30 measurements of cell nuclei each, (30,) float32; y: 0 malignant, 1 benign.

    Reference: Nuclear feature extraction for breast tumor diagnosis (Street, Wolberg and Mangasarian, 1993).
    scaling: "none", "minmax" or "standard", fitted on train. The other arguments: `Splitting`.
    """
    splitting = Splitting(**splits)
    from sklearn.datasets import load_breast_cancer

    return _table("breast_cancer", load_breast_cancer(), splitting, scaling)


def wine(*, scaling: str, **splits: Unpack[SplitsAndTest]) -> Dataset:
    """178 wines of three cultivars, 13 chemical measurements each, (13,) float32; y: cultivar 0 to 2.

    Reference: Wine recognition data (Forina et al., 1991), UCI. scaling: "none", "minmax" or "standard", fitted on
    train. The other arguments: `Splitting`.
    """
    splitting = Splitting(**splits)
    from sklearn.datasets import load_wine

    return _table("wine", load_wine(), splitting, scaling)


def _table(name: str, bunch: Any, splitting: Splitting, scaling: str) -> Dataset:
    check_choice("scaling", scaling, SCALINGS)
    samples = Split(
        x=torch.from_numpy(bunch.data.astype(np.float32)), y=torch.from_numpy(bunch.target.astype(np.int64))
    )
    columns = tuple(str(column) for column in bunch.feature_names)
    classes = tuple(map(str, bunch.target_names))
    return splitting.dataset(name=name, samples=samples, test=None, columns=columns, scaling=scaling, classes=classes)


def patches(*, size: int, count: int, colour: bool, seed: int, **splits: Unpack[SplitsAndTest]) -> Dataset:
    """Square patches of the two photographs that scikit-learn brings along, uint8, (1 or 3, size, size).

    y says which photograph: 0 the temple (`china.jpg`), 1 the flower (`flower.jpg`). Train and test patches come from
    the same two photographs and may overlap: they show what natural images are made of, not generalisation to new ones.

    size: side of a patch in pixels, 4 to 256. count: number of patches. colour: three channels, or one, the luma
    0.299 R + 0.587 G + 0.114 B. seed: of their places. The other arguments: `Splitting`.
    """
    splitting = Splitting(**splits)
    check_count("size", size, low=4, high=256)
    check_count("count", count, low=3)
    check_count("seed", seed, low=0, high=2**32 - 1)
    from sklearn.datasets import load_sample_images

    photographs = [np.asarray(image, dtype=np.uint8) for image in load_sample_images().images]  # (427, 640, 3) each
    if not colour:
        luma = np.array([0.299, 0.587, 0.114])
        photographs = [np.round(image @ luma).astype(np.uint8)[..., None] for image in photographs]
    draw = np.random.RandomState(seed)  # its stream is frozen, so the digest outlives a NumPy release
    which = draw.randint(len(photographs), size=count)
    found = np.empty((count, size, size, photographs[0].shape[2]), dtype=np.uint8)
    for at, image in enumerate(photographs[number] for number in which):
        top, left = draw.randint(image.shape[0] - size + 1), draw.randint(image.shape[1] - size + 1)
        found[at] = image[top : top + size, left : left + size]
    samples = Split(
        x=torch.from_numpy(found).permute(0, 3, 1, 2).contiguous(), y=torch.from_numpy(which.astype(np.int64))
    )
    return splitting.dataset(name="patches", samples=samples, test=None)
