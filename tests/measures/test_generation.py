"""Distances of sets of samples, against other implementations of their formulas and where they are known."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from hourglass.measures.generation import frechet, kernel_distance, nearest, novelty, precision_recall

GENERATOR = torch.Generator().manual_seed(0)
REAL = torch.randn(60, 5, generator=GENERATOR)
OTHER = torch.randn(40, 5, generator=GENERATOR) @ torch.randn(5, 5, generator=GENERATOR) + 0.5


def test_the_frechet_distance_agrees_with_scipy() -> None:
    real, other = REAL.double().numpy(), OTHER.double().numpy()
    c, d = np.cov(real, rowvar=False), np.cov(other, rowvar=False)
    expected = ((real.mean(0) - other.mean(0)) ** 2).sum() + np.trace(c + d - 2 * sqrtm(c @ d).real)
    assert frechet(REAL, OTHER) == pytest.approx(expected, rel=1e-6)
    assert frechet(OTHER, REAL) == pytest.approx(expected, rel=1e-6)
    assert frechet(REAL, REAL) == pytest.approx(0, abs=1e-6)
    assert frechet(REAL, REAL + 2) == pytest.approx(5 * 4, rel=1e-5)  # a shift by 2 in each of 5 directions
    # Of one value: (m_1 - m_2)^2 + (s_1 - s_2)^2
    assert frechet(REAL[:, :1], 3 * REAL[:, :1]) == pytest.approx(
        (2 * REAL[:, 0].mean()).item() ** 2 + (2 * REAL[:, 0].std()).item() ** 2, rel=1e-5
    )
    # A covariance of less than full rank, as features that are never on have it.
    flat = torch.cat([REAL, torch.zeros(60, 1)], dim=1)
    assert frechet(flat, torch.cat([OTHER, torch.zeros(40, 1)], dim=1)) == pytest.approx(expected, rel=1e-6)


def test_the_kernel_distance_agrees_with_brute_force() -> None:
    def k(u: torch.Tensor, v: torch.Tensor) -> float:
        return (float(u.double() @ v.double()) / 5 + 1) ** 3

    def within(x: torch.Tensor) -> float:
        return float(np.mean([k(u, v) for i, u in enumerate(x) for j, v in enumerate(x) if i != j]))

    between = float(np.mean([k(u, v) for u in REAL for v in OTHER]))
    assert kernel_distance(REAL, OTHER) == pytest.approx(within(REAL) + within(OTHER) - 2 * between, rel=1e-9)
    # Unbiased: between halves of one distribution it is 0 in the mean.
    found = [kernel_distance(*torch.randn(2, 30, 5, generator=GENERATOR)) for _ in range(200)]
    assert np.mean(found) == pytest.approx(0, abs=3 * np.std(found) / 200**0.5)
    assert min(found) < 0


def test_precision_and_recall_agree_with_brute_force() -> None:
    def covered(points: torch.Tensor, by: torch.Tensor) -> float:
        inside = []
        for p in points:
            balls = [sorted((q - c).norm().item() for j, c in enumerate(by) if j != i)[2] for i, q in enumerate(by)]
            inside.append(any((p - q).norm().item() <= r for q, r in zip(by, balls, strict=True)))
        return float(np.mean(inside))

    other = 0.5 * OTHER[:20] + 0.5
    precision, recall = precision_recall(REAL[:30], other)
    assert 0 < precision < 1
    assert 0 < recall < 1
    assert precision == pytest.approx(covered(other, REAL[:30]))
    assert recall == pytest.approx(covered(REAL[:30], other))
    assert precision_recall(REAL, REAL) == (1.0, 1.0)
    assert precision_recall(REAL, REAL + 100) == (0.0, 0.0)
    one_kind = REAL[:1] + 1e-3 * torch.randn(60, 5, generator=GENERATOR)
    precision, recall = precision_recall(REAL, one_kind)  # all look like data, of one kind
    assert precision == 1
    assert recall < 0.05


def test_copies_are_not_new() -> None:
    train, unseen = torch.randn(300, 5, generator=GENERATOR), torch.randn(100, 5, generator=GENERATOR)
    assert nearest(train[:3] + torch.tensor([3e-3, 4e-3, 0, 0, 0]), train).tolist() == pytest.approx(
        [5e-3] * 3, rel=1e-3
    )
    assert novelty(train[:50], unseen, train) == pytest.approx(0, abs=1e-6)
    assert novelty(unseen, unseen, train) == 1
    assert 0.8 < novelty(torch.randn(100, 5, generator=GENERATOR), unseen, train) < 1.25
    assert np.isnan(novelty(unseen, train[:9], train))


def test_what_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"features must be \(N, d\) and \(M, d\), of at least 2 samples, got \(1, 5\)"
    ):
        frechet(REAL[:1], OTHER)
    with pytest.raises(ValueError, match="of at least 4 samples"):
        precision_recall(REAL, OTHER[:3])
    with pytest.raises(ValueError, match="features must be"):
        kernel_distance(REAL, OTHER[:, :4])
