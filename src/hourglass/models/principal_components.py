"""Principal components: the floor that an autoencoder has to beat.

The best linear autoencoder with a code of k units, in closed form (Pearson, 1901; Baldi and Hornik, 1989):

    C = E (x - m)(x - m)^T = V^T diag(l) V,  l_1 >= l_2 >= ...
    code h = V_k (x - m),  reconstruction r = m + V_k^T h,  E|x - r|^2 = sum_{j > k} l_j  on the training set

with m the training mean and V_k the first k rows of V. Nothing is clipped to the data's range.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hourglass.data import Dataset
from hourglass.system.cache import cache_dir, kept

LARGEST = 4096
"""Elements of a sample up to which runs are compared with PCA: time grows with their cube, memory with their square."""
FITTED = 100_000
"""Training samples, at most, that a floor is fitted to."""

_BLOCK_ROWS = 4096  # 13 MB of float32 for 28 x 28 images, instead of a 188 MB copy of the whole set


@dataclass(frozen=True)
class PCA:
    """A fitted decomposition of samples of D elements.

    Samples come as a data set stores them, (N, *shape): uint8 grey levels, which count as x / 255, or floats
    in the data's range. Codes and reconstructions are float32, reconstructions in the data's range.

    mean: (D,) float32.
    components: (D, D) float32, one component per row, largest eigenvalue first.
    eigenvalues: (D,) float64, variances along the components, in squared units of the data's range.
    shape: of one sample.
    """

    mean: Tensor
    components: Tensor
    eigenvalues: Tensor
    shape: tuple[int, ...]

    def encode(self, x: Tensor, k: int) -> Tensor:
        """The codes (N, k) of samples (N, *shape). ValueError: another shape, or k outside [1, D]."""
        components = self._first(k)
        return torch.cat([block @ components.T for block in self._centred(x)])

    def decode(self, code: Tensor) -> Tensor:
        """The samples (N, *shape), in the data's range, of codes (N, k)."""
        flat = code.float() @ self._first(code.shape[-1]) + self.mean
        return flat.reshape(-1, *self.shape)

    def mse(self, x: Tensor, k: int) -> float:
        """Mean squared error per element of the samples (N, *shape) behind a code of k units."""
        components = self._first(k)
        error = 0.0
        for block in self._centred(x):
            residual = block - (block @ components.T) @ components
            error += residual.square().sum(1).double().sum().item()
        return error / x.numel()

    def _first(self, k: int) -> Tensor:
        if not 1 <= k <= len(self.components):
            raise ValueError(f"k must be between 1 and {len(self.components)}, got {k}")
        return self.components[:k]

    def _centred(self, x: Tensor) -> Iterator[Tensor]:
        if tuple(x.shape[1:]) != self.shape or not len(x):
            raise ValueError(f"x must have shape (N, *{self.shape}) with N at least 1, got {tuple(x.shape)}")
        for block in _blocks(x):
            yield block - self.mean


def fit(x: Tensor) -> PCA:
    """The decomposition of samples (N, *shape), N at least 2, that are stored as `PCA` says.

    Products run in float32 on blocks, centred first, and sum up in float64. MNIST, 60,000 x 784, takes about
    1.2 s on two free cores, a fifth of it for the eigenvectors.

    Raises:
        ValueError: fewer than 2 samples, or a NaN or infinity among them.
    """
    if len(x) < 2 or x.ndim < 2:
        raise ValueError(f"x must hold at least 2 samples (N, *shape), got shape {tuple(x.shape)}")
    count, elements = len(x), math.prod(x.shape[1:])
    total = torch.zeros(elements, dtype=torch.float64)
    for block in _blocks(x):
        total += block.sum(0).double()
    mean = (total / count).float()
    covariance = torch.zeros(elements, elements, dtype=torch.float64)
    for block in _blocks(x):
        block -= mean  # in place: the block is a fresh copy
        covariance += (block.T @ block).double()
    covariance /= count
    if not bool(covariance.isfinite().all()):
        raise ValueError("x must be finite for a PCA, got NaN or infinity among its values")
    eigenvalues, vectors = torch.linalg.eigh(covariance)  # ascending, one vector per column
    return PCA(
        mean=mean,
        components=vectors.flip(1).T.float().contiguous(),
        eigenvalues=eigenvalues.flip(0).clamp(min=0),  # rounding leaves -1e-18 where there is no variance
        shape=tuple(x.shape[1:]),
    )


def pca_for(dataset: Dataset) -> PCA:
    """The decomposition of the `leading` samples of `dataset.train`, kept in the data folder as `pca/<digest>.npz`."""
    seen = dataset.filled(leading(dataset.train.x))
    return fit_cached(seen, path=cache_dir() / "pca" / f"{dataset.digest}.npz")


def leading(x: Tensor) -> Tensor:
    """`FITTED` samples at most, the first ones of a training set, which lies in random order; nothing is read."""
    return x.narrow(0, 0, min(len(x), FITTED))


def fit_cached(x: Tensor, *, path: Path) -> PCA:
    """`fit`, read from the npz file `path` where that exists, else computed and stored there.

    The file appears whole or not at all, whoever else writes it. One that can't be read is reported and
    replaced.
    """
    return kept(path, read=partial(_load, shape=tuple(x.shape[1:])), compute=lambda: fit(x), write=_save)


def _save(path: Path, pca: PCA) -> None:
    np.savez(path, mean=pca.mean, components=pca.components, eigenvalues=pca.eigenvalues)


def _load(path: Path, *, shape: tuple[int, ...]) -> PCA:
    elements = math.prod(shape)
    with np.load(path, allow_pickle=False) as held:
        arrays = {name: torch.from_numpy(held[name]) for name in ("mean", "components", "eigenvalues")}
    if arrays["mean"].shape != (elements,) or arrays["components"].shape != (elements, elements):
        raise ValueError(f"holds samples of {len(arrays['mean'])} elements, expected {elements}")
    return PCA(**arrays, shape=shape)


def _blocks(x: Tensor) -> Iterator[Tensor]:
    """Fresh float32 blocks (<= _BLOCK_ROWS, D) of the samples, in the data's range, on the CPU."""
    for block in torch.split(x, _BLOCK_ROWS):
        yield block.to("cpu", torch.float32, copy=True).flatten(1).div_(255 if x.dtype == torch.uint8 else 1)
