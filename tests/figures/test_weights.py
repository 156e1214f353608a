"""First-layer weights, and what all figures have to leave alone."""

import subprocess
import sys

import pytest
import torch

from hourglass.figures import filters, to_array

from .reading import drawn, texts


def test_filters_share_a_symmetric_scale():
    weights = torch.zeros(120, 49)
    weights[3, 5], weights[7, 0] = -2.0, 1.0
    figure = filters(weights, (1, 7, 7))
    assert "First-layer weights of 100 of 120 units" in texts(figure)
    (image,) = drawn(figure)
    assert image.limits == (-2, 2)
    mosaic = image.values
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
    height, width, _ = to_array(filters(torch.randn(weights), shape)).shape
    assert 100 < height < 800
    assert 440 <= width < 800


def test_pyplot_stays_out():
    """pyplot keeps every figure of a long run alive and picks a window system."""
    program = "import sys, hourglass.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_weights_that_do_not_fit_or_are_lost():
    to_array(filters(torch.full((9, 16), torch.nan), (1, 4, 4)))
    with pytest.raises(ValueError, match="weights must have 64 columns"):
        filters(torch.rand(5, 63), (1, 8, 8))
    with pytest.raises(ValueError, match="weights must have 1 or 3 channels to be drawn, got 2"):
        filters(torch.rand(5, 2, 3, 3), (2, 8, 8))


def test_kernels_are_called_so():
    assert "First-layer kernels of 4 channels" in texts(filters(torch.randn(4, 1, 3, 3), (1, 8, 8)))


def test_units_and_features_of_a_table_count_from_one():
    words = texts(filters(torch.randn(4, 13), (13,)))
    assert words[1:-5] == ["2", "4", "6", "8", "10", "12", "1", "2", "3", "4"]
    assert words[-5:-3] == ["feature", "unit"]
