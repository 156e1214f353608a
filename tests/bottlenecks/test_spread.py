"""Logits around zero: by hand, outside training, and what it is for."""

import pytest
import torch

from hourglass.bottlenecks import Binary
from hourglass.bottlenecks.spread import Spread


def test_by_hand_in_training_and_after_it() -> None:
    """b = d (a - m) / sqrt(v), of the batch; afterwards of the running mean, which the first batch sets alone."""
    spread = Spread(units=2, deviation=3.0, decay=0.5)
    a = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    expected = torch.tensor([[-3.0, -3.0], [3.0, 3.0]])
    assert torch.allclose(spread(a), expected, atol=1e-4)
    spread.eval()
    assert torch.allclose(spread(a), expected, atol=1e-4)
    assert torch.allclose(spread(torch.tensor([[2.0, 40.0]])), torch.tensor([[0.0, 6.0]]), atol=1e-4)
    spread.train()(a + 4.0)  # means 6 and 24, the variances stay
    assert torch.allclose(spread.mean, torch.tensor([4.0, 22.0]))
    assert torch.allclose(spread.variance, torch.tensor([1.0, 100.0]))


def test_agrees_with_batch_normalisation() -> None:
    a, batch_norm = torch.randn(50, 7) * 3 + 1, torch.nn.BatchNorm1d(7, affine=False)
    assert torch.allclose(Spread(units=7, deviation=1.0)(a), batch_norm(a), atol=1e-6)


def test_a_bit_that_the_encoder_puts_on_one_side_still_tells_samples_apart() -> None:
    a = 100 + torch.randn(200, 3)
    lone, spread = Binary(code_size=3, deviation=None), Binary(code_size=3, deviation=4.0)
    assert bool((lone(a).code == 1).all())
    assert 0.3 < spread(a).code.mean() < 0.7


def test_numbers_out_of_range() -> None:
    with pytest.raises(ValueError, match="deviation must be above 0 and finite, or null, got 0"):
        Binary(code_size=3, deviation=0)
