"""Does each unit of a code hold one factor of the data, and each factor one unit: where factors are known.

With codes h (n units) of samples whose factors v_1 ... v_K are known:

    mutual-information gap    MIG = 1/K sum_k (I(h_a; v_k) - I(h_b; v_k)) / H(v_k)
        a, b the two units with the most mutual information with v_k, every unit cut into 20 equal bins of its range

    DCI, with R_jk the importance of unit j for a random forest that tells v_k from the code, sum_j R_jk = 1:
        disentanglement   D = sum_j w_j (1 - H_K(R_j. / sum_k R_jk)),    w_j = sum_k R_jk / K
        completeness      C = 1/K sum_k (1 - H_n(R_.k))
        informativeness   I = 1/K sum_k accuracy of the forest on other samples

with H_m the entropy to the base m. All lie in [0, 1]: D is 1 where no unit holds more than one factor, C where no
factor lies in more than one unit, MIG is high where C is, and the unit holds the whole factor. A factor of which a
sample can't tell every value, as the angle of a square, bounds I and MIG.

References: Isolating sources of disentanglement in variational autoencoders (Chen et al., 2018); A framework for the
quantitative evaluation of disentangled representations (Eastwood & Williams, 2018); bins, and forests of classes, as in
Challenging common assumptions in the unsupervised learning of disentangled representations (Locatello et al., 2019).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["BINS", "DCI", "dci", "mutual_information_gap"]

BINS = 20
"""Of a code unit, between its least and its largest value."""
TREES = 50
_LEAST = 5  # samples in a leaf: fewer only learn single samples by heart, and take longer

Floats = npt.NDArray[np.float64]


class DCI(NamedTuple):
    """What `dci` finds."""

    disentanglement: float
    completeness: float
    informativeness: float


def mutual_information_gap(code: Tensor, factors: Tensor) -> float:
    """MIG of codes (N, n) whose factors are (N, K) integers; NaN for NaN or infinite codes.

    Of factors that differ between the samples; NaN where none does. One unit alone holds what it holds: its gap is to
    0. Bins give every unit (bins - 1) (values - 1) / (2 N) nats too much, about the same to all, so that the gap is
    little changed.

    Raises:
        ValueError: shapes that don't fit together.
    """
    from sklearn.metrics import mutual_info_score

    _check(code, factors)
    if not bool(code.isfinite().all()):
        return float("nan")
    cut = [_bins(unit) for unit in code.detach().cpu().double().T]
    gaps = []
    for known in factors.cpu().T:
        values = known.numpy()
        shares = np.unique(values, return_counts=True)[1] / len(values)
        if len(shares) < 2:
            continue
        held = sorted((mutual_info_score(values, unit) for unit in cut), reverse=True)
        gaps.append((held[0] - (held[1] if len(held) > 1 else 0.0)) / -(shares * np.log(shares)).sum())
    return float(np.mean(gaps)) if gaps else float("nan")


def dci(code: Tensor, factors: Tensor, test_code: Tensor, test_factors: Tensor) -> DCI:
    """DCI of codes, learned on (N, n) and (N, K), scored on (M, n) and (M, K); NaN for NaN or infinite codes.

    With 10,000 samples, 10 units and the five factors of `shapes` it takes about 10 s on one core.

    Raises:
        ValueError: shapes that don't fit together.
    """
    from sklearn.ensemble import RandomForestClassifier

    _check(code, factors)
    _check(test_code, test_factors)
    if not bool(code.isfinite().all() and test_code.isfinite().all()):
        return DCI(*[float("nan")] * 3)
    x, test = (each.detach().cpu().float().numpy() for each in (code, test_code))
    importances, right, threads = [], [], torch.get_num_threads()
    for known, test_known in zip(factors.cpu().T, test_factors.cpu().T, strict=True):
        forest = RandomForestClassifier(TREES, min_samples_leaf=_LEAST, n_jobs=threads, random_state=0)
        forest.fit(x, known.numpy())
        importances.append(forest.feature_importances_)
        right.append(float(forest.score(test, test_known.numpy())))
    matrix = np.array(importances).T  # (n, K)
    return DCI(*scores(matrix), informativeness=float(np.mean(right)))


def scores(importances: Floats) -> tuple[float, float]:
    """Disentanglement and completeness of a matrix R (n, K) of importances, at least 0."""
    total = importances.sum()
    if not total > 0:  # constant codes: nothing says anything
        return 0.0, 0.0
    of_units, of_factors = importances.sum(1), importances.sum(0)
    disentangled = 1 - _entropies(importances)
    complete = 1 - _entropies(importances.T)
    return float((of_units * disentangled).sum() / total), float((of_factors * complete).sum() / total)


def _entropies(rows: Floats) -> Floats:
    """Of each row of (a, b), as shares of its sum, to the base b; 0 where b is 1."""
    if rows.shape[1] == 1:
        return np.zeros(len(rows))
    totals = rows.sum(1, keepdims=True)
    shares = np.divide(rows, totals, out=np.zeros_like(rows), where=totals > 0)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropies: Floats = -(shares * logs).sum(1) / np.log(rows.shape[1])
    return entropies


def _bins(unit: Tensor) -> npt.NDArray[np.int64]:
    low, high = unit.aminmax()
    if not high > low:
        return np.zeros(len(unit), dtype=np.int64)
    cut: npt.NDArray[np.int64] = ((unit - low) / (high - low) * BINS).long().clamp(max=BINS - 1).numpy()
    return cut


def _check(code: Tensor, factors: Tensor) -> None:
    if code.ndim != 2 or factors.ndim != 2 or len(code) != len(factors) or not len(code):
        raise ValueError(
            f"code must be (N, code_size) and factors (N, K) with N at least 1, got {tuple(code.shape)} and"
            f" {tuple(factors.shape)}"
        )
    if torch.is_floating_point(factors):
        raise ValueError(f"factors must be whole numbers, which of its values each has, got {factors.dtype}")
