"""The fitted density: its draws are like the codes that it was fitted to."""

import pytest
import torch

from hourglass.bottlenecks import Binary, Deterministic
from hourglass.samplers import Mixture, NoSampler

MEANS = torch.tensor([[-4.0, 0.0], [3.0, 2.0]])
FACTORS = torch.tensor([[[1.0, 0.0], [0.8, 0.3]], [[0.5, 0.0], [-0.4, 0.6]]])


def clusters(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws of .25 N(m_0, L_0 L_0^T) + .75 N(m_1, L_1 L_1^T), and which is whose."""
    generator = torch.Generator().manual_seed(0)
    which = (torch.rand(count, generator=generator) < 0.75).long()
    noise = torch.randn(count, 2, generator=generator)
    return MEANS[which] + torch.einsum("bij,bj->bi", FACTORS[which], noise), which


def fitted(codes: torch.Tensor, *, components: int) -> Mixture:
    sampler = Mixture(code_size=codes.shape[1], components=components)
    sampler.fit(codes)
    return sampler


def drawn(sampler: Mixture, count: int = 20_000) -> torch.Tensor:
    torch.manual_seed(1)
    return sampler.sample(count)


def test_two_clusters_are_found_and_drawn_from() -> None:
    codes, _ = clusters(10_000)
    sampler = fitted(codes, components=2)
    order = sampler.weights.argsort()
    torch.testing.assert_close(sampler.weights[order], torch.tensor([0.25, 0.75]), atol=0.02, rtol=0)
    torch.testing.assert_close(sampler.means[order], MEANS, atol=0.06, rtol=0)
    covariances = sampler.factors @ sampler.factors.mT
    torch.testing.assert_close(covariances[order], FACTORS @ FACTORS.mT, atol=0.06, rtol=0)
    draws = drawn(sampler)
    torch.testing.assert_close(draws.mean(dim=0), codes.mean(dim=0), atol=0.1, rtol=0)
    torch.testing.assert_close(draws.T.cov(), codes.T.cov(), atol=0.3, rtol=0.02)
    # and within each cluster, which one gaussian doesn't know of
    left = draws[draws[:, 0] < -1]
    assert len(left) / len(draws) == pytest.approx(0.25, abs=0.02)
    torch.testing.assert_close(left.T.cov(), FACTORS[0] @ FACTORS[0].T, atol=0.06, rtol=0)


def test_one_gaussian_has_mean_and_covariance_of_the_codes() -> None:
    codes, _ = clusters(5000)
    sampler = fitted(codes, components=1)
    torch.testing.assert_close(sampler.means[0], codes.mean(dim=0), atol=1e-4, rtol=0)
    covariance = codes.T.cov(correction=0)
    torch.testing.assert_close(sampler.factors[0] @ sampler.factors[0].T, covariance, atol=1e-3, rtol=1e-3)
    assert fitted(codes, components=1).factors.equal(sampler.factors)


def test_the_scale_of_the_codes_does_not_matter() -> None:
    codes, _ = clusters(2000)
    for scale in (1e-5, 1e4):
        draws = drawn(fitted(codes * scale, components=2), 2000)
        torch.testing.assert_close(draws / scale, drawn(fitted(codes, components=2), 2000), atol=1e-2, rtol=1e-2)


def test_a_unit_that_never_changes_keeps_its_value() -> None:
    codes = torch.cat([clusters(500)[0], torch.full((500, 1), 0.1), torch.zeros(500, 1)], dim=1)
    draws = drawn(fitted(codes, components=2), 100)
    torch.testing.assert_close(draws[:, 2:], torch.tensor([0.1, 0.0]).expand(100, 2))
    assert drawn(fitted(torch.ones(30, 2), components=3), 5).equal(torch.ones(5, 2))


def test_draws_keep_to_the_range_of_the_code() -> None:
    codes = torch.rand(500, 3, generator=torch.Generator().manual_seed(0)).square()
    sampler = fitted(codes, components=1)
    bottleneck = Deterministic(code_size=3, activation="sigmoid")
    draws = sampler.draw(bottleneck, 500)
    assert drawn(sampler).min() < 0
    assert draws is not None
    assert 0 <= draws.min() <= draws.max() <= 1


def test_what_is_refused_and_what_is_nothing() -> None:
    with pytest.raises(ValueError, match=r"^components must be at least 1, got 0$"):
        Mixture(code_size=2, components=0)
    sampler = Mixture(code_size=2, components=10)
    sampler.check(Deterministic(code_size=2, activation="linear"), samples=10)
    with pytest.raises(ValueError, match=r"^components must be at most the training samples, 9, got 10$"):
        sampler.check(Deterministic(code_size=2, activation="linear"), samples=9)
    with pytest.raises(ValueError, match="made of symbols: set sampler=autoregressive"):
        sampler.check(Binary(code_size=2, deviation=None), samples=100)
    none = NoSampler(code_size=2)
    none.fit(torch.rand(3, 2))
    assert (none.sample(3), none.state_dict()) == (None, {})
