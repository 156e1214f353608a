"""Padding: where a small model's tensors lie in a large one's, by hand."""

import torch

from hourglass.training.stacks.padding import blocks, empty, pack, unpack


def test_blocks_lie_at_the_beginning_of_the_larger_blocks() -> None:
    # [m0 m1 | v0 v1] within [m0 m1 m2 | v0 v1 v2]
    assert blocks(2, 3, count=2).tolist() == [0, 1, 3, 4]
    assert blocks(2, 5, count=1).tolist() == [0, 1]


def test_what_is_packed_comes_back_and_the_rest_is_zero() -> None:
    small, large = torch.tensor([[1.0, 2.0]]), torch.arange(3.0, 9.0).view(2, 3)
    at = [(torch.tensor([1]), slice(0, 2)), (slice(0, 2), slice(0, 3))]
    packed = pack(large, [small, large], at)
    assert packed.tolist() == [[[0, 0, 0], [1, 2, 0]], large.tolist()]
    unpack(packed + 1, parts := [torch.zeros(1, 2), torch.zeros(2, 3)], at)
    assert torch.equal(parts[0], small + 1)
    assert torch.equal(parts[1], large + 1)


def test_only_tensors_that_a_model_lacks_values_of_have_a_mask() -> None:
    at = [{"w": (slice(0, 1),), "b": (slice(0, 2),)}, {"w": (slice(0, 2),), "b": (slice(0, 2),)}]
    found = empty({"w": torch.ones(2), "b": torch.ones(2)}, at)
    assert found.keys() == {"w"}
    assert found["w"].tolist() == [[False, True], [False, False]]
