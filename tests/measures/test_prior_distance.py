"""The distance of codes from a prior: by hand, and what chance gives."""

import itertools

import pytest
import torch

from hourglass.measures.prior_distance import SCALES, prior_distance


def test_by_hand() -> None:
    """Two codes and two draws: every pair written out."""
    codes, draws = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [-1.0], [0.5], [-0.5]])
    widths = [2 * scale * draws.var().item() for scale in SCALES]

    def k(u: float, v: float) -> float:
        return sum(width / (width + (u - v) ** 2) for width in widths)

    def mmd(h: tuple[float, float], z: tuple[float, float]) -> float:
        return k(*h) + k(*z) - 2 / 4 * sum(k(u, v) for u, v in itertools.product(h, z))

    found = prior_distance(codes, lambda _: draws, seed=0)
    assert found is not None
    assert found.mmd == pytest.approx(mmd((0.0, 2.0), (1.0, -1.0)), rel=1e-5)
    # The null: each pair of draws against the other two, three ways of equal chance; the percentile is the largest.
    ways = [mmd((1.0, -1.0), (0.5, -0.5)), mmd((1.0, 0.5), (-1.0, -0.5)), mmd((1.0, -0.5), (-1.0, 0.5))]
    assert found.null == pytest.approx(max(ways), rel=1e-5)


def normal(count: int) -> torch.Tensor:
    return torch.randn(count, 4)


def test_codes_of_the_prior_are_within_chance_and_others_are_not() -> None:
    torch.manual_seed(0)
    found = [prior_distance(torch.randn(300, 4), normal, seed=seed) for seed in range(40)]
    beyond = sum(each.mmd > each.null for each in found if each is not None)
    assert beyond <= 8  # 2 in the mean, of a binomial distribution with deviation 1.4
    assert abs(sum(each.mmd for each in found if each is not None) / 40) < 2e-3  # unbiased; a single one: 6e-3
    for codes in (torch.randn(300, 4) * 1.3, torch.randn(300, 4) + 0.5, torch.randn(300, 4).abs()):
        other = prior_distance(codes, normal, seed=0)
        assert other is not None
        assert other.mmd > 2 * other.null


def test_the_unit_of_the_codes_does_not_matter_and_the_seed_decides() -> None:
    codes = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    state = torch.get_rng_state()
    one = prior_distance(codes, normal, seed=3)
    assert torch.get_rng_state().equal(state)
    tiny = prior_distance(codes * 1e-4, lambda count: normal(count) * 1e-4, seed=3)
    assert one == prior_distance(codes, normal, seed=3)
    assert tiny == pytest.approx(one, rel=1e-3, abs=1e-6)


def test_where_there_is_nothing_to_say() -> None:
    assert prior_distance(torch.rand(1, 4), normal, seed=0) is None
    assert prior_distance(torch.rand(5, 4), lambda _: None, seed=0) is None
    assert prior_distance(torch.rand(5, 4), lambda count: torch.zeros(count, 4), seed=0) is None
