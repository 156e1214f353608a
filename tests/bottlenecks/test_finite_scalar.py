"""Finite scalar quantization: a fixed grid."""

import math
from itertools import product

import pytest
import torch

from hourglass.bottlenecks import FiniteScalar


def test_values_by_hand() -> None:
    code = FiniteScalar(code_size=2, levels=[4, 5], deviation=None).eval()
    # L = 4: H = 1.5015, o = 0.5, s = atanh(0.5 / 1.5015); -2, -1, 0 or 1 over 2. L = 5: H = 2.002; -2 ... 2 over 2.
    a = torch.tensor([[0.0, 0.0], [20.0, 20.0], [-20.0, -20.0], [1.0, 0.3], [-0.5, -0.2]])
    shift = math.atanh(0.5 / 1.5015)
    grid = [[round(1.5015 * math.tanh(x + shift) - 0.5) / 2, round(2.002 * math.tanh(y)) / 2] for x, y in a.tolist()]
    assert code(a).code.tolist() == grid
    assert grid == [[0, 0], [0.5, 1], [-1, -1], [0.5, 0.5], [-0.5, 0]]
    assert code(a).losses == {}
    # The first value's digit, 0 to 3, plus 4 times the second's, 0 to 4.
    assert code.choices(a).flatten().tolist() == [2 + 4 * 2, 3 + 4 * 4, 0, 3 + 4 * 3, 1 + 4 * 2]


def test_values_that_hardly_vary_are_spread_over_the_levels() -> None:
    """A deviation of .01 around 3 is one level for all samples; brought to 1 around 0 it is all five."""
    a = 3 + 0.01 * torch.randn(500, 1, generator=torch.Generator().manual_seed(0))
    assert len(FiniteScalar(code_size=1, levels=[5], deviation=None).train()(a).code.unique()) == 1
    spread = FiniteScalar(code_size=1, levels=[5], deviation=1.0).train()
    assert len(spread(a).code.unique()) == 5
    assert len(spread.eval()(a).code.unique()) == 5  # by the running mean and variance


def test_the_gradient_is_that_of_the_bounded_value() -> None:
    a = torch.tensor([[0.3]], requires_grad=True)
    FiniteScalar(code_size=1, levels=[5], deviation=None).eval()(a).code.sum().backward()
    assert a.grad.item() == pytest.approx(2.002 * (1 - math.tanh(0.3) ** 2) / 2, rel=1e-5)


@pytest.mark.parametrize("levels", [[2, 3], [8, 6, 5], [256]])
def test_every_entry_can_be_chosen_and_has_its_own_number(levels: list[int]) -> None:
    code = FiniteScalar(code_size=len(levels), levels=levels, deviation=None).eval()
    # Values whose bounded ones are whole: of each level the middle.
    values = [
        torch.atanh((torch.arange(count) - count // 2 + code.offset[at]) / code.height[at]) - code.shift[at]
        for at, count in enumerate(levels)
    ]
    a = torch.tensor(list(product(*(each.tolist() for each in values))))
    assert sorted(code.choices(a).flatten().tolist()) == list(range(math.prod(levels)))
    assert len(code(a).code.unique(dim=0)) == math.prod(levels)
    assert code.symbols(a).eq(1).all()


def test_groups_share_the_grid() -> None:
    code = FiniteScalar(code_size=4, levels=[2, 2], deviation=None).eval()
    a = torch.tensor([[9.0, 9.0, 9.0, 9.0], [-9.0, -9.0, 9.0, -9.0]])
    assert code.symbols(a).tolist() == [[1, 1, 0, 2]]
    code.active[2:] = 0
    assert code.symbols(a).tolist() == [[1, 0, 0, 1]]


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([1, 4], r"levels must list numbers from 2 to 256, as many as divide code_size=4, got \[1, 4\]"),
        ([4, 4, 4], r"levels must list numbers from 2 to 256, as many as divide code_size=4, got \[4, 4, 4\]"),
        ([], r"levels must list numbers from 2 to 256, as many as divide code_size=4, got \[\]"),
        ([256] * 4, r"levels must make at most 1,048,576 entries, got .*: 4,294,967,296"),
    ],
)
def test_refused(levels: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FiniteScalar(code_size=4, levels=levels, deviation=None)
