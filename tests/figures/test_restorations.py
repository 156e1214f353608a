"""Rows of restorations: what is drawn in which row, with which number and scale."""

import numpy as np
import pytest
import torch

from hourglass.figures import restorations

from .reading import drawn, texts


def test_a_row_of_images_for_each_method_with_its_psnr():
    rows = {"original": torch.rand(4, 1, 14, 14), "non_local_means": torch.rand(4, 1, 14, 14)}
    figure = restorations(rows, psnr={"non_local_means": 21.347}, value_range=(0, 1), caption="Four squares")
    for shown, expected in zip(drawn(figure), rows.values(), strict=True):
        assert shown.limits == (0, 1)
        np.testing.assert_allclose(shown.values[:, 15:29], expected[1, 0], atol=1e-6)
    assert {"Four squares", "original", "non local means\n21.35 dB"} <= set(texts(figure))


def test_the_colours_of_a_table_span_what_is_drawn():
    rows = {"original": torch.tensor([[0.0, 2.0], [1.0, -1.0]]), "mean": torch.zeros(2, 2)}
    figure = restorations(rows, psnr={"mean": 3.0}, value_range=(-100, 100), caption="")
    assert {shown.limits for shown in drawn(figure) if shown.values.shape == (2, 2)} == {(-1, 2)}
    assert "mean, 3.00 dB" in texts(figure)


def test_rows_of_different_samples_are_refused():
    rows = {"original": torch.rand(2, 3), "mean": torch.rand(1, 3)}
    with pytest.raises(ValueError, match=r"^rows must be samples of one shape, got \[\(1, 3\), \(2, 3\)\]$"):
        restorations(rows, psnr={}, value_range=(0, 1), caption="")
