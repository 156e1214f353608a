"""What single units respond to: which samples are chosen, what is written on them, what is refused."""

import math

import numpy as np
import pytest
import torch

from hourglass.bottlenecks import Above
from hourglass.figures import feature_maps, most_activating, to_array

from .reading import drawn, texts


def test_the_inputs_that_activate_most_stand_first():
    """Of three units the second is dead and the third, with mean |h| = 2, is the most active one."""
    x = torch.linspace(0, 1, 4)[:, None, None, None].expand(4, 1, 2, 2)  # sample i is i/3 everywhere
    code = torch.tensor([[1.0, 0, -3], [0, 0, 1], [0.5, 0, 2], [math.nan, 0, 2]])
    figure = most_activating(x, code, count=2, activity=Above(threshold=0.1), value_range=(0, 1))
    third, first = (image.values[0] for image in drawn(figure))
    np.testing.assert_allclose(third[[0, 3]], [2 / 3, 1])  # equal activations keep the samples' order
    np.testing.assert_allclose(first[[0, 3]], [0, 2 / 3])
    words = texts(figure)
    assert [word for word in words if word.startswith("unit")] == ["unit 3", "unit 1"]
    assert [word for word in words if word in ("2.00", "1.00", "0.50")] == ["2.00", "2.00", "1.00", "0.50"]
    assert words[0].replace("\n", " ").endswith("2 of 3 units, 1 never on")


def test_at_most_five_units_are_drawn():
    figure = most_activating(
        torch.rand(30, 1, 8, 8),
        torch.arange(40.0).repeat(30, 1),
        count=8,
        activity=Above(threshold=0.1),
        value_range=(0, 1),
    )
    assert len(drawn(figure)) == 5
    assert "the 5 most active of 40 units, 1 never on" in texts(figure)[0].replace("\n", " ")
    assert texts(figure)[1] == "unit 40"


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (13,)])
@pytest.mark.parametrize("value", [0.0, math.nan])
def test_a_dead_code_is_still_drawn(shape, value):
    figure = most_activating(
        torch.rand(9, *shape), torch.full((9, 4), value), count=8, activity=Above(threshold=0.1), value_range=(0, 1)
    )
    assert "0 of 4 units, 4 never on" in texts(figure)[0].replace("\n", " ")


def test_the_most_activating_rows_of_a_table():
    x, code = torch.rand(9, 13), torch.arange(9.0)[:, None]
    figure = most_activating(x, code, count=3, activity=Above(threshold=0.1), value_range=(0, 1))
    np.testing.assert_allclose(drawn(figure)[0].values, x[[8, 7, 6]], rtol=1e-6)
    assert {"unit 1", "8.00", "7.00", "6.00"} <= set(texts(figure))


def test_a_stage_has_one_scale_and_its_size():
    x = torch.rand(2, 1, 8, 8)
    maps = {"stage 1": torch.rand(2, 20, 4, 4), "stage 2": torch.rand(2, 3, 2, 2) - 0.5}
    maps["stage 1"][1, 5] = 7.0
    maps["stage 2"][0, 0, 0, 0] = math.nan
    figure = feature_maps(x, maps, value_range=(0, 1))
    scales = [image.limits for image in drawn(figure)]
    far = float(maps["stage 2"].nan_to_num().abs().max())  # on both sides of 0: as far on each
    assert scales.count((0, 1)) == 4  # the two inputs, in each block
    assert scales.count((0, 7)) >= 2
    assert sum(scale == pytest.approx((-far, far)) for scale in scales) >= 2
    words = texts(figure)
    assert {"stage 1: 8 of 20 channels of 4 x 4", "stage 2: 3 channels of 2 x 2", "7", f"{-far:.2g}"} <= set(words)
    row = next(image for image in drawn(figure) if image.limits == (0, 7)).values
    # Drawn as large as the input's 56 pixels: 14 for each of the map's, and 4 between maps.
    np.testing.assert_allclose(np.ma.getdata(row)[7::14, 67:116:14], maps["stage 1"][0, 1], rtol=1e-6)


def test_feature_maps_of_colour_images_and_of_lost_ones():
    x = torch.rand(1, 3, 9, 9)
    to_array(feature_maps(x, {"stage 1": torch.full((1, 2, 5, 5), math.nan)}, value_range=(0, 1)))
    to_array(feature_maps(x * math.nan, {"stage 1": torch.zeros(1, 2, 5, 5)}, value_range=(0, 1)))


def test_wrong_arguments():
    x = torch.rand(3, 1, 8, 8)
    with pytest.raises(ValueError, match=r"feature maps need images .* got shape \(3, 18\)"):
        feature_maps(torch.rand(3, 18), {"stage 1": torch.rand(3, 2, 4, 4)}, value_range=(0, 1))
    with pytest.raises(ValueError, match="at least one stage"):
        feature_maps(x, {}, value_range=(0, 1))
    with pytest.raises(ValueError, match=r"stage 1 must be maps \(3, C, h, w\), got \(2, 2, 4, 4\)"):
        feature_maps(x, {"stage 1": torch.rand(2, 2, 4, 4)}, value_range=(0, 1))
    with pytest.raises(ValueError, match="count must be from 1 to the 3 inputs, got 4"):
        most_activating(x, torch.rand(3, 2), count=4, activity=Above(threshold=0.1), value_range=(0, 1))
    with pytest.raises(ValueError, match=r"code must be \(3, code_size\), got \(2, 2\)"):
        most_activating(x, torch.rand(2, 2), count=1, activity=Above(threshold=0.1), value_range=(0, 1))
