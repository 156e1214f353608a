"""Noise on images: hand-computed pixels, exact counts, and the shapes that are refused."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hourglass.noise import Block, Blur, Corruption, Downsample, Grayscale, MotionBlur, Patches, Process


def corrupt(x: Tensor, process: Process) -> Tensor:
    torch.manual_seed(0)
    return Corruption(bounds=(0.0, 1.0), shape=x.shape[1:], frozen=False, seed=0, process=process)(x)


def test_a_block_is_one_rectangle_of_its_size_in_all_channels_anywhere() -> None:
    # Half of 9 and of 6, rounded to even: 4 x 3 pixels, in one of 6 x 4 places.
    hidden = corrupt(torch.ones(2000, 3, 9, 6), Block(share=0.5)) == 0
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    assert torch.equal(hidden[:, 0], hidden[:, 2])
    rows, columns = hidden[:, 0].any(2), hidden[:, 0].any(1)
    assert (rows.sum(1) == 4).all()
    assert (columns.sum(1) == 3).all()
    assert torch.equal(hidden[:, 0], rows[:, :, None] & columns[:, None, :])
    first = 4 * rows.int().argmax(1) + columns.int().argmax(1)
    for row in (rows, columns):  # without a gap
        assert (row.int().diff(dim=1).abs().sum(1) <= 2).all()
    # Each of the 24 places as often as the others, within 5 standard deviations.
    expected, deviation = 2000 / 24, math.sqrt(2000 * 1 / 24 * 23 / 24)
    assert (first.bincount(minlength=24) - expected).abs().max() <= 5 * deviation


def test_a_block_of_the_whole_side_hides_everything() -> None:
    assert not corrupt(torch.ones(2, 1, 5, 5), Block(share=1.0)).any()


@pytest.mark.parametrize(
    ("shape", "size", "share", "patches", "hidden"),
    [
        ((1, 28, 28), 4, 0.75, 49, 37),  # 36.75
        ((3, 10, 13), 4, 0.5, 12, 6),  # 3 x 4 patches, the last ones smaller
        ((1, 8, 8), 1, 0.1, 64, 6),  # 6.4
        ((1, 8, 8), 8, 0.75, 1, 1),
        ((1, 8, 8), 4, 1.0, 4, 4),
    ],
)
def test_exactly_so_many_patches_are_hidden(
    shape: tuple[int, ...], size: int, share: float, patches: int, hidden: int
) -> None:
    masked = corrupt(torch.ones(50, *shape), Patches(share=share, size=size))
    # The pixel at the corner of each patch stands for it.
    corners = masked[:, :, ::size, ::size]
    assert corners[0, 0].numel() == patches
    assert ((corners == 0).flatten(2).sum(2) == hidden).all()
    whole = corners.repeat_interleave(size, 2).repeat_interleave(size, 3)
    assert torch.equal(masked, whole[:, :, : shape[1], : shape[2]])
    assert hidden == patches or len(masked.unique(dim=0)) > 1  # each sample has patches of its own


def test_lower_resolution_by_hand() -> None:
    x = torch.tensor([[0.0, 0.2, 0.9], [0.4, 0.6, 0.1], [0.3, 0.5, 0.8]])[None, None]
    # Cells of 2 x 2 and, at the ends, smaller ones: (0 + .2 + .4 + .6) / 4, (.9 + .1) / 2, (.3 + .5) / 2, .8
    expected = torch.tensor([[0.3, 0.3, 0.5], [0.3, 0.3, 0.5], [0.4, 0.4, 0.8]])
    torch.testing.assert_close(corrupt(x, Downsample(factor=2))[0, 0], expected)
    torch.testing.assert_close(corrupt(x, Downsample(factor=7))[0, 0], x.mean().expand(3, 3))


def test_blur_by_hand() -> None:
    x = torch.tensor([[1.0, 0.0, 0.0]])[None, None]
    blurred = corrupt(x, Blur(sigma=1.0))[0, 0, 0]
    # Weights exp(-d^2 / 2) = 1, 0.60653, 0.13534 for d = 0, 1, 2, of sum 1 for each pixel.
    near, far = math.exp(-1 / 2), math.exp(-2)
    expected = [1 / (1 + near + far), near / (1 + 2 * near), far / (1 + near + far)]
    assert blurred.tolist() == pytest.approx(expected, abs=1e-6)


def test_blur_keeps_its_variance_and_adds_up_on_both_axes() -> None:
    point = torch.zeros(1, 1, 41, 31)
    point[0, 0, 20, 15] = 1
    spread = corrupt(point, Blur(sigma=2.0))[0, 0].double()
    assert spread.sum().item() == pytest.approx(1, abs=1e-5)
    for axis, side, middle in ((1, 41, 20), (0, 31, 15)):
        variance = (spread.sum(axis) * (torch.arange(side) - middle).square()).sum().item()
        assert variance == pytest.approx(4, abs=0.01)


@pytest.mark.parametrize(
    ("length", "angle", "expected"),
    [
        (3, 0.0, [[0, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0, 0, 0]]),
        (3, 90.0, [[0, 1 / 3, 0], [0, 1 / 3, 0], [0, 1 / 3, 0]]),
        (2, 0.0, [[0, 0, 0], [1 / 4, 1 / 2, 1 / 4], [0, 0, 0]]),  # half a pixel to each side
    ],
)
def test_motion_blur_of_a_point_is_a_line(length: int, angle: float, expected: list[list[float]]) -> None:
    point = torch.zeros(1, 1, 3, 3)
    point[0, 0, 1, 1] = 1
    line = corrupt(point, MotionBlur(length=length, angle=angle))[0, 0]
    torch.testing.assert_close(line, torch.tensor(expected).float(), atol=1e-6, rtol=0)


def test_a_motion_to_the_upper_right_is_interpolated() -> None:
    point = torch.zeros(1, 1, 3, 3)
    point[0, 0, 1, 1] = 1
    line = corrupt(point, MotionBlur(length=3, angle=45.0))[0, 0]
    # The outer points lie c = cos 45 degrees off on both axes: weight c^2 / 3 on the corner, c (1 - c) / 3 beside it.
    c = math.sqrt(0.5)
    corner, beside, middle = c * c / 3, c * (1 - c) / 3, (1 + 2 * (1 - c) ** 2) / 3
    expected = [[0, beside, corner], [beside, middle, beside], [corner, beside, 0]]
    torch.testing.assert_close(line, torch.tensor(expected).float())


def test_each_image_moves_in_a_direction_of_its_own_and_repeats_its_border() -> None:
    lines = corrupt(torch.eye(9).expand(20, 3, 9, 9), MotionBlur(length=5, angle=None))
    assert len(lines[:, 0].unique(dim=0)) == 20
    torch.testing.assert_close(lines[:, 0], lines[:, 2])  # in all channels alike
    level = torch.full((4, 1, 6, 6), 0.7)
    torch.testing.assert_close(corrupt(level, MotionBlur(length=5, angle=None)), level)


def test_grey_by_hand() -> None:
    x = torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1)
    # 0.299 + 0.587 / 2 = 0.5925
    assert corrupt(x, Grayscale(amount=1.0)).flatten().tolist() == pytest.approx([0.5925] * 3)
    expected = [(1 + 0.5925) / 2, (0.5 + 0.5925) / 2, 0.5925 / 2]
    assert corrupt(x, Grayscale(amount=0.5)).flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    "process",
    [Downsample(factor=3), Blur(sigma=1.5), MotionBlur(length=4, angle=None), Grayscale(amount=1.0)],
    ids=lambda process: type(process).__name__,
)
def test_averages_keep_type_and_precision_also_in_autocast(process: Process) -> None:
    x = torch.rand(5, 3, 9, 8)
    exact = corrupt(x.double(), process)
    assert exact.dtype == torch.float64
    with torch.autocast("cpu", dtype=torch.bfloat16):
        single = corrupt(x, process)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, atol=1e-5, rtol=0)
    assert corrupt(x.bfloat16(), process).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("process", "level", "off", "on"),
    [
        (Block(share=0.0), "share", 0, 0.5),
        (Patches(share=0.0, size=2), "share", 0, 0.5),
        (Downsample(factor=1), "factor", 1, 3),
        (Blur(sigma=0.0), "sigma", 0, 1),
        (MotionBlur(length=3, angle=0.0), "angle", 0, 90),
        (Grayscale(amount=0.0), "amount", 0, 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Process) else None,
)
def test_levels_are_buffers_and_are_read_at_every_draw(process: Process, level: str, off: float, on: float) -> None:
    x = torch.rand(2, 3, 8, 8)
    assert dict(process.named_buffers()).keys() == {level}
    assert not process.state_dict()
    before = corrupt(x, process)
    process.get_buffer(level).fill_(on)
    assert not torch.equal(corrupt(x, process), before)
    process.get_buffer(level).fill_(off)
    assert torch.equal(corrupt(x, process), before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Block(share=1.5), r"share must be from 0 to 1, got 1.5"),
        (lambda: Patches(share=-1.0, size=4), r"share must be from 0 to 1, got -1.0"),
        (lambda: Patches(share=0.5, size=0), r"size must be at least 1, got 0"),
        (lambda: Downsample(factor=0), r"factor must be at least 1, got 0"),
        (lambda: Blur(sigma=-1.0), r"sigma must be at least 0 and finite, got -1.0"),
        (lambda: MotionBlur(length=0, angle=None), r"length must be at least 1, got 0"),
        (lambda: MotionBlur(length=3, angle=200.0), r"angle must be from 0 to 180, got 200.0"),
        (lambda: Grayscale(amount=1.1), r"amount must be from 0 to 1, got 1.1"),
    ],
)
def test_levels_out_of_range(make: Callable[[], Process], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()


@pytest.mark.parametrize(
    ("process", "shape", "message"),
    [
        (Block(share=0.5), (30,), r"block needs images \(channels, height, width\), got samples of shape \(30,\)"),
        (Blur(sigma=1.0), (30,), r"blur needs images \(channels, height, width\), got samples of shape \(30,\)"),
        (
            Grayscale(amount=1.0),
            (1, 28, 28),
            r"grayscale needs colour images \(3, height, width\), got samples of shape \(1, 28, 28\)",
        ),
        (
            Patches(share=0.5, size=9),
            (1, 8, 12),
            r"patches needs images of at least 9 x 9 pixels \(its size\), got samples of shape \(1, 8, 12\)",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Process) else None,
)
def test_what_does_not_suit_the_data_is_refused_at_once(process: Process, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Corruption(bounds=(0.0, 1.0), shape=shape, frozen=False, seed=0, process=process)
