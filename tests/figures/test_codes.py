"""The map and the histogram of codes."""

import math

import numpy as np
import pytest
import torch
from PIL import ImageColor

from hourglass.bottlenecks import Above
from hourglass.figures import code_histogram, code_map, to_array
from hourglass.figures.canvas import CLASSES, COLOURS
from hourglass.figures.codes import _principal_plane, _trustworthiness, _tsne, apart

from .reading import texts


def test_code_map_of_two_units():
    code, y = torch.randn(300, 2), torch.arange(300) % 10
    figure = code_map(code, y, method="pca")
    words = texts(figure)
    assert {"300 codes of 2 units", "unit 1", "unit 2", "class", *"0123456789"} <= set(words)
    colours = {tuple(pixel) for pixel in to_array(figure).reshape(-1, 3)}
    assert {ImageColor.getrgb(colour) for colour in CLASSES} <= colours


def test_code_map_of_many_units():
    """Variances 9, 4, 1: the first two components hold 64.3 % and 28.6 %."""
    sign = torch.tensor([[1.0, 1, 1], [1, 1, -1], [1, -1, 1], [1, -1, -1]])
    code = torch.cat([sign, -sign]) * torch.tensor([1.0, 3.0, 2.0])
    figure = code_map(code, None, method="pca")
    words = texts(figure)
    assert "component 1 (64.3% of variance)" in words
    assert "component 2 (28.6% of variance)" in words
    points, _ = _principal_plane(code.numpy())
    np.testing.assert_allclose(np.abs(points), np.tile([[3.0, 2.0]], (8, 1)), rtol=1e-6)
    inked = (to_array(figure)[40:315, 80:474] < 255).any(-1)  # inside the frame: at four places, of two points each
    assert len(np.unique(np.flatnonzero(inked.any(0)) // 40)) == 2
    assert len(np.unique(np.flatnonzero(inked.any(1)) // 40)) == 2


def test_code_map_of_one_unit_of_many_classes_and_of_lost_codes():
    code = torch.randn(50, 1)
    code[7] = math.nan
    figure = code_map(code, torch.arange(50), method="pca")
    words = texts(figure)
    assert "50 codes of 1 unit; 1 NaN or infinite, not drawn" in words
    assert "sample" in words
    assert {"class", "0", "49"} <= set(words)  # the colour bar
    to_array(code_map(torch.zeros(20, 5), torch.zeros(20), method="pca"))  # collapsed


def test_code_histogram():
    code = torch.tensor([[0.0, 1.0, 0.0], [0.0, 2.0, 3.0]])
    figure = code_histogram(code, activity=Above(threshold=0.5))
    column = (to_array(figure) == ImageColor.getrgb(COLOURS[6])).all(-1).sum(0)
    # In a frame 170 pixels high and 400 wide:
    assert [int(column[x]) for x in (100, 280, 440)] == pytest.approx([170, 85, 0], abs=1)
    assert "3 units, 1 never on, 1.5 on per sample" in texts(figure)


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
    np.testing.assert_array_equal(*map(to_array, figures))
    (title,) = (word for word in texts(figures[0]) if word.startswith("120 codes"))
    assert "t-SNE at perplexity 30" in title
    assert float(title.replace("\n", " ").split("trustworthiness ")[1].split(";")[0]) > 0.8
    points = _tsne(code[torch.isfinite(code).all(1)].double().numpy())
    own = np.delete(y.numpy(), 5)
    middles = np.stack([points[own == c].mean(0) for c in range(3)])
    spread = max(points[own == c].std(0).max() for c in range(3))
    assert min(np.linalg.norm(middles[i] - middles[j]) for i, j in ((0, 1), (0, 2), (1, 2))) > 3 * spread


def test_trustworthiness_is_that_of_the_first_codes_and_left_out_where_nobody_has_neighbours():
    from sklearn.manifold import trustworthiness

    codes = np.random.default_rng(0).normal(size=(600, 6))
    known = trustworthiness(codes[:500], codes[:500, :2], n_neighbors=5)
    assert _trustworthiness(codes, codes[:, :2]) == f"; trustworthiness {known:.2f}"
    assert _trustworthiness(codes[:10], codes[:10, :2]) == ""


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("samples", [1, 12])
def test_few_or_collapsed_or_lost_codes_are_still_drawn(samples, method):
    to_array(code_map(torch.randn(samples, 5), torch.zeros(samples), method=method))
    to_array(code_map(torch.ones(samples, 5), None, method=method))
    to_array(code_map(torch.full((samples, 3), math.nan), torch.arange(samples), method=method))


def test_infinite_activations_are_left_out_and_counted():
    words = texts(code_histogram(torch.tensor([[math.inf, 1.0]]), activity=Above(threshold=0.1)))
    assert "2 activations of 1 test samples; 1 NaN or infinite" in words


def test_no_label_hides_another():
    places, halves = np.array([[50.0, 50], [52, 51], [51, 49], [5, 5], [95, 95]]), np.full((5, 2), 9.0)
    moved = apart(places, halves, (0, 0, 100, 100))
    between = np.abs(moved[:, None] - moved[None]).max(-1) + 100 * np.eye(5)
    assert between.min() >= 18
    assert (moved >= 9).all()
    assert (moved <= 91).all()


def test_an_unknown_method():
    with pytest.raises(ValueError, match="method must be one of pca, tsne, got 'umap'"):
        code_map(torch.randn(4, 3), None, method="umap")
