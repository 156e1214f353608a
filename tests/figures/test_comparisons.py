"""Samples beside their reconstructions: drawn for real, their pixels, texts and scales read back."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from hourglass.figures import reconstructions, strip, to_array, to_png, worst

from .reading import drawn, texts


@pytest.fixture
def images():
    x = torch.rand(5, 1, 14, 14, generator=torch.Generator().manual_seed(0))
    return x, (x + 0.3).clamp(0, 1), x * 0.5


def test_rows_of_images(images):
    x, corrupted, output = images
    figure = reconstructions(x, corrupted, output, labels=list("abcde"), value_range=(0, 1), caption="Five squares")
    blocks = drawn(figure)
    original, seen, out, error = blocks[:4]
    for shown, expected in ((original, x), (seen, corrupted), (out, output), (error, (x - output).abs())):
        row = shown.values
        assert row.shape[0] == 14
        np.testing.assert_allclose(row[:, 15:29], expected[1, 0], atol=1e-6)  # one pixel between images
    assert {original.limits, seen.limits, out.limits} == {(0, 1)}
    assert error.limits == (0, 1)  # the data's range, in every picture

    words = texts(figure)
    assert {"Five squares", "original", "corrupted", "output", "absolute\nerror", "MSE", *"abcde"} <= set(words)
    assert f"{(x - output)[3].square().mean():.3g}" in words
    assert {"0", "1"} <= set(words)  # the ends of the error's scale


@pytest.mark.parametrize("with_copy", [False, True])
def test_no_corrupted_row_without_noise(images, with_copy):
    x, _, output = images
    figure = reconstructions(x[:1], x[:1].clone() if with_copy else None, output[:1], value_range=(0, 1), caption="C")
    assert len(drawn(figure)) == 3
    assert "corrupted" not in texts(figure)


def test_image_pixels_have_whole_sizes():
    """A 28 x 28 image takes 84 x 84 screen pixels, so its own pixels are drawn undistorted."""
    x = torch.zeros(3, 1, 28, 28)
    x[:, :, ::2] = 1  # horizontal stripes
    pixels = to_array(reconstructions(x, None, x, value_range=(0, 1), caption=""))[..., 0].astype(int)
    column = pixels[:, 92 + 40]  # through the first image
    top = int(np.flatnonzero(column == 0)[0]) - 3
    np.testing.assert_array_equal(column[top : top + 84], np.tile(np.repeat([255, 0], 3), 14))


def test_many_images_are_folded_to_be_nearly_square():
    x = torch.rand(10, 1, 28, 28)
    figure = reconstructions(x, x.flip(0), x * 0.5, value_range=(0, 1), caption="ten")
    height, width, _ = to_array(figure).shape
    assert 0.6 < width / height < 1.6
    panels = drawn(figure)
    assert len(panels) == 8  # two blocks of five
    np.testing.assert_allclose(panels[4].values[:, :28], x[5, 0], rtol=1e-6)


def test_colour_images():
    x = torch.zeros(2, 3, 8, 8)
    x[:, 0] = 1  # red
    figure = reconstructions(x, None, x * 0.5, value_range=(0, 1), caption="red")
    original, output, error = drawn(figure)
    np.testing.assert_allclose(original.values[0, 0], [1, 0, 0])
    np.testing.assert_allclose(output.values[0, 0], [0.5, 0, 0])
    assert error.values[0, 0] == pytest.approx(0.5 / 3)  # mean over the colours


def test_a_long_caption_is_wrapped(images):
    x, _, output = images
    figure = reconstructions(x, None, output, value_range=(0, 1), caption="word " * 60)
    assert len(figure.texts[0].split("\n")) > 2
    margin = to_array(figure)[:, -6:]
    assert (margin == 255).all()


def test_rows_of_a_table():
    x = torch.randn(14, 18)
    figure = reconstructions(
        x, x + 1, x * 0.9, labels=[f"row {i}" for i in range(14)], value_range=(-3, 3), caption="T"
    )
    words = texts(figure)
    assert "T (the first 12 of 14)" in words
    assert f"row 2, MSE {(0.1 * x[2]).square().mean():.3g}" in words
    assert {"original", "corrupted", "output", "feature", "value"} <= set(words)
    colours = {tuple(pixel) for pixel in to_array(figure).reshape(-1, 3)}
    assert {(0, 0, 0), (0x88, 0xCC, 0xEE), (0xD5, 0x5E, 0x00)} <= colours


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_output_is_still_drawn(images, bad):
    x, _, output = images
    assert "nan" in texts(reconstructions(x, None, output * math.nan, value_range=(0, 1), caption="lost"))
    output[1, 0, 2, 2] = bad
    to_array(reconstructions(x, None, output, value_range=(0, 1), caption="lost"))
    to_array(reconstructions(x[:, 0, 0], None, output[:, 0, 2], value_range=(0, 1), caption="lost"))
    y = torch.arange(len(x))
    to_array(worst(x, output, y, value_range=(0, 1), caption="lost"))
    to_array(worst(x[:, 0, 0], output[:, 0, 2], None, value_range=(0, 1), caption="lost"))


def test_strip(tmp_path):
    x = torch.rand(12, 1, 28, 28)
    to_png(strip(x, x, value_range=(0, 1)), tmp_path / "strip.png")
    assert Image.open(tmp_path / "strip.png").size == (1000, 200)


def test_the_worst_of_each_class():
    """Outputs that are off by e everywhere: the MSE is e^2."""
    x = torch.full((5, 1, 2, 2), 0.5)
    error = torch.tensor([0.1, 0.4, 0.2, 0.3, math.nan])
    y = torch.tensor([0, 0, 0, 1, 1])
    figure = worst(x, x + error[:, None, None, None], y, value_range=(0, 1), caption="Worst")
    values = [image.values[0, 0] for image in drawn(figure)]
    np.testing.assert_allclose(values, [0.5, 0.5, 0.9, math.nan], rtol=1e-6)  # originals above outputs
    assert texts(figure) == ["Worst", "class 0", "0.160", "class 1", "nan"]


def test_the_worst_of_all_samples_worst_first():
    x = torch.zeros(12, 1, 2, 2)
    figure = worst(x, x + torch.arange(12.0)[:, None, None, None], None, value_range=(0, 12), caption="T")
    assert texts(figure) == ["T", "121", "100", "81", "64", "49", "36", "25", "16", "9", "4"]


def test_the_worst_of_a_table_are_profiles():
    x = torch.zeros(3, 4)
    figure = worst(x, x + torch.tensor([[1.0], [3.0], [2.0]]), None, value_range=(0, 9), caption="T")
    assert [word for word in texts(figure) if word.startswith("MSE")] == ["MSE 9", "MSE 4", "MSE 1"]
    named = worst(x, x, torch.arange(3), value_range=(0, 9), caption="T", names=["a", "b", "c"])
    assert {"a, MSE 0", "b, MSE 0", "c, MSE 0"} <= set(texts(named))


@pytest.mark.parametrize("count", [1, 3, 7, 12])
def test_the_worst_are_read_when_shown_small(count):
    """Dashboards shrink a picture to 256 pixels: the letters of 12 points must stay at least 7 pixels high."""
    x = torch.rand(count, 3, 32, 32)
    height, width = to_array(worst(x, x, torch.arange(count), value_range=(0, 1), caption="T")).shape[:2]
    assert 12 * 100 / 72 * 256 / max(height, width) > 7


def test_wrong_arguments():
    x = torch.rand(2, 1, 8, 8)
    with pytest.raises(ValueError, match="x must have 1 or 3 channels to be drawn, got 2"):
        reconstructions(torch.rand(2, 2, 8, 8), None, torch.rand(2, 2, 8, 8), value_range=(0, 1), caption="")
    with pytest.raises(ValueError, match="reconstruction must have the shape of x"):
        reconstructions(x, None, x[:1], value_range=(0, 1), caption="")
    with pytest.raises(ValueError, match="one entry per sample, 2, got 3"):
        reconstructions(x, None, x, labels=list("abc"), value_range=(0, 1), caption="")
    with pytest.raises(ValueError, match=r"x must be images"):
        strip(torch.rand(3, 4), torch.rand(3, 4), value_range=(0, 1))
    with pytest.raises(ValueError, match="y must hold one class per sample, 2, got 3"):
        worst(x, x, torch.arange(3), value_range=(0, 1), caption="")
