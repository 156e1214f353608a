"""Residual quantization: levels that stand for what is left, their codebooks, and what is counted of them."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from hourglass.bottlenecks import HasPrior, ResidualQuantized, VectorQuantized
from hourglass.measures.codes import symbol_metrics

TENS, ONES = [[0.0, 0.0], [10.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]


def quantized(books: list[Any], **changed: Any) -> ResidualQuantized:
    given = {"levels": 2, "entries": 2, "dimension": 2, "commitment": 0.5, "decay": 0.5, "revive_below": 0.0, **changed}
    bottleneck = ResidualQuantized(code_size=4, **given).eval()
    bottleneck.codebook.copy_(torch.tensor(books))
    bottleneck.sums.copy_(bottleneck.codebook)
    return bottleneck


A = torch.tensor([[9.0, 1.0, 1.0, 0.0]])


def test_each_level_stands_for_what_is_left() -> None:
    bottleneck = quantized([TENS, ONES])
    code, losses = bottleneck(A)
    # (9, 1) is (10, 0) + (0, 1), for (-1, 1) is left; (1, 0) is (0, 0) + (1, 0).
    assert code.tolist() == [[10, 1, 1, 0]]
    assert bottleneck.choices(A).tolist() == [[1, 1, 0, 0]]  # two levels of the first group, two of the second
    assert {name: code.tolist() for name, code in bottleneck.refined(A).items()} == {
        "level_1": [[10, 0, 0, 0]],
        "level_2": [[10, 1, 1, 0]],
    }
    # After the first level (-1, 1, 1, 0) is left, after the second (-1, 0, 0, 0); 0.5 (3 + 1) / 4
    assert losses["commitment"].weighted.item() == pytest.approx(0.5)
    assert not isinstance(bottleneck, HasPrior)


def test_symbols_are_counted_by_codebook() -> None:
    assert quantized([TENS, ONES]).symbols(A).tolist() == [[1, 1], [1, 1]]
    shared = quantized([TENS], codebooks="shared")
    # (9, 1): (10, 0), then (-1, 1) is (0, 0); (1, 0): (0, 0) twice
    assert shared.symbols(A).tolist() == [[3, 1]]
    # Below (0, 0) are +-1 across, below (10, 0) upwards: (9, 1) leaves (-1, 1), nearer to (0, 2) than to (0, -2).
    tree = quantized([TENS, [[1.0, 0.0], [-1.0, 0.0]], [[0.0, -2.0], [0.0, 2.0]]], codebooks="tree")
    assert tree(A).code.tolist() == [[10, 2, 1, 0]]
    assert tree.choices(A).tolist() == [[1, 1, 0, 0]]
    assert tree.symbols(A).tolist() == [[1, 1], [1, 0], [0, 1]]
    for each in (shared, tree):
        each.active[2:] = 0
        assert each.symbols(A).sum() == 2


def test_bits_of_a_tree_are_those_of_an_entry_given_the_ones_above_it() -> None:
    tree = quantized([TENS, ONES, ONES], codebooks="tree")
    tree.active[2:] = 0
    groups = torch.tensor([[0.0, 1.0], [1.0, 0.0], [11.0, 0.0], [11.0, 0.0]])
    measured = symbol_metrics(tree.symbols(groups.repeat(1, 2)), samples=4)
    # One bit for the first level; below (0, 0) one bit for half of the samples, below (10, 0) none.
    assert (measured["code_bits"], measured["code_bits_capacity"]) == pytest.approx((1.5, 2))


def test_one_level_is_vector_quantization() -> None:
    torch.manual_seed(0)
    one = ResidualQuantized(code_size=6, levels=1, entries=5, dimension=3).train()
    plain = VectorQuantized(code_size=6, entries=5, dimension=3).train()
    plain.codebook.copy_(one.codebook[0])
    plain.sums.copy_(one.sums[0])
    for _ in range(3):
        a = torch.randn(20, 6)
        for seed, each in ((0, one), (0, plain)):
            torch.manual_seed(seed)
            each.last = each(a)  # type: ignore[assignment]
        torch.testing.assert_close(one.last.code, plain.last.code)
        torch.testing.assert_close(one.last.losses["commitment"].value, plain.last.losses["commitment"].value)
        torch.testing.assert_close(one.codebook[0], plain.codebook)
        torch.testing.assert_close(one.counts[0], plain.counts)


def test_codebooks_follow_what_their_level_was_given() -> None:
    bottleneck = quantized([TENS, ONES]).train()
    bottleneck(A)
    # Count 0.5 1 + 0.5 1 = 1; sums half of the old entry and half of what came: (9, 1) to the first level's second
    # entry, and (-1, 1), what that left, to the second level's second.
    torch.testing.assert_close(bottleneck.codebook[0], torch.tensor([[0.5, 0.0], [9.5, 0.5]]))
    torch.testing.assert_close(bottleneck.codebook[1], torch.tensor([[1.0, 0.0], [-0.5, 1.0]]))
    shared = quantized([TENS], codebooks="shared").train()
    shared(A)
    # (-1, 1), (1, 0) and (1, 0) came to the first entry: count 0.5 + 1.5 = 2, sum (0.5, 0.5)
    torch.testing.assert_close(shared.counts, torch.tensor([[2.0, 1.0]]))
    torch.testing.assert_close(shared.codebook[0, 0], torch.tensor([0.25, 0.25]))


@pytest.mark.parametrize("codebooks", ["separate", "shared", "tree"])
def test_dead_entries_are_put_onto_what_their_level_was_given(codebooks: str) -> None:
    torch.manual_seed(0)
    bottleneck = ResidualQuantized(
        code_size=2, levels=2, entries=4, dimension=2, codebooks=codebooks, revive_below=2.0, decay=0.9
    ).train()
    a = torch.randn(6, 2)
    left = a - bottleneck.codebook[0][torch.cdist(a, bottleneck.codebook[0]).argmin(1)]
    bottleneck(a)  # all counts are below 2

    def among(entry: Tensor, given: Tensor) -> bool:
        return bool(torch.isclose(entry, given).all(dim=1).any())

    first, rest = (a, left) if codebooks != "shared" else (torch.cat([a, left]),) * 2
    assert all(among(entry, first) for entry in bottleneck.codebook[0])
    assert all(among(entry, rest) for entry in bottleneck.codebook[1:].flatten(0, 1))


def test_dropout_leaves_the_first_levels() -> None:
    torch.manual_seed(0)
    bottleneck = ResidualQuantized(code_size=2, levels=3, entries=4, dimension=2, dropout=0.6)
    a = torch.randn(1, 2).expand(3000, 2)
    steps = torch.stack(list(bottleneck.eval().refined(a[:1]).values()))  # (3, 1, 2)
    which = (bottleneck.as_trained(a).code.unsqueeze(0) - steps).abs().amax(2).argmin(0)
    shares = which.bincount(minlength=3) / 3000
    # 0.6 / 3 each, and the others whole
    torch.testing.assert_close(shares, torch.tensor([0.2, 0.2, 0.6]), atol=0.03, rtol=0)
    assert torch.equal(bottleneck(a[:1]).code, steps[-1])  # in use, all of them
    assert bottleneck.differs
    bottleneck.train()(a)
    # What was left out counts nowhere: of a single input each level has one entry, of 3000, 2400 and 1800 groups.
    taken = (bottleneck.counts - 0.99).amax(dim=1) / 0.01
    torch.testing.assert_close(taken, torch.tensor([3000.0, 2400, 1800]), rtol=0.05, atol=0)


def test_gradients_pass_all_levels_at_once() -> None:
    a = A.clone().requires_grad_()
    quantized([TENS, ONES])(a).code.sum().backward()
    assert torch.equal(a.grad, torch.ones(1, 4))


def test_refused() -> None:
    for given, message in (
        ({"levels": 0}, "levels must be at least 1, got 0"),
        ({"codebooks": "own"}, "codebooks must be one of separate, shared, tree, got 'own'"),
        ({"codebooks": "tree", "entries": 64, "levels": 3}, r"entries must make a tree of at most 65,536, got 64\^3"),
        ({"dropout": math.inf}, "dropout must be from 0 to 1, got inf"),
        ({"dimension": 3}, "dimension must divide code_size=4, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            ResidualQuantized(code_size=4, **given)  # type: ignore[arg-type]
