"""The linear floor: the least error of any linear code of k units, for the input that the model gets.

    clean input x       PCA                       r = m + V_k V_k^T (x - m)
    corrupted input c   reduced-rank regression   r = m_x + V_k V_k^T W (c - m_c),   W = S_xc S_cc^-1
    another target x    the same, from the input c that goes with it, of any size

with means m and covariances S of the training set, and V_k the k leading eigenvectors of the covariance, for PCA, and
of W S_cx, the covariance of what the full linear regression W predicts, for the other. Each minimises E|x - r|^2 over
all affine maps of rank k. PCA's error on clean samples is one that no code of corrupted ones can be asked to reach.

The training set is corrupted by the run's own noise, one draw for each sample from fixed seeds that no test has. S_cc
is singular where values never vary or depend on each other; a ridge on its diagonal, `RIDGE` of the mean variance,
makes the inverse stable. Nothing is clipped to the data's range.

References: On lines and planes of closest fit (Pearson, 1901); Reduced-rank regression for the multivariate linear
model (Izenman, 1975); Neural networks and principal component analysis (Baldi & Hornik, 1989).
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hourglass.data import Dataset
from hourglass.data.dataset import EVAL_BATCH
from hourglass.measures.health import is_rounding
from hourglass.models.principal_components import LARGEST, leading, pca_for
from hourglass.noise import Corruption
from hourglass.system.cache import cache_dir, kept

RIDGE = 1e-6
"""What is added to the variances of the corrupted values, as a share of their mean: far above the rounding of float64,
and too little to be seen in an error."""
SPARSE = 0.5
"""Share of the units that are on for a sample, of that in a dense code, below which a code counts as sparse."""

_DRAWS = 500_000  # number of the first batch of training noise: far from those of validation and test, which start at 0


@dataclass(frozen=True)
class LinearFloor:
    """The best linear code, fitted for every k at once.

    name: `PCA` or `reduced-rank regression`.
    input_mean: (C,) float32, m_c; C = D but for targets that are not the input.
    mean: (D,) float32, m_x.
    encoder: (D, C) float32, V^T W: its first k rows give the code.
    decoder: (D, D) float32, V^T: its first k rows are what the units stand for.
    """

    name: str
    input_mean: Tensor
    mean: Tensor
    encoder: Tensor
    decoder: Tensor

    def reconstruct(self, corrupted: Tensor, k: int, *, shape: tuple[int, ...] | None = None) -> Tensor:
        """Samples (N, *shape) float, as the model gets them, to reconstructions from k units, 0 to D, on the CPU.

        shape: of a target; None: of a sample.
        """
        code = (corrupted.cpu().flatten(1) - self.input_mean) @ self.encoder[:k].T
        return (code @ self.decoder[:k] + self.mean).view(len(corrupted), *(shape or corrupted.shape[1:]))


def linear_floor(data: Dataset, noise: Corruption) -> LinearFloor | None:
    """The floor for a data set under a noise; None for samples of more than `LARGEST` values, or a single one.

    Kept in the data folder by what the data are and what the noise makes of the first training samples. For MNIST under
    noise it takes about 4 s once on one core.
    """
    elements = math.prod(data.wanted.shape)
    if max(math.prod(data.shape), elements) > LARGEST or len(data.train) < 2:
        return None
    first, corrupted = next(_pairs(data, noise))
    if torch.equal(first, corrupted):
        pca = pca_for(data)
        return LinearFloor("PCA", pca.mean, pca.mean, pca.components, pca.components)
    seen = hashlib.sha256(corrupted.contiguous().numpy().tobytes()).hexdigest()
    path = cache_dir() / "floors" / f"{data.digest[:32]}-{seen[:32]}.npz"
    return kept(
        path,
        read=partial(_read, elements=elements),
        compute=lambda: reduced_rank_regression(_pairs(data, noise)),
        write=_write,
    )


def reduced_rank_regression(pairs: Iterator[tuple[Tensor, Tensor]]) -> LinearFloor:
    """The best linear maps of every rank from corrupted to clean samples.

    Args:
        pairs: blocks of clean and corrupted samples, or of targets and inputs, (n, D) and (n, C), float on the CPU;
            sums and products run in float64, because a blur leaves directions with next to no variance.

    Raises:
        ValueError: a NaN or infinity among the values.
    """
    count = 0
    for x, c in pairs:
        x, c = x.double(), c.double()
        if not count:
            # Deviations from the first block's means keep the covariances free of cancellation.
            origin_x, origin_c = x.mean(0), c.mean(0)
            sum_x, sum_c = torch.zeros_like(origin_x), torch.zeros_like(origin_c)
            products_cc = torch.zeros(c.shape[1], c.shape[1], dtype=torch.float64)
            products_xc = torch.zeros(x.shape[1], c.shape[1], dtype=torch.float64)
        x, c = x - origin_x, c - origin_c
        sum_x += x.sum(0)
        sum_c += c.sum(0)
        products_cc.addmm_(c.T, c)
        products_xc.addmm_(x.T, c)
        count += len(x)
    mean_x, mean_c = sum_x / count, sum_c / count
    s_cc = products_cc / count - torch.outer(mean_c, mean_c)
    s_xc = products_xc / count - torch.outer(mean_x, mean_c)
    if not bool(s_cc.isfinite().all() and s_xc.isfinite().all()):
        raise ValueError("the linear floor needs finite samples, got NaN or infinity among them")
    ridge = RIDGE * s_cc.diagonal().mean().clamp(min=torch.finfo(torch.float64).tiny)
    s_cc.diagonal().add_(ridge)
    regression = torch.cholesky_solve(s_xc.T, torch.linalg.cholesky(s_cc)).T  # W = S_xc S_cc^-1
    predicted = regression @ s_xc.T
    _, vectors = torch.linalg.eigh((predicted + predicted.T) / 2)  # ascending, one vector per column
    directions = vectors.flip(1).T
    return LinearFloor(
        name="reduced-rank regression",
        input_mean=(mean_c + origin_c).float(),
        mean=(mean_x + origin_x).float(),
        encoder=(directions @ regression).float(),
        decoder=directions.float().contiguous(),
    )


class Errors(NamedTuple):
    """Mean squared errors per value, on the same samples."""

    floor: float
    """Of the linear code."""
    mean: float
    """Of the training mean: a linear code of no units."""


@torch.no_grad()
def errors(
    floor: LinearFloor, x: Tensor, data: Dataset, noise: Corruption, *, k: int, goal: Tensor | None = None
) -> Errors:
    """The errors of k units, from 0 to D, on samples (N, *shape) that are corrupted as the test corrupts them.

    goal: their targets (N, *target shape), as the data set holds them; None: they themselves.
    """
    of_floor, of_mean, count, device = 0.0, 0.0, 0, noise.bounds.device
    goals = x if goal is None else goal
    for index, (block, wanted) in enumerate(zip(*(torch.split(each, EVAL_BATCH) for each in (x, goals)), strict=True)):
        seen = data.target(block.to(device))
        with noise.seeded(index):
            corrupted = noise(data.filled(seen))
        target = data.goal(seen, None if goal is None else wanted).cpu()  # what is missing, NaN, counts nowhere
        shape = data.wanted.shape
        of_floor += (floor.reconstruct(corrupted, k, shape=shape) - target).square().double().nansum().item()
        of_mean += (floor.reconstruct(corrupted, 0, shape=shape) - target).square().double().nansum().item()
        count += int((~target.isnan()).sum())
    return Errors(of_floor / count, of_mean / count)


def ratio(mse: float, errors: Errors, *, on: float, dense: float | None) -> float | None:
    """The error over that of the floor of k units; None where the two can't be compared.

    They can't where the floor leaves `health.ROUNDING` of the variance or less, and where the code is sparse. Of k
    units a sparse code writes only some down for a sample, so that k components ask too much of it; as many components
    as units are on would ask too little, because the code also says which units these are. A code whose units are never
    off is not sparse, however few of them vary: those that don't have collapsed.

    Args:
        mse: the model's, on the same samples and corruption.
        errors: with as many components as code units.
        on: share of the units that are on for a sample, `code_active_fraction`.
        dense: that share in a code that is not sparse, `Activity.dense`; None for one whose units are never off.
    """
    sparse = dense is not None and on < SPARSE * dense
    if sparse or is_rounding(errors.floor, errors.mean):
        return None
    return mse / errors.floor


@torch.no_grad()
def _pairs(data: Dataset, noise: Corruption) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of the training set, what is wanted and what the model sees, float32 on the CPU."""
    device = noise.bounds.device
    blocks = (torch.split(leading(each), EVAL_BATCH) for each in (data.train.x, data.wanted.train.x))
    for index, (block, goal) in enumerate(zip(*blocks, strict=True)):
        x = data.scaled(block.to(device))
        with noise.seeded(_DRAWS + index):
            corrupted = noise(x)
        x = x if data.targets is None else data.wanted.scaled(goal.to(device))
        yield x.flatten(1).float().cpu(), corrupted.flatten(1).float().cpu()


_ARRAYS = ("input_mean", "mean", "encoder", "decoder")


def _read(path: Path, *, elements: int) -> LinearFloor:
    with np.load(path, allow_pickle=False) as held:
        arrays = {name: torch.from_numpy(held[name]) for name in _ARRAYS}
        if arrays["decoder"].shape != (elements, elements):
            raise ValueError(f"holds samples of {len(arrays['mean'])} elements, expected {elements}")
        return LinearFloor(str(held["name"]), **arrays)


def _write(path: Path, floor: LinearFloor) -> None:
    np.savez(path, name=floor.name, **{name: getattr(floor, name).numpy() for name in _ARRAYS})
