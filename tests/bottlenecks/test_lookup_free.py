"""Lookup-free quantization: signs, and the two entropies that keep them in use."""

import math

import pytest
import torch

from hourglass.bottlenecks import LookupFree


def test_signs_and_their_numbers() -> None:
    code = LookupFree(code_size=4, bits=2).eval()
    a = torch.tensor([[0.2, -3.0, 0.0, 1.0], [-1.0, 1.0, 2.0, 2.0]])
    assert code(a).code.tolist() == [[1, -1, -1, 1], [-1, 1, 1, 1]]
    assert code.choices(a).tolist() == [[1, 2], [2, 3]]
    assert code.symbols(a).tolist() == [[0, 1, 2, 1]]
    code.active[2:] = 0
    assert code.symbols(a).tolist() == [[0, 1, 1, 0]]


def test_entropies_by_hand() -> None:
    code = LookupFree(code_size=1, bits=1, entropy=0.5, diversity=3.0, temperature=4.0).eval()
    # 4 a / t = a: of logits ln 3 and -ln 3 the sign is + with 3/4 and 1/4, evenly over both samples.
    losses = code(torch.tensor([[math.log(3)], [-math.log(3)]])).losses
    uncertain = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert losses["sample_entropy"].value.item() == pytest.approx(uncertain, rel=1e-5)
    assert losses["sample_entropy"].weighted.item() == pytest.approx(0.5 * uncertain, rel=1e-5)
    assert losses["codebook_entropy"].value.item() == pytest.approx(math.log(2), rel=1e-5)
    assert losses["codebook_entropy"].weighted.item() == pytest.approx(-1.5 * math.log(2), rel=1e-5)
    assert losses["commitment"].value.item() == pytest.approx((math.log(3) - 1) ** 2, rel=1e-5)


def test_entropies_are_those_of_the_softmax_of_distances() -> None:
    torch.manual_seed(0)
    code = LookupFree(code_size=6, bits=3, temperature=0.7).eval()
    a = torch.randn(5, 6)
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)  # (8, 3)
    q = (-torch.cdist(a.view(10, 3), signs).square() / 0.7).softmax(dim=1)
    losses = code(a).losses
    torch.testing.assert_close(losses["sample_entropy"].value, torch.special.entr(q).sum(1).mean())
    torch.testing.assert_close(losses["codebook_entropy"].value, torch.special.entr(q.mean(0)).sum())
    code.active[3:] = 0  # of the first group of each sample
    q = q[::2]
    losses = code(a).losses
    torch.testing.assert_close(losses["sample_entropy"].value, torch.special.entr(q).sum(1).mean())
    torch.testing.assert_close(losses["codebook_entropy"].value, torch.special.entr(q.mean(0)).sum())


def test_the_gradient_passes_straight_through() -> None:
    a = torch.tensor([[0.2, -3.0]], requires_grad=True)
    LookupFree(code_size=2, bits=2)(a).code.sum().backward()
    assert torch.equal(a.grad, torch.ones(1, 2))


def test_values_far_out_have_finite_entropies() -> None:
    a = torch.tensor([[1e4, -1e4]], requires_grad=True)
    losses = LookupFree(code_size=2, bits=2)(a).losses
    sum(term.weighted for term in losses.values()).backward()
    assert losses["sample_entropy"].value == 0
    assert losses["codebook_entropy"].value.item() == pytest.approx(0, abs=1e-6)
    assert a.grad.isfinite().all()


@pytest.mark.parametrize("bits", [0, 3, 13])
def test_refused(bits: int) -> None:
    with pytest.raises(ValueError, match=f"bits must be from 1 to 12 and divide code_size=26, got {bits}"):
        LookupFree(code_size=26, bits=bits)
