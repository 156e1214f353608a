"""PCA by hand, on the published figures, and its file."""

import math

import pytest
import torch

from hourglass.data import digits, fashion_mnist, mnist
from hourglass.models.principal_components import fit, fit_cached, pca_for

WHOLE = {
    "root": None,
    "validation_size": 5000,
    "validation": "test",
    "split_seed": 0,
    "train_size": None,
    "test_size": None,
    "order_seed": 0,
    "resident": "never",
}


def test_by_hand():
    """Variance 2 along the first axis, 0.5 along the second, around (10, 20)."""
    x = torch.tensor([[12.0, 20.0], [8.0, 20.0], [10.0, 21.0], [10.0, 19.0]])
    pca = fit(x)
    torch.testing.assert_close(pca.mean, torch.tensor([10.0, 20.0]))
    torch.testing.assert_close(pca.eigenvalues, torch.tensor([2.0, 0.5], dtype=torch.float64))
    torch.testing.assert_close(pca.components.abs(), torch.eye(2))
    torch.testing.assert_close(pca.encode(x, 1).abs(), torch.tensor([[2.0], [2.0], [0.0], [0.0]]))
    torch.testing.assert_close(pca.decode(pca.encode(x, 1)), torch.tensor([[12.0, 20], [8, 20], [10, 20], [10, 20]]))
    assert pca.mse(x, 1) == pytest.approx(0.25)  # the second axis: 0.5 per sample, over 2 elements
    assert pca.mse(x, 2) == pytest.approx(0, abs=1e-12)


def test_the_error_is_the_sum_of_the_eigenvalues_left_out():
    x = torch.randn(5000, 3, 4, generator=torch.Generator().manual_seed(0)).cumsum(2)
    pca = fit(x)
    torch.testing.assert_close(pca.components @ pca.components.T, torch.eye(12), atol=1e-6, rtol=0)
    assert bool((pca.eigenvalues.diff() <= 0).all())
    for k in (1, 5, 11):
        assert pca.mse(x, k) == pytest.approx(float(pca.eigenvalues[k:].sum()) / 12, rel=1e-5)
        direct = (pca.decode(pca.encode(x, k)) - x).square().mean()
        assert pca.mse(x, k) == pytest.approx(float(direct), rel=1e-5)


def test_bytes_count_as_255ths():
    grey = torch.randint(0, 256, (200, 1, 3, 3), dtype=torch.uint8)
    stored, scaled = fit(grey), fit(grey.float() / 255)
    torch.testing.assert_close(stored.eigenvalues, scaled.eigenvalues)
    assert stored.mse(grey, 4) == pytest.approx(scaled.mse(grey.float() / 255, 4), rel=1e-5)
    assert stored.decode(stored.encode(grey, 9)).shape == (200, 1, 3, 3)


@pytest.mark.parametrize(
    ("source", "figures"),
    [
        (mnist, {2: 0.055669, 8: 0.037441, 16: 0.026860, 32: 0.016828, 64: 0.009047}),
        (fashion_mnist, {8: 0.026607, 32: 0.015142, 64: 0.010368}),
    ],
)
def test_published_figures(source, figures):
    """Fitted on all 60,000 training images, test error per pixel, not clipped."""
    data = source(**WHOLE)
    assert len(data.train) == 60_000
    pca = fit(data.train.x)
    for k, expected in figures.items():
        assert pca.mse(data.test.x, k) == pytest.approx(expected, abs=1e-6)
    if source is mnist:  # squared error per image, Hinton and Salakhutdinov (2006)
        assert 784 * pca.mse(data.test.x, 30) == pytest.approx(13.87, abs=0.005)


def test_the_file_holds_the_same_fit(tmp_path):
    x = torch.rand(100, 1, 4, 4)
    path = tmp_path / "pca" / "some.npz"
    fresh = fit_cached(x, path=path)
    held = fit_cached(torch.full_like(x, math.nan), path=path)  # would fail if it were fitted again
    for name in ("mean", "components", "eigenvalues"):
        torch.testing.assert_close(getattr(held, name), getattr(fresh, name), atol=0, rtol=0)
    assert held.shape == (1, 4, 4)
    assert [file.name for file in path.parent.iterdir()] == ["some.npz"]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half a file", b"not a zip"])
def test_a_damaged_file_is_reported_and_replaced(tmp_path, caplog, damage):
    x, path = torch.rand(100, 6), tmp_path / "some.npz"
    path.write_bytes(damage)
    pca = fit_cached(x, path=path)
    assert "is damaged and is computed again" in caplog.text
    assert pca.mse(x, 3) == fit(x).mse(x, 3)
    caplog.clear()
    fit_cached(x, path=path)
    assert not caplog.text


def test_a_file_of_other_samples_is_replaced(tmp_path, caplog):
    path = tmp_path / "some.npz"
    fit_cached(torch.rand(100, 6), path=path)
    assert fit_cached(torch.rand(100, 5), path=path).shape == (5,)
    assert "holds samples of 6 elements, expected 5" in caplog.text


def test_of_a_data_set(tmp_path, monkeypatch):
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path))
    arguments = {key: value for key, value in WHOLE.items() if key != "root"}
    data = digits(**arguments | {"test_share": 0.2, "validation_size": 100, "validation": "split"})
    pca = pca_for(data)
    assert (tmp_path / "pca" / f"{data.digest}.npz").exists()
    assert pca.mse(data.train.x, 8) == fit(data.train.x).mse(data.train.x, 8)
    assert pca.shape == data.shape


def test_wrong_arguments():
    with pytest.raises(ValueError, match="at least 2 samples"):
        fit(torch.rand(1, 3))
    with pytest.raises(ValueError, match="must be finite for a PCA"):
        fit(torch.tensor([[1.0, math.nan], [0.0, 1.0]]))
    pca = fit(torch.rand(9, 3))
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"k must be between 1 and 3, got {k}"):
            pca.mse(torch.rand(9, 3), k)
    with pytest.raises(ValueError, match=r"x must have shape .* got \(9, 4\)"):
        pca.encode(torch.rand(9, 4), 1)
