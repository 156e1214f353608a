"""Sparse codes by selection: what is kept, worked out by hand."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from hourglass.bottlenecks import BatchTopK, JumpReLU, TopK, WinnerTakeAll


def top_k(**changed: Any) -> TopK:
    return TopK(**{"code_size": 4, "k": 2, "k_test": None, "activation": "relu", **changed})


A = torch.tensor([[3.0, 1.0, 2.0, -5.0], [0.5, 0.1, -1.0, 0.2]])


def test_top_k_keeps_the_largest_of_each_sample() -> None:
    code = top_k(k=2)(A).code
    assert torch.equal(code, torch.tensor([[3.0, 0.0, 2.0, 0.0], [0.5, 0.0, 0.0, 0.2]]))


def test_top_k_of_all_units_is_relu() -> None:
    assert torch.equal(top_k(k=4)(A).code, A.relu())


def test_top_k_passes_gradients_through_what_it_keeps() -> None:
    a = A.clone().requires_grad_()
    top_k(k=2)(a).code.sum().backward()
    assert torch.equal(a.grad, torch.tensor([[1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0]]))


def test_linear_activations_keep_what_is_negative_too() -> None:
    bottleneck = top_k(k=3, activation="linear")
    assert torch.equal(bottleneck(A).code, torch.tensor([[3.0, 1.0, 2.0, 0.0], [0.5, 0.1, 0.0, 0.2]]))
    assert bottleneck.code_range == (-math.inf, math.inf)
    assert torch.equal(top_k(k=4, activation="linear")(A).code, A)
    # An inactive unit's 0 is not taken for larger than the negative values of the others.
    bottleneck = top_k(k=2, activation="linear")
    bottleneck.active[0] = 0
    assert torch.equal(bottleneck(-A[:1]).code, torch.tensor([[0.0, -1.0, 0.0, 5.0]]))


def test_more_units_may_be_kept_outside_training() -> None:
    bottleneck = top_k(k=1, k_test=3)
    assert (bottleneck.train()(A).code > 0).sum(dim=1).tolist() == [1, 1]
    assert (bottleneck.eval()(A).code > 0).sum(dim=1).tolist() == [3, 3]


@pytest.mark.parametrize("make", [lambda: top_k(k=1), lambda: BatchTopK(code_size=4, k=1, momentum=0.9)])
def test_idle_counts_training_steps_since_a_unit_was_on(make: Callable[[], TopK | BatchTopK]) -> None:
    bottleneck = make().train()
    bottleneck.active[3] = 0
    one, other = torch.tensor([[3.0, 1.0, 0.0, 5.0]]), torch.tensor([[1.0, 3.0, 0.0, 5.0]])
    counted = [bottleneck(a) and bottleneck.idle.tolist() for a in (one, one, other)]
    assert counted == [[0, 1, 1, 0], [0, 2, 2, 0], [1, 0, 3, 0]]
    bottleneck.eval()(one)
    assert bottleneck.idle.tolist() == [1, 0, 3, 0]
    assert "idle" in bottleneck.state_dict()


def test_batch_top_k_lets_a_sample_have_more_than_another() -> None:
    bottleneck = BatchTopK(code_size=4, k=1, momentum=0.9).train()
    code = bottleneck(A).code  # the 2 largest of all: 3 and 2, both of the first sample
    assert torch.equal(code, torch.tensor([[3.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))
    assert bottleneck.threshold.item() == 2.0
    bottleneck(2 * A)  # smallest kept: 4; 0.9 2 + 0.1 4
    assert bottleneck.threshold.item() == pytest.approx(2.2)


def test_batch_top_k_outside_training_does_not_depend_on_company() -> None:
    bottleneck = BatchTopK(code_size=4, k=1, momentum=0.9).train()
    bottleneck(A)
    bottleneck.eval()
    assert torch.equal(bottleneck(A).code[1:], bottleneck(A[1:]).code)
    assert torch.equal(bottleneck(A).code, A * (A > 2.0))


def test_winner_take_all_keeps_the_largest_of_each_unit() -> None:
    a = torch.tensor([[1.0, 8.0], [2.0, 7.0], [3.0, 6.0], [4.0, 5.0]])
    bottleneck = WinnerTakeAll(code_size=2, share=0.5)
    kept = torch.tensor([[0.0, 8.0], [0.0, 7.0], [3.0, 0.0], [4.0, 0.0]])
    assert torch.equal(bottleneck.train()(a).code, kept)
    assert torch.equal(bottleneck.eval()(a).code, a)


def jump_relu(*, deviation: float = 1.0, code_size: int = 4, weight: float = 0.0) -> JumpReLU:
    bottleneck = JumpReLU(code_size=code_size, weight=weight, threshold=0.3, bandwidth=0.4)
    bottleneck.deviation.fill_(deviation)
    return bottleneck


def test_jump_relu_by_hand() -> None:
    bottleneck = jump_relu(weight=0.5)
    a = A.clone().requires_grad_()
    code, losses = bottleneck(a)
    assert torch.equal(code, torch.tensor([[3.0, 1.0, 2.0, 0.0], [0.5, 0.0, 0.0, 0.0]]))
    assert losses["l0"].weighted.item() == pytest.approx(0.5 * (3 + 1) / 2)
    losses["l0"].weighted.backward()
    # Within 0.2 of the threshold 0.3 are: unit 1, unit 3 (0.2); unit 0 (0.5) at the edge.
    # For unit 3: d l0 / d log t = 0.5 / 2 * (-1 / 0.4) * t = -0.1875
    assert bottleneck.log_threshold.grad[3].item() == pytest.approx(-0.1875, rel=1e-5)
    assert bottleneck.log_threshold.grad[2].item() == 0.0
    assert a.grad is None or not a.grad.any()  # the count itself has no gradient for the activations


def test_jump_relu_passes_the_gradient_of_units_that_are_on() -> None:
    bottleneck = jump_relu()
    a = A.clone().requires_grad_()
    bottleneck(a).code.sum().backward()
    assert torch.equal(a.grad, (A > 0.3).float())


def test_jump_relu_moves_the_threshold_of_what_is_near_it_by_the_threshold() -> None:
    """d h / dt = -t/e K((a - t) / e): the value at the jump, whatever the activation (equation 11 of the reference)."""
    bottleneck = jump_relu(code_size=1).double()
    a = torch.tensor([[0.15], [0.45], [0.9]], dtype=torch.float64)  # two within 0.2 of the threshold
    (torch.tensor([[1.0], [2.0], [4.0]]) * bottleneck(a).code).sum().backward()
    # (1 + 2) * -0.3 / 0.4, and d t / d log t = t
    assert bottleneck.log_threshold.grad[0].item() == pytest.approx(3 * -0.75 * 0.3, rel=1e-6)


def test_jump_relu_takes_the_unit_of_its_thresholds_from_the_first_batch() -> None:
    """The same outputs in other units make the same choices, a later batch changes nothing, padding has no say."""
    codes = []
    for scale in (1.0, 1000.0):
        bottleneck = JumpReLU(code_size=4, weight=0.5, threshold=0.3, bandwidth=0.4)
        code = bottleneck(scale * A).code
        assert bottleneck.deviation.item() == pytest.approx(scale * A.std(correction=0).item(), rel=1e-5)
        bottleneck(torch.rand(2, 4))
        assert bottleneck.deviation.item() == pytest.approx(scale * A.std(correction=0).item(), rel=1e-5)
        assert torch.equal(bottleneck.slope(scale * A), (code > 0).float())
        codes.append(code / scale)
    assert torch.allclose(codes[0], codes[1])
    padded = JumpReLU(code_size=4, weight=0.5, threshold=0.3, bandwidth=0.4)
    padded.active[2:] = 0
    padded(A)
    assert padded.deviation.item() == pytest.approx(A[:, :2].std(correction=0).item(), rel=1e-5)


def test_jump_relu_of_an_earlier_version_keeps_its_thresholds() -> None:
    """They were in units of the encoder outputs, and nothing was kept of a deviation."""
    held = {name: value for name, value in jump_relu().state_dict().items() if name != "deviation"}
    loaded = jump_relu(deviation=7.0)
    loaded.load_state_dict(held)
    assert loaded.deviation.item() == 1.0


@pytest.mark.parametrize("k", [0, 5])
def test_k_out_of_range(k: int) -> None:
    with pytest.raises(ValueError, match=f"k must be from 1 to code_size=4, got {k}"):
        top_k(k=k)
    with pytest.raises(ValueError, match=f"k must be from 1 to code_size=4, got {k}"):
        BatchTopK(code_size=4, k=k, momentum=0.9)


def test_other_numbers_out_of_range() -> None:
    with pytest.raises(ValueError, match="k_test must be from 1 to code_size=4, got 5"):
        top_k(k_test=5)
    with pytest.raises(ValueError, match=r"bottleneck\.activation must be one of linear, .*, got 'step'"):
        top_k(activation="step")
    with pytest.raises(ValueError, match="momentum must be from 0 to below 1, got 1"):
        BatchTopK(code_size=4, k=1, momentum=1.0)
    with pytest.raises(ValueError, match="share must be above 0 and at most 1, got 0"):
        WinnerTakeAll(code_size=4, share=0.0)
    with pytest.raises(ValueError, match="threshold must be above 0 and finite, got 0"):
        JumpReLU(code_size=4, weight=1.0, threshold=0.0, bandwidth=0.1)


def test_codes_as_they_are_trained() -> None:
    """Outside training too, and nothing is counted: k instead of k_test, the batch's largest, the unit's largest."""
    a = torch.tensor([[3.0, 1.0], [2.0, 4.0], [1.0, 5.0]])
    neck = TopK(code_size=2, k=1, k_test=2, activation="relu").eval()
    assert torch.equal(neck(a).code, a)
    assert torch.equal(neck.as_trained(a).code, torch.tensor([[3.0, 0.0], [0.0, 4.0], [0.0, 5.0]]))
    batch = BatchTopK(code_size=2, k=1, momentum=0.9).eval()
    assert torch.equal(batch.as_trained(a).code, torch.tensor([[3.0, 0.0], [0.0, 4.0], [0.0, 5.0]]))
    assert batch.threshold == -1.0
    winners = WinnerTakeAll(code_size=2, share=1 / 3).eval()
    assert torch.equal(winners(a).code, a)
    assert torch.equal(winners.as_trained(a).code, torch.tensor([[3.0, 0.0], [0.0, 0.0], [0.0, 5.0]]))
    assert not neck.idle.any()
    assert not batch.idle.any()
