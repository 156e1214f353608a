"""Pictures of codes that no input gave: their pixels, labels and refusals."""

import math

import numpy as np
import pytest
import torch

from hourglass.figures import interpolation, manifold, samples, to_array, traversal

from .reading import drawn, texts


def pixels(figure):
    return [image.values for image in drawn(figure)]


def test_samples_in_rows_of_eight():
    images = torch.rand(11, 1, 4, 4)
    figure = samples(images, value_range=(0, 1), caption="Draws")
    first, second = pixels(figure)
    assert first.shape == second.shape == (4, 8 * 4 + 7)
    np.testing.assert_allclose(second[:, 10:14], images[10, 0], rtol=1e-6)
    assert np.isnan(second[:, 14:]).all()  # nothing where there is no image
    assert "Draws" in texts(figure)


def test_the_ends_of_a_traversal_stand_beside_what_they_change():
    images = torch.rand(2, 5, 1, 4, 4)
    images[1] = images[1, 2]  # a unit that changes nothing
    values = torch.tensor([[-1.0, -0.5, 0, 0.5, 1]] * 2)
    figure = traversal(images, values, units=[4, 0], value_range=(0, 1), caption="Two units")
    words = texts(figure)
    assert {"Two units", "unit 5", "unit 1\nstill", "decoded", "less the middle", "-1.00", "0.00", "1.00"} <= set(words)
    decoded, change, still, none = pixels(figure)
    np.testing.assert_allclose(decoded[:, 5:9], images[0, 2, 0], rtol=1e-6)
    np.testing.assert_allclose(change[:, :4], images[0, 0, 0] - images[0, 2, 0], rtol=1e-5, atol=1e-7)
    assert np.nanmax(np.abs(none)) == 0
    assert still.shape == decoded.shape
    limits = {panel.limits for panel in figure.panels}
    assert limits == {(0, 1), (-(most := float((images[0] - images[0, 2]).abs()[[0, -1]].max())), most)}


def test_a_traversal_of_a_table_is_what_changes_for_each_unit():
    rows = torch.rand(2, 3, 18)
    figure = traversal(rows, torch.tensor([[0.0, 1, 2], [5, 6, 7]]), units=[0, 1], value_range=(-1, 2), caption="T")
    images = drawn(figure)
    np.testing.assert_allclose(images[1].values, rows[1] - rows[1, 1], rtol=1e-6, atol=1e-7)
    assert len({image.limits for image in images[:2]}) == 1
    assert {"unit 1", "unit 2", "0.00", "7.00", "feature 1 to 18"} <= set(texts(figure))


def test_many_rows_are_folded_into_blocks():
    images = torch.rand(120, 1, 28, 28)
    height, width, _ = to_array(samples(images, value_range=(0, 1), caption="")).shape
    assert 0.5 < width / height < 2


def test_inputs_stand_at_both_ends_of_an_interpolation():
    first, last, decoded = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4), torch.full((2, 3, 1, 4, 4), 0.5)
    figure = interpolation(first, decoded, last, value_range=(0, 1))
    row = pixels(figure)[0][0]
    np.testing.assert_allclose(row[[0, 5, 10, 15, 20]], [0, 0.5, 0.5, 0.5, 1])
    assert {"a", "t=0", "t=0.5", "t=1", "b"} <= set(texts(figure))
    to_array(interpolation(torch.rand(2, 13), torch.rand(2, 4, 13), torch.rand(2, 13), value_range=(0, 1)))


def test_the_second_unit_of_a_manifold_grows_upwards():
    images = torch.zeros(2, 3, 1, 2, 2)
    images[1, 2] = 1  # the highest value of both
    figure = manifold(images, torch.tensor([-1.0, 0, 1]), torch.tensor([5.0, 6]), value_range=(0, 1), caption="Plane")
    (image,) = pixels(figure)
    np.testing.assert_array_equal(image, [[0, 0, 0, 0, 1, 1]] * 2 + [[0] * 6] * 2)
    assert texts(figure) == ["Plane", "-1.00", "0.00", "1.00", "5.00", "6.00", "unit 1", "unit 2"]


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4, 4), (6,)])
def test_what_is_lost_is_left_blank(shape):
    images = torch.full((3, 2, *shape), math.nan)
    to_array(samples(images[0], value_range=(0, 1), caption=""))
    to_array(traversal(images, torch.full((3, 2), math.nan), units=range(3), value_range=(0, 1), caption=""))
    to_array(interpolation(images[:, 0], images, images[:, 0], value_range=(0, 1)))


def test_wrong_arguments():
    images = torch.rand(2, 3, 1, 4, 4)
    with pytest.raises(ValueError, match=r"a manifold needs images .* got \(2, 3, 6\)"):
        manifold(torch.rand(2, 3, 6), torch.rand(3), torch.rand(2), value_range=(0, 1), caption="")
    with pytest.raises(ValueError, match=r"a grid of 3 rows and 3 columns, got \(2, 3\)"):
        manifold(images, torch.rand(3), torch.rand(3), value_range=(0, 1), caption="")
    with pytest.raises(ValueError, match=r"values and units must fit .* got \(2, 2\) and 2"):
        traversal(images, torch.rand(2, 2), units=[0, 1], value_range=(0, 1), caption="")
    with pytest.raises(ValueError, match="samples must have 1 or 3 channels to be drawn, got 2"):
        samples(torch.rand(2, 2, 4, 4), value_range=(0, 1), caption="")
    with pytest.raises(ValueError, match=r"n at least 1, got \(0, 1, 4, 4\)"):
        samples(torch.rand(0, 1, 4, 4), value_range=(0, 1), caption="")
    with pytest.raises(ValueError, match="at least 2 steps between inputs"):
        interpolation(images[0], images[:, :1], images[0], value_range=(0, 1))
    with pytest.raises(ValueError, match=r"images \(C, H, W\) or rows \(D,\), got shape \(4, 4\)"):
        traversal(images[:, :, 0], torch.rand(2, 3), units=[0, 1], value_range=(0, 1), caption="")
