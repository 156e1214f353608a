"""The linear floor against an independent fit, against PCA, and where it is no yardstick."""

import math

import numpy as np
import pytest
import torch

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.data import Dataset
from hourglass.measures.linear_floor import (
    RIDGE,
    Errors,
    LinearFloor,
    errors,
    linear_floor,
    ratio,
    reduced_rank_regression,
)
from hourglass.models.principal_components import fit, pca_for
from hourglass.noise import Corruption
from hourglass.pipeline.train import train


def made(*words: str) -> tuple[Dataset, Corruption]:
    config, _ = compose_config(list(words))
    data = build(config.data)
    return data, build(config.noise, bounds=data.range, shape=data.shape)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path))
    return tmp_path


def linked(count: int, *, size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Clean samples of a few directions, and a linear mixture of them with noise, far from zero."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, size, generator=generator) @ torch.randn(size, size, generator=generator) + 50
    mix = torch.randn(size, size, generator=torch.Generator().manual_seed(9))
    return x, x @ mix + torch.randn(count, size, generator=generator) - 20


def test_it_is_the_reduced_rank_regression_of_the_books() -> None:
    """By least squares and the singular vectors of the fitted values, in numpy (Izenman, 1975)."""
    x, c = linked(3000, size=7, seed=0)
    floor = reduced_rank_regression(iter(zip(x.split(700), c.split(700), strict=True)))
    y, z = (array.double().numpy() - array.double().numpy().mean(0) for array in (x, c))
    coefficients = np.linalg.lstsq(z, y, rcond=None)[0]
    _, _, directions = np.linalg.svd(z @ coefficients, full_matrices=False)
    for k in (1, 3, 7):
        v = directions[:k]
        expected = z @ coefficients @ v.T @ v + x.double().numpy().mean(0)
        np.testing.assert_allclose(floor.reconstruct(c, k).numpy(), expected, atol=2e-3)
    assert float((floor.reconstruct(c, 0) - x.mean(0)).abs().max()) < 1e-4


def test_no_other_linear_code_of_its_size_is_better() -> None:
    """Gradients find nothing below it, on the samples that it was fitted on."""
    x, c = linked(500, size=6, seed=1)
    x, c = (x - x.mean(0)) / x.std(), (c - c.mean(0)) / c.std()
    floor = reduced_rank_regression(iter([(x, c)]))
    least = (floor.reconstruct(c, 2) - x).square().mean()
    net = torch.nn.Sequential(torch.nn.Linear(6, 2), torch.nn.Linear(2, 6))
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (net(c) - x).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    found = float(closure().detach())
    assert found >= float(least) * (1 - 1e-5)
    assert found == pytest.approx(float(least), rel=1e-2)


def test_without_noise_it_is_pca() -> None:
    x = torch.randn(800, 9, generator=torch.Generator().manual_seed(0)).cumsum(1)
    floor, pca = reduced_rank_regression(iter([(x, x)])), fit(x)
    for k in (1, 4, 8):
        assert float((floor.reconstruct(x, k) - x).square().mean()) == pytest.approx(pca.mse(x, k), rel=1e-3)


def test_values_that_never_vary_or_depend_on_each_other_do_no_harm() -> None:
    x, c = linked(300, size=5, seed=2)
    doubled = torch.cat([c, c[:, :1], torch.ones(300, 1)], dim=1)
    wide = torch.cat([x, torch.zeros(300, 2)], dim=1)
    plain, with_them = reduced_rank_regression(iter([(x, c)])), reduced_rank_regression(iter([(wide, doubled)]))
    torch.testing.assert_close(with_them.reconstruct(doubled, 3)[:, :5], plain.reconstruct(c, 3), atol=0.01, rtol=0)
    flat = torch.ones(10, 3)
    assert bool(reduced_rank_regression(iter([(flat, flat)])).reconstruct(flat, 1).isfinite().all())
    with pytest.raises(ValueError, match="needs finite samples"):
        reduced_rank_regression(iter([(flat, flat * math.nan)]))
    assert RIDGE < 1e-4


def test_which_floor_belongs_to_which_noise(own_cache) -> None:
    data, none = made("data=digits", "noise=none")
    floor = linear_floor(data, none)
    assert floor is not None
    assert floor.name == "PCA"
    assert errors(floor, data.test.x, data, none, k=8).floor == pytest.approx(
        pca_for(data).mse(data.test.x, 8), rel=1e-5
    )
    _, zero = made("data=digits", "noise=masking", "noise.masking.share=0")
    assert linear_floor(data, zero).name == "PCA"
    assert not (own_cache / "floors").exists()

    _, masking = made("data=digits", "noise=masking", "noise.masking.share=0.5")
    floor = linear_floor(data, masking)
    assert floor.name == "reduced-rank regression"
    # Better than what PCA makes of the same corrupted samples, worse than PCA on clean ones.
    found = errors(floor, data.test.x, data, masking, k=8)
    blind = pca_for(data)
    unaware = LinearFloor("PCA", blind.mean, blind.mean, blind.components, blind.components)
    assert blind.mse(data.test.x, 8) < found.floor < 0.9 * errors(unaware, data.test.x, data, masking, k=8).floor
    x = data.scaled(data.test.x)
    assert found.mean == pytest.approx((x - data.scaled(data.train.x).mean(0)).square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("noise", ["blur", "downsample", "gaussian", "salt_and_pepper"])
@pytest.mark.usefixtures("own_cache")
def test_every_noise_has_one(noise) -> None:
    data, process = made("data=digits", f"noise={noise}")
    floor = linear_floor(data, process)
    found = errors(floor, data.test.x, data, process, k=16)
    assert floor.name == "reduced-rank regression"
    assert 0 < found.floor < 0.6 * found.mean


def test_it_is_kept_by_what_the_noise_does(own_cache, caplog) -> None:
    data, noise = made("data=digits", "noise=masking")
    first = linear_floor(data, noise)
    torch.rand(1)  # the caller's random numbers have no part in it
    (path,) = (own_cache / "floors").iterdir()
    held = linear_floor(data, noise)
    assert torch.equal(held.encoder, first.encoder)
    assert held.name == first.name
    linear_floor(data, made("data=digits", "noise=masking", "noise.masking.share=0.25")[1])
    assert len(list((own_cache / "floors").iterdir())) == 2
    path.write_bytes(b"PK\x03\x04 half a file")
    assert torch.equal(linear_floor(data, noise).encoder, first.encoder)
    assert "is damaged and is computed again" in caplog.text


def test_the_ratio_and_where_there_is_none() -> None:
    assert ratio(0.02, Errors(floor=0.01, mean=0.07), on=0.98, dense=1.0) == 2
    # 62 of 64 components of the digits leave rounding, which no ratio should be taken to.
    assert ratio(0.02, Errors(floor=1e-15, mean=0.07), on=1.0, dense=1.0) is None
    assert ratio(0.02, Errors(floor=0.0, mean=0.0), on=1.0, dense=1.0) is None
    # 8 of 256 units are on: a sparse code, whichever kind it is.
    assert ratio(0.02, Errors(floor=0.001, mean=0.07), on=8 / 256, dense=1.0) is None
    # A sigmoid's units are in the upper half of their range for a third of the samples: nothing made it sparse.
    assert ratio(0.02, Errors(floor=0.01, mean=0.07), on=1 / 3, dense=0.5) == 2
    assert ratio(0.02, Errors(floor=0.01, mean=0.07), on=0.1, dense=0.5) is None
    # Of a code whose units are never off 2 of 32 vary: it has collapsed, which the ratio is to say.
    assert ratio(0.02, Errors(floor=0.01, mean=0.07), on=2 / 32, dense=None) == 2


def test_large_samples_have_none(monkeypatch) -> None:
    monkeypatch.setattr("hourglass.measures.linear_floor.LARGEST", 63)
    assert linear_floor(*made("data=digits", "noise=masking")) is None


@pytest.mark.long
def test_of_mnist_under_masking() -> None:
    """The best linear denoiser of rank 64 where half of the pixels are hidden; test error on the test's own draws."""
    data, noise = made("data=mnist", "noise=masking", "noise.masking.share=0.5")
    floor = linear_floor(data, noise)
    assert errors(floor, data.test.x, data, noise, k=64).floor == pytest.approx(0.0210, abs=0.0002)


def trained(folder, *words: str):
    given = ["data=digits", "trainer.accelerator=cpu", "~callback.pictures", "training.epochs=1"]
    config, choices = compose_config([*given, f"tracking.uri=sqlite:///{folder}/mlflow.db", *words])
    return train(config, choices=choices, folder=folder)


@pytest.mark.long
def test_a_run_says_which_floor_and_leaves_out_what_can_not_be_compared(tmp_path) -> None:
    noisy = trained(tmp_path, "noise=masking", "model.code_size=8", "model.bottleneck.activation=linear")
    metrics = noisy.metrics
    assert noisy.run.tags["linear_floor"] == "reduced-rank regression"
    assert metrics["test/mse_over_linear"] == pytest.approx(metrics["test/mse"] / metrics["test/linear_mse"], rel=1e-6)

    sparse = trained(tmp_path, "bottleneck=top_k", "model.code_size=32", "model.bottleneck.k=4")
    assert sparse.run.tags["linear_floor"] == "PCA"
    assert sparse.metrics["test/linear_mse"] > 0
    assert "test/mse_over_linear" not in sparse.metrics

    gaussian = ("bottleneck=gaussian", "loss.reduction=sum", "model.bottleneck.beta=100", "model.code_size=8")
    collapsed = trained(tmp_path, *gaussian, "training.epochs=20", "model=multilayer", "optimizer.lr=0.01")
    assert collapsed.metrics["test/code_active_fraction"] < 0.5
    assert collapsed.metrics["test/mse_over_linear"] > 2
    assert "loses to the linear floor" in collapsed.run.tags["health"]

    almost_all = trained(tmp_path, "bottleneck=linear", "model.code_size=62")
    assert almost_all.metrics["test/linear_mse"] < 1e-6
    assert "test/mse_over_linear" not in almost_all.metrics
