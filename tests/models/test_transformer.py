"""Patches come back as they were, places have their fixed codes, and a hidden patch says nothing."""

import math

import pytest
import torch

from hourglass.models import Transformer
from hourglass.models.patches import Patches, positions
from hourglass.models.transformer import Block


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 9, 7), (3, 10, 13), (13,), (2, 17)])
def test_patches_join_to_the_sample(shape: tuple[int, ...]) -> None:
    cut, x = Patches(shape=shape, size=4), torch.rand(3, *shape)
    patches = cut(x)
    assert patches.shape == (3, math.prod(cut.grid), cut.values)
    assert torch.equal(cut.joined(patches), x)


def test_a_patch_of_an_image_by_hand() -> None:
    """Of two channels of 4 x 4, counted through: the upper right patch, channel after channel."""
    patches = Patches(shape=(2, 4, 4), size=2)(torch.arange(32.0).view(1, 2, 4, 4))
    assert patches[0, 1].tolist() == [2, 3, 6, 7, 18, 19, 22, 23]


def test_places_have_the_codes_of_the_paper() -> None:
    """Width 8 on a 2 x 3 grid: 4 values for the row, 4 for the column, w = 1 and 1 / 100."""
    found = positions([2, 3], 8)[5]  # row 1, column 2
    sines = [math.sin(1), math.sin(0.01), math.cos(1), math.cos(0.01)]
    sines += [math.sin(2), math.sin(0.02), math.cos(2), math.cos(0.02)]
    torch.testing.assert_close(found, torch.tensor(sines))


def test_attention_agrees_with_torchs() -> None:
    torch.manual_seed(0)
    block, t = Block(8, 2), torch.randn(3, 5, 8)
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.in_proj_weight, theirs.in_proj_bias = block.asked.weight, block.asked.bias
    theirs.out_proj.weight, theirs.out_proj.bias = block.answer.weight, block.answer.bias
    torch.testing.assert_close(block.attention(t), theirs(t, t, t)[0])


@pytest.mark.parametrize("code_size", [None, 5])
def test_what_is_hidden_is_not_seen(code_size: int | None) -> None:
    torch.manual_seed(0)
    model = Transformer(shape=(1, 8, 8), code_size=code_size, patch_size=2, width=8, decoder_width=8, heads=2, depth=1)
    x, visible = torch.rand(3, 1, 8, 8), torch.rand(3, 16).argsort(1)[:, :4]
    hidden = torch.ones(3, 16, 1).scatter(1, visible[..., None], 0)
    cut = Patches(shape=(1, 8, 8), size=2)
    mask = cut.joined(hidden.expand(3, 16, 4)).bool()
    other = torch.where(mask, torch.rand_like(x), x)
    known = torch.rand_like(x)
    one, two = model.seen(x, visible, known), model.seen(other, visible, known)
    assert torch.equal(one.code, two.code)
    assert one.code.shape == (3, code_size or 8)
    assert torch.equal(one.reconstruction[mask], two.reconstruction[mask])
    assert torch.equal(one.reconstruction[~mask], known[~mask])
    # The order in which visible patches are named makes no difference.
    torch.testing.assert_close(model.seen(x, visible.flip(1), known).reconstruction, one.reconstruction)


def test_all_patches_seen_give_the_code_of_the_sample() -> None:
    torch.manual_seed(0)
    model, x = Transformer(shape=(1, 8, 8), patch_size=2, width=8, heads=2, decoder_width=8), torch.rand(3, 1, 8, 8)
    torch.testing.assert_close(model.seen(x, torch.arange(16).expand(3, 16), x).code, model.encode(x))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"width": 30}, "width must be a multiple of 4 and of heads=4, got 30"),
        ({"decoder_width": 0}, "decoder_width must be a multiple of 4"),
        ({"depth": 0}, "depth"),
        ({"code_size": 0}, "code_size"),
    ],
)
def test_numbers_out_of_their_range_are_refused(given: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Transformer(shape=(1, 8, 8), **given)  # type: ignore[arg-type]
