"""The map and the histogram of codes."""

import math

import numpy as np
import pytest
import torch

from hourglass.figures import code_histogram, code_map, to_array

from .reading import texts


def test_code_map_of_two_units():
    code, y = torch.randn(300, 2), torch.arange(300) % 10
    figure = code_map(code, y, method="pca")
    points = figure.axes[0].collections[0].get_offsets()
    assert {tuple(p) for p in np.float32(points)} == {tuple(p) for p in code.numpy()}
    words = texts(figure)
    assert {"300 codes of 2 units", "unit 1", "unit 2", "class", *"0123456789"} <= set(words)
    assert len(set(map(tuple, figure.axes[0].collections[0].get_facecolors()))) == 10


def test_code_map_of_many_units():
    """Variances 9, 4, 1: the first two components hold 64.3 % and 28.6 %."""
    sign = torch.tensor([[1.0, 1, 1], [1, 1, -1], [1, -1, 1], [1, -1, -1]])
    code = torch.cat([sign, -sign]) * torch.tensor([1.0, 3.0, 2.0])
    figure = code_map(code, None, method="pca")
    words = texts(figure)
    assert "component 1 (64.3% of the code's variance)" in words
    assert "component 2 (28.6% of the code's variance)" in words
    points = np.abs(figure.axes[0].collections[0].get_offsets())
    np.testing.assert_allclose(points, np.tile([[3.0, 2.0]], (8, 1)), rtol=1e-6)


def test_code_map_of_one_unit_of_many_classes_and_of_lost_codes():
    code = torch.randn(50, 1)
    code[7] = math.nan
    figure = code_map(code, torch.arange(50), method="pca")
    words = texts(figure)
    assert "50 codes of 1 unit; 1 NaN or infinite, not drawn" in words
    assert "sample" in words
    assert len(figure.axes) == 2  # the colour bar
    to_array(code_map(torch.zeros(20, 5), torch.zeros(20), method="pca"))  # collapsed


def test_code_histogram():
    code = torch.tensor([[0.0, 1.0, 0.0], [0.0, 2.0, 3.0]])
    figure = code_histogram(code, threshold=0.5)
    left, right = figure.axes
    assert sum(bar.get_height() for bar in left.patches) == 6
    assert [bar.get_height() for bar in right.patches] == [1, 0.5, 0]
    assert "3 units, 1 dead, 1.5 on per sample" in texts(figure)


def test_the_plane_of_pca_is_as_trustworthy_as_it_can_be_when_it_loses_nothing():
    plane = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    code = torch.cat([plane, plane[:, :1] + plane[:, 1:]], dim=1)  # three units, two dimensions
    words = [word.replace("\n", " ") for word in texts(code_map(code, None, method="pca"))]
    assert "60 codes of 3 units, on their first two principal components; trustworthiness 1.00" in words


def test_tsne_keeps_clusters_apart_and_repeats_itself():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(120) % 3
    code = torch.randn(120, 8, generator=generator) + 20 * torch.eye(3, 8)[y]
    code[5] = math.nan
    figures = [code_map(code, y, method="tsne") for _ in range(2)]
    first, second = (figure.axes[0].collections[0].get_offsets().data for figure in figures)
    np.testing.assert_array_equal(first, second)
    assert len(first) == 119
    (title,) = (word for word in texts(figures[0]) if word.startswith("120 codes"))
    assert "t-SNE at perplexity 30" in title
    assert float(title.replace("\n", " ").split("trustworthiness ")[1].split(";")[0]) > 0.8
    colours = figures[0].axes[0].collections[0].get_facecolors()
    middles = np.stack([first[(colours == c).all(1)].mean(0) for c in np.unique(colours, axis=0)])
    spread = max(first[(colours == c).all(1)].std(0).max() for c in np.unique(colours, axis=0))
    assert min(np.linalg.norm(middles[i] - middles[j]) for i, j in ((0, 1), (0, 2), (1, 2))) > 3 * spread


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("samples", [1, 12])
def test_few_or_collapsed_or_lost_codes_are_still_drawn(samples, method):
    to_array(code_map(torch.randn(samples, 5), torch.zeros(samples), method=method))
    to_array(code_map(torch.ones(samples, 5), None, method=method))
    to_array(code_map(torch.full((samples, 3), math.nan), torch.arange(samples), method=method))


def test_infinite_activations_are_left_out_and_counted():
    words = texts(code_histogram(torch.tensor([[math.inf, 1.0]]), threshold=0.1))
    assert "2 activations of 1 samples; 1 NaN or infinite" in words


def test_an_unknown_method():
    with pytest.raises(ValueError, match="method must be one of pca, tsne, got 'umap'"):
        code_map(torch.randn(4, 3), None, method="umap")
