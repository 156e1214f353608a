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
    title, *numbers = texts(figure)[:4]
    assert title.replace("\n", " ").startswith(
        "First-layer weights of 36 of 120 units by their numbers, largest norm first"
    )
    assert numbers == ["4", "8", "1"]  # the others are alike
    images = drawn(figure)
    assert {image.limits for image in images} == {(-2, 2)}
    assert len(images) == 36
    assert images[0].values.shape == (7, 7)
    assert images[0].values[0, 5] == -2


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
    title = texts(filters(torch.randn(4, 1, 3, 3), (1, 8, 8)))[0]
    assert title.replace("\n", " ").startswith("First-layer kernels of 4 channels by their numbers")


def test_units_and_features_of_a_table_count_from_one():
    weights = torch.tensor([1.0, 3.0, 4.0, 2.0])[:, None].expand(4, 13)
    words = texts(filters(weights, (13,)))
    assert words[1:-5] == ["2", "4", "6", "8", "10", "12", "3", "2", "4", "1"]  # the largest norm on top
    assert words[-5:-3] == ["feature", "unit"]
