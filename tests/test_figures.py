"""Figures are drawn for real and their pixels, texts and scales are read back."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from hourglass.figures import code_histogram, code_map, filters, reconstructions, strip, to_array, to_png


def texts(figure):
    from matplotlib.text import Text

    to_array(figure)
    return [text.get_text() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def drawn(figure):
    """The arrays of all images of the figure, from the top."""
    axes = [a for a in figure.axes if a.images]
    return [a.images[0] for a in sorted(axes, key=lambda a: -a.get_position().y0)]


@pytest.fixture
def images():
    x = torch.rand(5, 1, 14, 14, generator=torch.Generator().manual_seed(0))
    return x, (x + 0.3).clamp(0, 1), x * 0.5


def test_rows_of_images(images):
    x, corrupted, output = images
    figure = reconstructions(x, corrupted, output, labels=list("abcde"), value_range=(0, 1), caption="Five squares")
    original, seen, out, error = drawn(figure)
    for shown, expected in ((original, x), (seen, corrupted), (out, output), (error, (x - output).abs())):
        row = np.ma.getdata(shown.get_array())
        assert row.shape == (14, 5 * 14 + 4)  # one pixel between images
        np.testing.assert_allclose(row[:, 15:29], expected[1, 0], atol=1e-6)
    assert {original.get_clim(), seen.get_clim(), out.get_clim()} == {(0, 1)}
    limit = float((x - output).abs().max())
    assert error.get_clim() == pytest.approx((0, limit))

    words = texts(figure)
    assert {"Five squares", "original", "corrupted", "output", "absolute\nerror", "MSE", *"abcde"} <= set(words)
    assert f"{(x - output)[3].square().mean():.3g}" in words
    assert f"{limit:.2g}" in words  # the end of the error's scale


@pytest.mark.parametrize("with_copy", [False, True])
def test_no_corrupted_row_without_noise(images, with_copy):
    x, _, output = images
    figure = reconstructions(x, x.clone() if with_copy else None, output, value_range=(0, 1), caption="clean")
    assert len(drawn(figure)) == 3
    assert "corrupted" not in texts(figure)


def test_image_pixels_have_whole_sizes():
    """A 28 x 28 image takes 84 x 84 screen pixels, so its own pixels are drawn undistorted."""
    x = torch.zeros(3, 1, 28, 28)
    x[:, :, ::2] = 1  # horizontal stripes
    pixels = to_array(reconstructions(x, None, x, value_range=(0, 1), caption=""))[..., 0].astype(int)
    column = pixels[:, 88 + 40]  # through the first image
    top = int(np.flatnonzero(column == 0)[0]) - 3
    np.testing.assert_array_equal(column[top : top + 84], np.tile(np.repeat([255, 0], 3), 14))


def test_colour_images():
    x = torch.zeros(2, 3, 8, 8)
    x[:, 0] = 1  # red
    figure = reconstructions(x, None, x * 0.5, value_range=(0, 1), caption="red")
    original, output, error = drawn(figure)
    np.testing.assert_allclose(original.get_array()[0, 0], [1, 0, 0, 1])
    np.testing.assert_allclose(output.get_array()[0, 0], [0.5, 0, 0, 1])
    assert error.get_array()[0, 0] == pytest.approx(0.5 / 3)  # mean over the colours


def test_a_long_caption_is_wrapped(images):
    x, _, output = images
    figure = reconstructions(x, None, output, value_range=(0, 1), caption="word " * 60)
    renderer_width = figure.get_window_extent().width
    to_array(figure)
    assert figure.texts[0].get_window_extent().x1 <= renderer_width


def test_rows_of_a_table():
    x = torch.randn(14, 18)
    figure = reconstructions(
        x, x + 1, x * 0.9, labels=[f"row {i}" for i in range(14)], value_range=(-3, 3), caption="T"
    )
    words = texts(figure)
    assert "T (the first 12 of 14)" in words
    assert f"row 2, MSE {(0.1 * x[2]).square().mean():.3g}" in words
    lines = {line.get_label(): line for line in figure.axes[2].lines}
    assert set(lines) == {"original", "corrupted", "output"} <= set(words)
    np.testing.assert_allclose(lines["output"].get_ydata(), 0.9 * x[2], rtol=1e-6)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_output_is_still_drawn(images, bad):
    x, _, output = images
    assert "nan" in texts(reconstructions(x, None, output * math.nan, value_range=(0, 1), caption="lost"))
    output[1, 0, 2, 2] = bad
    to_array(reconstructions(x, None, output, value_range=(0, 1), caption="lost"))
    to_array(reconstructions(x[:, 0, 0], None, output[:, 0, 2], value_range=(0, 1), caption="lost"))
    to_array(code_map(torch.full((9, 3), bad), torch.arange(9)))
    to_array(code_histogram(torch.full((9, 3), bad), threshold=0.1))
    to_array(filters(torch.full((9, 16), bad), (1, 4, 4)))


def test_strip(tmp_path):
    x = torch.rand(12, 1, 28, 28)
    to_png(strip(x, x, value_range=(0, 1)), tmp_path / "strip.png")
    assert Image.open(tmp_path / "strip.png").size == (1000, 200)


def test_code_map_of_two_units():
    code, y = torch.randn(300, 2), torch.arange(300) % 10
    figure = code_map(code, y)
    points = figure.axes[0].collections[0].get_offsets()
    assert {tuple(p) for p in np.float32(points)} == {tuple(p) for p in code.numpy()}
    words = texts(figure)
    assert {"300 codes of 2 units", "unit 1", "unit 2", "class", *"0123456789"} <= set(words)
    assert len(set(map(tuple, figure.axes[0].collections[0].get_facecolors()))) == 10


def test_code_map_of_many_units():
    """Variances 9, 4, 1: the first two components hold 64.3 % and 28.6 %."""
    sign = torch.tensor([[1.0, 1, 1], [1, 1, -1], [1, -1, 1], [1, -1, -1]])
    code = torch.cat([sign, -sign]) * torch.tensor([1.0, 3.0, 2.0])
    figure = code_map(code, None)
    words = texts(figure)
    assert "component 1 (64.3% of the code's variance)" in words
    assert "component 2 (28.6% of the code's variance)" in words
    points = np.abs(figure.axes[0].collections[0].get_offsets())
    np.testing.assert_allclose(points, np.tile([[3.0, 2.0]], (8, 1)), rtol=1e-6)


def test_code_map_of_one_unit_of_many_classes_and_of_lost_codes():
    code = torch.randn(50, 1)
    code[7] = math.nan
    figure = code_map(code, torch.arange(50))
    words = texts(figure)
    assert "50 codes of 1 unit; 1 NaN or infinite, not drawn" in words
    assert "sample" in words
    assert len(figure.axes) == 2  # the colour bar
    to_array(code_map(torch.zeros(20, 5), torch.zeros(20)))  # collapsed


def test_filters_share_a_symmetric_scale():
    weights = torch.zeros(120, 49)
    weights[3, 5], weights[7, 0] = -2.0, 1.0
    figure = filters(weights, (1, 7, 7))
    assert "First-layer weights of 100 of 120 units" in texts(figure)
    (image,) = (axes.images[0] for axes in figure.axes[:1])
    assert image.get_clim() == (-2, 2)
    mosaic = np.ma.getdata(image.get_array())
    assert mosaic.shape == (79, 79)  # 10 x 10 images of 7 pixels, 1 between
    assert mosaic[0, 3 * 8 + 5] == -2


@pytest.mark.parametrize(
    ("weights", "shape"),
    [
        ((8, 1, 3, 3), (1, 28, 28)),
        ((8, 3, 5, 5), (3, 32, 32)),
        ((8, 3 * 16), (3, 4, 4)),
        ((4, 18), (18,)),
        ((1, 9), (9,)),
    ],
)
def test_filters_of_every_kind(weights, shape):
    assert to_array(filters(torch.randn(weights), shape)).shape == (700, 800, 3)


def test_code_histogram():
    code = torch.tensor([[0.0, 1.0, 0.0], [0.0, 2.0, 3.0]])
    figure = code_histogram(code, threshold=0.5)
    left, right = figure.axes
    assert sum(bar.get_height() for bar in left.patches) == 6
    assert [bar.get_height() for bar in right.patches] == [1, 0.5, 0]
    assert "3 units, 1 dead, 1.5 on per sample" in texts(figure)


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
    with pytest.raises(ValueError, match="weights must have 64 columns"):
        filters(torch.rand(5, 63), (1, 8, 8))


def test_pyplot_stays_out():
    """pyplot keeps every figure of a long run alive and picks a window system."""
    program = "import sys, hourglass.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
