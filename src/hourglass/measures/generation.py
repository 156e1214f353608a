"""How good are new samples: do they look like data, all kinds of them, and are they new.

Of the features a of samples (see `hourglass.measures.features`), d values, of a set R of real ones and a set G:

    Frechet distance    |m_R - m_G|^2 + tr(C_R + C_G - 2 (C_R C_G)^1/2),    m means, C covariances
    kernel distance     MMD^2 = mean_{i != j} k(r_i, r_j) + mean_{i != j} k(g_i, g_j) - 2 mean_ij k(r_i, g_j),
                        k(u, v) = (u . v / d + 1)^3
    precision           share of G within a ball of R: around each r, as wide as to its 3rd nearest other of R
    recall              share of R within such a ball of G
    novelty             mean distance of G to the nearest training sample, over that of new data: test samples'

Frechet distance and kernel distance are 0 where the distributions are the same; the first is above 0 by chance for
finite sets, the more the smaller they are, the second is not. Precision is low where samples look like no data, recall
where they are few kinds. Novelty is 1 where samples are as far from the training set as data that were never seen, 0
where they are copies of it.

References: GANs trained by a two time-scale update rule converge to a local Nash equilibrium (Heusel et al., 2017);
Demystifying MMD GANs (Binkowski et al., 2018); Improved precision and recall metric for assessing generative models
(Kynkaanniemi et al., 2019), with k = 3; A non-parametric test to detect data-copying in generative models (Meehan,
Chaudhuri & Dasgupta, 2020).
"""

import torch
from torch import Tensor

__all__ = ["compare", "frechet", "kernel_distance", "nearest", "novelty", "precision_recall"]

NEIGHBOUR = 3
_ROWS = 250  # of a matrix of distances that are made at a time


def compare(real: Tensor, other: Tensor) -> dict[str, float]:
    """`frechet`, `kernel`, `precision` and `recall` of features (N, d) and (M, d); see the module."""
    precision, recall = precision_recall(real, other)
    return {
        "frechet": frechet(real, other),
        "kernel": kernel_distance(real, other),
        "precision": precision,
        "recall": recall,
    }


def frechet(real: Tensor, other: Tensor) -> float:
    """The Frechet distance of two normal distributions with the means and covariances of features (N, d) and (M, d).

    Raises:
        ValueError: fewer than 2 of either, or different widths.
    """
    _check(real, other, least=2)
    real, other = real.double(), other.double()
    of_real, of_other = (each.T.cov().reshape(each.shape[1], -1) for each in (real, other))
    root = _root(of_real)
    # tr (C_R C_G)^1/2 = tr (S C_G S)^1/2 with S the root of C_R, of a symmetric matrix.
    middle = torch.linalg.eigvalsh(root @ of_other @ root).clamp(min=0).sqrt().sum()
    means = (real.mean(0) - other.mean(0)).square().sum()
    return float(means + real.var(0).sum() + other.var(0).sum() - 2 * middle)


def kernel_distance(real: Tensor, other: Tensor) -> float:
    """The unbiased squared distance of two sets of features (N, d) and (M, d) by the cubic kernel.

    Raises:
        ValueError: fewer than 2 of either, or different widths.
    """
    _check(real, other, least=2)
    return _within(real) + _within(other) - 2 * _kernel(real, other).mean().item()


def precision_recall(real: Tensor, other: Tensor) -> tuple[float, float]:
    """Precision of `other`, and its recall of `real`, features (N, d) and (M, d).

    Raises:
        ValueError: not more than `NEIGHBOUR` of either, or different widths.
    """
    _check(real, other, least=NEIGHBOUR + 1)
    return _covered(other, by=real), _covered(real, by=other)


def nearest(features: Tensor, known: Tensor) -> Tensor:
    """The distance of each feature (M, d) to the nearest of those known (N, d), (M,)."""
    known = known.double()  # in 32 bits, products of matrices leave a copy at some distance
    return torch.cat([torch.cdist(rows, known).min(1).values for rows in torch.split(features.double(), _ROWS)])


def novelty(features: Tensor, unseen: Tensor, train: Tensor) -> float:
    """Novelty of features (M, d), beside unseen data (N, d), of training samples (K, d).

    NaN where the unseen data are all in the training set.
    """
    expected = nearest(unseen, train).double().mean()
    return (nearest(features, train).double().mean() / expected).item() if expected > 0 else float("nan")


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root


def _kernel(u: Tensor, v: Tensor) -> Tensor:
    cubed: Tensor = (u.double() @ v.double().T / u.shape[1] + 1) ** 3
    return cubed


def _within(u: Tensor) -> float:
    """The mean kernel of two different rows."""
    matrix = _kernel(u, u)
    return ((matrix.sum() - matrix.diagonal().sum()) / (len(u) * (len(u) - 1))).item()


def _covered(features: Tensor, *, by: Tensor) -> float:
    """The share of features that lie in a ball around one of the others."""
    within = torch.zeros(len(features), dtype=torch.bool)
    for start in range(0, len(by), _ROWS):
        rows = by[start : start + _ROWS]
        # A row is its own nearest.
        radii = torch.cdist(rows, by, compute_mode=_EXACT).kthvalue(NEIGHBOUR + 1, dim=1).values
        within |= (torch.cdist(rows, features, compute_mode=_EXACT) <= radii[:, None]).any(0)
    return within.double().mean().item()


_EXACT = "donot_use_mm_for_euclid_dist"  # by products of matrices a row is not at distance 0 of itself


def _check(real: Tensor, other: Tensor, *, least: int) -> None:
    if real.ndim != 2 or other.ndim != 2 or real.shape[1] != other.shape[1] or min(len(real), len(other)) < least:
        raise ValueError(
            f"features must be (N, d) and (M, d), of at least {least} samples, got {tuple(real.shape)} and"
            f" {tuple(other.shape)}"
        )
