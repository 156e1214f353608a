"""The probes on codes whose answer is known."""

import math

import pytest
import torch

from hourglass.data import mnist
from hourglass.pca import fit
from hourglass.usefulness import knn_accuracy, linear_accuracy, probe


def blobs(per_class, *, classes=3, seed=0):
    """Well separated clusters around 10 e_c."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(classes).repeat(per_class)
    return 10 * torch.eye(classes)[y] + torch.randn(len(y), classes, generator=generator), y


def test_knn_by_hand():
    code, y = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0]]), torch.tensor([0, 0, 1, 1, 1])
    test_code, test_y = torch.tensor([[0.4], [2.2], [9.0]]), torch.tensor([0, 1, 1])
    assert knn_accuracy(code, y, test_code, test_y, k=1) == 1
    # With 3 neighbours 2.2 sees the values 2, 1, 0 of classes 1, 0, 0 and is called 0.
    assert knn_accuracy(code, y, test_code, test_y, k=3) == pytest.approx(2 / 3)


def test_separable_classes():
    (code, y), (test_code, test_y) = blobs(50), blobs(40, seed=1)
    assert knn_accuracy(code, y, test_code, test_y, k=5) == 1
    assert linear_accuracy(code, y, test_code, test_y) == 1


def test_a_ring_is_near_but_not_linear():
    """Two concentric circles: neighbours tell them apart, no line does."""
    angle = torch.linspace(0, 2 * math.pi, 401)[:-1]
    circle = torch.stack([angle.cos(), angle.sin()], dim=1)
    code, y = torch.cat([circle, 3 * circle]), torch.arange(2).repeat_interleave(400)
    assert knn_accuracy(code[::2], y[::2], code[1::2], y[1::2], k=5) == 1
    assert linear_accuracy(code[::2], y[::2], code[1::2], y[1::2]) < 0.6


def test_standardised_for_the_line():
    (code, y), (test_code, test_y) = blobs(50), blobs(40, seed=1)
    scale = torch.tensor([1e-4, 1.0, 1e4])
    assert linear_accuracy(code * scale + 7, y, test_code * scale + 7, test_y) == 1


def test_a_constant_code_is_chance():
    _, y = blobs(50, classes=4)
    code = torch.full((200, 3), 0.25)
    assert linear_accuracy(code, y, code, y) == pytest.approx(0.25)
    assert knn_accuracy(code, y, code, y, k=5) <= 0.5


def test_labels_need_not_be_consecutive():
    (code, y), (test_code, test_y) = blobs(30), blobs(30, seed=1)
    assert linear_accuracy(code, 10 * y + 7, test_code, 10 * test_y + 7) == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["train", "test"])
def test_a_diverged_code_is_nan(bad, where):
    (code, y), (test_code, test_y) = blobs(30), blobs(30, seed=1)
    (code if where == "train" else test_code)[3, 1] = bad
    result = probe(code, y, test_code, test_y, train_samples=1000)
    assert all(math.isnan(value) for value in result.values())


def test_the_subset_is_random_and_repeatable():
    """Samples sorted by class: the first half would hold one class only."""
    (code, y), (test_code, test_y) = blobs(100, classes=2), blobs(40, classes=2, seed=1)
    order = y.argsort()
    results = [probe(code[order], y[order], test_code, test_y, train_samples=40) for _ in range(2)]
    assert results[0] == results[1] == {"knn_accuracy": 1.0, "linear_accuracy": 1.0}


def test_principal_components_of_mnist():
    data = mnist(
        root=None,
        validation_size=5000,
        validation="test",
        split_seed=0,
        train_size=None,
        test_size=None,
        order_seed=0,
        resident="never",
    )
    pca = fit(data.train.x[:5000])
    train, test = pca.encode(data.train.x[:4000], 32), pca.encode(data.test.x[:2000], 32)
    result = probe(train, data.train.y[:4000], test, data.test.y[:2000], train_samples=4000)
    # Within 0.02 of what scikit-learn 1.9 gave when this was written.
    assert result == pytest.approx({"knn_accuracy": 0.915, "linear_accuracy": 0.855}, abs=0.02)


def test_wrong_arguments():
    code, y = blobs(2)
    with pytest.raises(ValueError, match="k must be between 1 and 6, the number of training codes, got 7"):
        knn_accuracy(code, y, code, y, k=7)
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        linear_accuracy(code, torch.zeros(6), code, y)
    with pytest.raises(ValueError, match="train_samples must be at least 1, got 0"):
        probe(code, y, code, y, train_samples=0)
    with pytest.raises(ValueError, match="equal width, got 3 and 2"):
        linear_accuracy(code, y, code[:, :2], y)
    with pytest.raises(ValueError, match=r"test_code must be \(N, code_size\)"):
        linear_accuracy(code, y, code, y[:3])
