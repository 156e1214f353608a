"""Vector quantization: the choice, its loss term, the codebook that follows, and the gradient."""

import pytest
import torch

from hourglass.bottlenecks import HasPrior, VectorQuantized


def quantized(**changed: float) -> VectorQuantized:
    given = {"entries": 3, "dimension": 2, "commitment": 0.5, "decay": 0.5, "revive_below": 0.0, **changed}
    bottleneck = VectorQuantized(code_size=4, **given)
    bottleneck.codebook.copy_(torch.tensor([[0.0, 0.0], [1.0, 1.0], [4.0, 0.0]]))
    bottleneck.sums.copy_(bottleneck.codebook)
    return bottleneck


def test_each_group_becomes_its_nearest_entry() -> None:
    a = torch.tensor([[0.2, 0.1, 3.0, 1.0]])
    bottleneck = quantized().eval()
    code, losses = bottleneck(a)
    assert bottleneck.choices(a).tolist() == [[0, 2]]
    assert torch.equal(code, torch.tensor([[0.0, 0.0, 4.0, 0.0]]))
    # 0.5 mean((0.2, 0.1, -1, 1)^2) = 0.5 (0.04 + 0.01 + 1 + 1) / 4
    assert losses["commitment"].weighted.item() == pytest.approx(0.5 * 2.05 / 4)


def test_the_gradient_passes_straight_through() -> None:
    a = torch.tensor([[0.2, 0.1, 3.0, 1.0]], requires_grad=True)
    quantized().eval()(a).code.sum().backward()
    assert torch.equal(a.grad, torch.ones(1, 4))


def test_the_codebook_follows_those_who_chose_it() -> None:
    bottleneck = quantized().train()
    bottleneck(torch.tensor([[0.2, 0.0, 0.4, 0.2]]))  # both groups choose entry 0
    # count: 0.5 1 + 0.5 2 = 1.5; sum: 0.5 (0, 0) + 0.5 (0.6, 0.2) = (0.3, 0.1); entry (0.2, 0.0667)
    torch.testing.assert_close(bottleneck.codebook[0], torch.tensor([0.2, 0.1 / 1.5]))
    # Nobody chose entry 1: count and sum halve together, and it stays.
    torch.testing.assert_close(bottleneck.codebook[1], torch.tensor([1.0, 1.0]))


def test_dead_entries_are_put_onto_groups_of_the_batch() -> None:
    bottleneck = quantized(revive_below=0.9, decay=0.5).train()
    a = torch.tensor([[0.2, 0.0, 0.4, 0.2]])
    bottleneck(a)
    groups = a.view(2, 2)
    for entry in bottleneck.codebook[1:]:  # counts 0.5 < 0.9
        assert any(torch.equal(entry, group) for group in groups)


def test_symbols_of_a_codebook_are_counted_over_all_groups() -> None:
    bottleneck = quantized().eval()
    a = torch.tensor([[0.2, 0.1, 3.0, 1.0], [4.0, 0.3, 4.1, 0.0]])  # entries 0, 2 and 2, 2
    assert bottleneck.symbols(a).tolist() == [[1, 0, 3]]
    bottleneck.active[2:] = 0
    assert bottleneck.symbols(a).tolist() == [[1, 0, 1]]
    assert not isinstance(bottleneck, HasPrior)


def test_the_rotation_trick_by_hand() -> None:
    # a = (1, 0) becomes q = (0, 2): turned by a right angle and stretched to twice, d = 2 [[0, -1], [1, 0]].
    bottleneck = VectorQuantized(code_size=2, entries=2, dimension=2, gradient="rotation").eval()
    bottleneck.codebook.copy_(torch.tensor([[0.0, 2.0], [9.0, 9.0]]))
    jacobian = torch.func.jacrev(lambda a: bottleneck(a.unsqueeze(0)).code[0])(torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(jacobian, torch.tensor([[0.0, -2.0], [2.0, 0.0]]))
    # Opposite directions: what points along a comes out along q.
    bottleneck.codebook.copy_(torch.tensor([[-1.0, 0.0], [9.0, 9.0]]))
    a = torch.tensor([[1.0, 0.0]], requires_grad=True)
    code = bottleneck(a).code
    assert torch.equal(code, torch.tensor([[-1.0, 0.0]]))
    (gradient,) = torch.autograd.grad(code[0, 0], a)
    assert gradient[0, 0] == -1


def test_turned_codes_are_their_entries_and_keep_the_angle_to_the_gradient() -> None:
    torch.manual_seed(0)
    bottleneck = VectorQuantized(code_size=6, entries=8, dimension=3, gradient="rotation").eval()
    a = torch.randn(20, 6, requires_grad=True)
    code = bottleneck(a).code
    assert torch.equal(code, bottleneck.codebook[bottleneck.choices(a)].flatten(1))
    above = torch.randn(20, 6)
    code.backward(above)
    groups, entries, up, down = (each.detach().view(40, 3) for each in (a, code, above, a.grad))
    # Gradients are turned back as a is turned into its entry, and stretched by |q|/|a|.
    angle = torch.nn.functional.cosine_similarity
    torch.testing.assert_close(angle(groups, down), angle(entries, up), rtol=1e-4, atol=1e-5)
    stretched = up.norm(dim=1) * entries.norm(dim=1) / groups.norm(dim=1)
    torch.testing.assert_close(down.norm(dim=1), stretched, rtol=1e-4, atol=1e-5)


def test_refused() -> None:
    with pytest.raises(ValueError, match="dimension must divide code_size=4, got 3"):
        quantized(dimension=3)
    with pytest.raises(ValueError, match="gradient must be one of straight_through, rotation, got 'turned'"):
        VectorQuantized(code_size=4, gradient="turned")
