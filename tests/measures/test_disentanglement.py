"""Disentanglement where it is known: a code that is the factors, one that mixes them, and one that says nothing."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from hourglass.measures.disentanglement import dci, mutual_information_gap, scores


def factors(count: int, *values: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(each, (count,), generator=generator) for each in values], dim=1)


def test_the_gap_by_hand() -> None:
    """Unit 0 is factor 0, unit 1 its half, unit 2 knows nothing: I = log 4, log 2 and about 0."""
    v = torch.arange(4).repeat(500)[:, None]
    code = torch.cat([v, v // 2, torch.zeros_like(v)], dim=1).float()
    assert mutual_information_gap(code, v) == pytest.approx((math.log(4) - math.log(2)) / math.log(4), abs=1e-12)
    assert mutual_information_gap(code[:, [0, 2]], v) == pytest.approx(1, abs=1e-12)
    assert mutual_information_gap(code[:, :1], v) == pytest.approx(1, abs=1e-12)  # one unit alone
    assert mutual_information_gap(code[:, [0, 0]], v) == pytest.approx(0, abs=1e-12)  # both hold it
    # of two factors it is the mean: the second, the half, is held by both units whole
    both = torch.cat([v, v // 2], dim=1)
    assert mutual_information_gap(code[:, :2], both) == pytest.approx(0.25, abs=1e-12)


def test_the_gap_agrees_with_counting() -> None:
    """Brute force over bins and values, on codes that hold a factor in part."""
    v = factors(3000, 3, 5)
    generator = torch.Generator().manual_seed(1)
    code = v.float() @ torch.tensor([[1.0, 0.3], [0.2, 1.0]]) + 0.5 * torch.randn(3000, 2, generator=generator)
    gaps = []
    for factor in v.T.numpy():
        held = []
        for unit in code.T.double().numpy():
            edges = np.linspace(unit.min(), unit.max(), 21)
            joint = np.histogram2d(unit, factor, bins=[edges, np.arange(factor.max() + 2) - 0.5])[0] / len(unit)
            apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
            there = joint > 0
            held.append((joint[there] * np.log(joint[there] / apart[there])).sum())
        shares = np.bincount(factor) / len(factor)
        gaps.append((max(held) - min(held)) / -(shares * np.log(shares)).sum())
    assert mutual_information_gap(code, v) == pytest.approx(np.mean(gaps), abs=1e-9)


def test_disentanglement_and_completeness_by_hand() -> None:
    assert scores(np.eye(3)) == (1.0, 1.0)
    # Each factor in two units of its own, evenly: disentangled, and log 2 / log 4 of completeness is missing.
    assert scores(np.array([[0.5, 0], [0.5, 0], [0, 0.5], [0, 0.5]])) == pytest.approx((1.0, 0.5))
    # One unit holds all three: complete, and it tells nothing apart; units that hold nothing have no weight.
    assert scores(np.array([[1.0, 1, 1], [0, 0, 0]])) == pytest.approx((0.0, 1.0))
    # Weights: units of .75 and 1.25 in all, of entropies H(1/3) and H(1/5) to the base 2.
    of = {share: -(share * math.log2(share) + (1 - share) * math.log2(1 - share)) for share in (1 / 3, 1 / 5)}
    found, complete = scores(np.array([[0.5, 0.25], [0.25, 1.0]]))
    assert found == pytest.approx(0.375 * (1 - of[1 / 3]) + 0.625 * (1 - of[1 / 5]))
    assert complete == pytest.approx(0.375 * (1 - of[1 / 3]) + 0.625 * (1 - of[1 / 5]))
    assert scores(np.zeros((2, 2))) == (0.0, 0.0)


def test_dci_of_the_factors_of_a_rotation_of_them_and_of_noise() -> None:
    train, test = factors(1500, 4, 6), factors(500, 4, 6, seed=1)
    apart = dci(train.float(), train, test.float(), test)
    assert apart.disentanglement > 0.95
    assert apart.completeness > 0.95
    assert apart.informativeness == 1
    turn = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) / math.sqrt(2)
    scale = torch.tensor([3.0, 5.0])
    mixed = dci(train / scale @ turn, train, test / scale @ turn, test)
    assert mixed.disentanglement < 0.5
    assert mixed.completeness < 0.5
    assert mixed.informativeness > 0.7  # nothing is lost
    noise = dci(torch.randn(1500, 2), train, torch.randn(500, 2), test)
    assert noise.informativeness < 0.4
    assert dci(train.float(), train, test.float(), test) == apart  # the same every time


def test_what_is_no_code() -> None:
    v = factors(50, 3)
    assert math.isnan(mutual_information_gap(torch.full((50, 2), math.nan), v))
    assert math.isnan(dci(torch.full((50, 2), math.nan), v, torch.zeros(50, 2), v).completeness)
    constant = dci(torch.zeros(50, 2), v, torch.zeros(50, 2), v)
    assert (constant.disentanglement, constant.completeness) == (0, 0)
    assert mutual_information_gap(torch.zeros(50, 2), v) == 0
    with pytest.raises(ValueError, match=r"code must be \(N, code_size\) and factors \(N, K\)"):
        mutual_information_gap(torch.zeros(40, 2), v)
    with pytest.raises(ValueError, match="factors must be whole numbers"):
        mutual_information_gap(torch.zeros(50, 2), v.float())
    same = torch.cat([v, torch.zeros_like(v)], dim=1)  # a factor that doesn't differ is left out
    assert mutual_information_gap(v.float(), same) == mutual_information_gap(v.float(), v) == pytest.approx(1)
    assert math.isnan(mutual_information_gap(v.float(), torch.zeros_like(v)))
