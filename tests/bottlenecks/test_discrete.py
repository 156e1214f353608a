"""Discrete codes: the choice, its loss terms, and the gradient that stands in for it."""

import math

import pytest
import torch

from hourglass.bottlenecks import Binary, Categorical


def test_bits() -> None:
    a = torch.tensor([[2.0, -2.0, 0.1]])
    assert torch.equal(Binary(code_size=3, deviation=None).eval()(a).code, torch.tensor([[1.0, 0.0, 1.0]]))
    torch.manual_seed(0)
    code = Binary(code_size=3, deviation=None).train()(a.expand(20_000, 3)).code.detach()
    assert set(code.unique().tolist()) <= {0.0, 1.0}
    torch.testing.assert_close(code.mean(dim=0), a.sigmoid()[0], atol=0.02, rtol=0)


def test_bits_have_the_gradient_of_the_probability() -> None:
    a = torch.tensor([[2.0, -2.0, 0.1]], requires_grad=True)
    Binary(code_size=3, deviation=None).eval()(a).code.sum().backward()
    p = a.detach().sigmoid()
    torch.testing.assert_close(a.grad, p * (1 - p))


def test_categories() -> None:
    bottleneck = Categorical(code_size=4, categories=2, temperature=0.5, beta=2.0, deviation=None)
    a = torch.tensor([[math.log(3), 0.0, 0.0, 0.0]])  # probabilities (3/4, 1/4) and (1/2, 1/2)
    code, losses = bottleneck.eval()(a)
    assert torch.equal(code[0, :2], torch.tensor([1.0, 0.0]))
    # ln 2 - H(3/4, 1/4) for the first group, 0 for the second, times beta
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert losses["kl"].weighted.item() == pytest.approx(2 * (math.log(2) - entropy), rel=1e-5)


def test_soft_categories_lie_on_the_simplex_and_prefer_the_likelier() -> None:
    torch.manual_seed(0)
    bottleneck = Categorical(code_size=2, categories=2, temperature=0.1, beta=0.0, deviation=None).train()
    code = bottleneck(torch.tensor([[math.log(3), 0.0]]).expand(20_000, 2)).code
    torch.testing.assert_close(code.sum(dim=1), torch.ones(20_000))
    # By the Gumbel-max trick the larger value is the first with probability 3/4.
    assert (code[:, 0] > 0.5).float().mean().item() == pytest.approx(0.75, abs=0.02)


def test_symbols_of_bits() -> None:
    bottleneck = Binary(code_size=3, deviation=None)
    a = torch.tensor([[1.0, -2.0, 0.1], [3.0, -0.1, -1.0]])
    assert bottleneck.choices(a).tolist() == bottleneck.eval()(a).code.tolist() == [[1, 0, 1], [1, 0, 0]]
    assert bottleneck.symbols(a).tolist() == [[0, 2], [2, 0], [1, 1]]
    bottleneck.active[0] = 0
    assert bottleneck.symbols(a).tolist() == [[2, 0], [1, 1]]


def test_symbols_of_categories() -> None:
    bottleneck = Categorical(code_size=4, categories=2, temperature=1.0, beta=0.0, deviation=None)
    a = torch.tensor([[0.9, 0.1, 0.0, 1.0], [0.6, 0.4, 0.7, 0.3]])
    assert bottleneck.choices(a).tolist() == [[0, 1], [0, 0]]
    assert bottleneck.symbols(a).tolist() == [[2, 0], [1, 1]]
    bottleneck.active[:2] = 0
    assert bottleneck.symbols(a).tolist() == [[1, 1]]


def test_priors_are_even() -> None:
    torch.manual_seed(0)
    bits = Binary(code_size=2, deviation=None).prior(20_000)
    assert set(bits.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(bits.mean(dim=0), torch.full((2,), 0.5), atol=0.02, rtol=0)
    one_hot = Categorical(code_size=8, categories=4, temperature=1.0, beta=0.0, deviation=None).prior(20_000)
    assert torch.equal(one_hot.view(-1, 2, 4).sum(dim=2), torch.ones(20_000, 2))
    torch.testing.assert_close(one_hot.mean(dim=0), torch.full((8,), 0.25), atol=0.02, rtol=0)


def test_refused() -> None:
    with pytest.raises(ValueError, match="categories must be at least 2 and divide code_size=4, got 3"):
        Categorical(code_size=4, categories=3, temperature=1.0, beta=0.0, deviation=None)
    with pytest.raises(ValueError, match="temperature must be above 0 and finite, got 0"):
        Categorical(code_size=4, categories=2, temperature=0.0, beta=0.0, deviation=None)


def test_a_categorical_code_is_compared_with_its_prior_as_one_hot_draws() -> None:
    torch.manual_seed(0)
    bottleneck = Categorical(code_size=4, categories=4, temperature=0.5, beta=0.0, deviation=None).eval()
    shares = torch.tensor([0.1, 0.2, 0.3, 0.4])
    drawn = bottleneck.sampled(shares.log().expand(20_000, 4))
    assert drawn.sum(dim=1).eq(1).all()
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn.mean(dim=0), shares, atol=0.015, rtol=0)
