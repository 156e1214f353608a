"""Residual convolutional models: sizes, values by hand, and what is refused."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from hourglass.bottlenecks import Gaussian
from hourglass.models import Residual
from hourglass.models.residual_layers import Attention, Doubling, ResidualBlock


def small(**changed: Any) -> Residual:
    torch.manual_seed(0)
    given = {"shape": (1, 8, 8), "depth": 1, "widths": [4, 8], "groups": 2, "code_channels": 2}
    return Residual(**{**given, **changed}).eval()


def test_attention_by_hand() -> None:
    torch.manual_seed(0)
    attention = Attention(channels=4, groups=2)
    x = torch.randn(2, 4, 3, 2)
    rows = nn.functional.group_norm(x, 2).flatten(2).transpose(1, 2)  # (B, places, C)
    q, k, v = (rows @ weight.flatten(1).T for weight in attention.asked.weight.chunk(3))
    taken = nn.functional.scaled_dot_product_attention(q, k, v)  # torch's own
    wanted = x + (taken @ attention.out.weight.flatten(1).T + attention.out.bias).transpose(1, 2).view_as(x)
    torch.testing.assert_close(attention(x), wanted)


def test_a_block_without_weights_leaves_its_input() -> None:
    block = ResidualBlock(before=4, after=4, groups=2, activation="silu")
    x = torch.randn(2, 4, 5, 5)
    for weight in block.change[-1].parameters():
        nn.init.zeros_(weight)
    assert torch.equal(block(x), x)
    assert isinstance(ResidualBlock(before=4, after=2, groups=2, activation="silu").kept, nn.Conv2d)


def test_doubling_repeats_and_cuts() -> None:
    doubling = Doubling(channels=1, size=(3, 4))
    nn.init.zeros_(doubling.convolution.weight)
    doubling.convolution.weight.data[0, 0, 1, 1] = 1.0
    nn.init.zeros_(doubling.convolution.bias)
    doubled = doubling(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    assert doubled[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4]]


@pytest.mark.parametrize(
    ("shape", "depth", "code_shape"),
    [((1, 28, 28), 2, (7, 7, 2)), ((3, 32, 40), 3, (4, 5, 2)), ((1, 9, 7), 2, (3, 2, 2)), ((1, 8, 8), 0, (8, 8, 2))],
)
def test_any_size_comes_back(shape: tuple[int, ...], depth: int, code_shape: tuple[int, ...]) -> None:
    model = small(shape=shape, depth=depth, widths=[4] * (depth + 1))
    assert model.code_shape == code_shape
    assert model.encode(torch.rand(2, *shape)).shape == (2, torch.Size(code_shape).numel())
    assert model(torch.rand(2, *shape)).reconstruction.shape == (2, *shape)


@pytest.mark.parametrize(("side", "depth"), [(64, 3), (256, 4)])
def test_colour_images_of_64_and_256_pixels_train(side: int, depth: int) -> None:
    neck = partial(Gaussian, beta=1.0, warmup_steps=0)
    model = small(shape=(3, side, side), depth=depth, widths=[8] * (depth + 1), code_channels=4, bottleneck=neck)
    x = torch.rand(1, 3, side, side)
    output = model.train()(x)
    assert output.reconstruction.shape == x.shape
    assert model.code_shape == (side // 2**depth, side // 2**depth, 4)
    (output.reconstruction - x).square().mean().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.count_nonzero(), name


def test_blocks_and_attention_stand_where_they_are_asked_for() -> None:
    def layers(net: nn.Module) -> str:
        letters = {ResidualBlock: "b", Attention: "a", Doubling: "u"}
        return "".join(
            letters.get(type(each), "d" if isinstance(each, nn.Conv2d) and each.stride == (2, 2) else "")
            for each in net
        )

    plain = small()
    assert (layers(plain.encoder), layers(plain.decoder)) == ("bdb" + "bab", "bab" + "bub")
    more = small(blocks=2, attention=[8])
    assert (layers(more.encoder), layers(more.decoder)) == ("babadbb" + "bab", "bab" + "bbubaba")
    assert small(code_size=5).code_shape is None
    assert small(code_size=5).code_size == 5


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shape": (13,)}, r"a convolution needs images \(channels, height, width\), got rows of shape \(13,\)"),
        ({"shape": (1, 64)}, r"got rows of shape \(1, 64\); .* model=conv signals"),
        ({"depth": 4}, r"^depth must be from 0 to 3 for images of 8x8 \(each halves them\), got 4$"),
        ({"widths": [4]}, r"^widths must list one width for each of depth \+ 1 = 2 resolutions or be null, got \[4\]$"),
        ({"groups": 3}, r"^groups must be at least 1 and divide widths \[4, 8\], got 3$"),
        ({"attention": [16]}, r"^attention must list heights of the maps, \[8, 4\], got 16$"),
        ({"blocks": 0}, r"^blocks must be at least 1, got 0$"),
        ({"code_size": 0}, r"^code_size must be at least 1 or null, got 0$"),
    ],
)
def test_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**changed)
