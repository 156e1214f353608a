"""Baselines: what they are told, hand-computed restorations, and that they do restore real images."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.restoration import inpaint_biharmonic, richardson_lucy
from sklearn.datasets import load_digits, load_sample_images
from torch import Tensor

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.measures.restorations import METHODS, Known, compare, probe, restore, suited
from hourglass.noise import (
    Block,
    Blur,
    Corruption,
    Downsample,
    Gaussian,
    Grayscale,
    Masking,
    MotionBlur,
    Patches,
    Process,
    SaltAndPepper,
    Speckle,
    Swap,
)
from hourglass.pipeline.train import train
from hourglass.system.errors import HourglassError

UNIT = (0.0, 1.0)


def photographs(count: int = 12, side: int = 16) -> Tensor:
    """Colour patches of scikit-learn's two photographs, (count, 3, side, side)."""
    images = [image.transpose(2, 0, 1) / 255 for image in load_sample_images().images]
    corners = np.random.default_rng(0).integers(0, 400, (count, 2))
    cuts = [images[i % 2][:, a : a + side, b : b + side] for i, (a, b) in enumerate(corners)]
    return torch.from_numpy(np.stack(cuts)).float()


def chain(x: Tensor, *processes: Process, bounds: tuple[float, float] = UNIT) -> Corruption:
    named = {f"process_{i}": process for i, process in enumerate(processes)}
    return Corruption(bounds=bounds, shape=x.shape[1:], frozen=False, seed=3, **named)


def corrupted(corruption: Corruption, x: Tensor) -> Tensor:
    with corruption.seeded():
        return corruption(x)


def untold(x: Tensor) -> Known:
    return Known(torch.zeros_like(x, dtype=torch.bool), torch.zeros_like(x), 1)


# -- what is known ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("process", [Masking(share=0.5), Block(share=0.5), Patches(share=0.75, size=4)])
def test_what_is_hidden_is_found_also_under_noise_and_where_the_image_is_black(process: Process) -> None:
    x = photographs() * 0.9 + 0.05
    x[:, :, ::2] = 0
    for corruption in (chain(x, process), chain(x, process, Gaussian(sigma=0.1, clip=False))):
        hidden = probe(corruption, x).hidden
        alone = corrupted(chain(x, process), torch.ones_like(x))  # the first to draw, so its draws are the same
        assert torch.equal(hidden, alone == 0)


@pytest.mark.parametrize("process", [Blur(sigma=1.0), Downsample(factor=2), Gaussian(sigma=0.1, clip=False)])
def test_nothing_is_hidden_by_what_hides_nothing(process: Process) -> None:
    x = photographs()
    assert not probe(chain(x, process), x).hidden.any()


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_the_side_of_a_cell_is_found_also_under_noise(factor: int) -> None:
    x = photographs(side=15)
    assert probe(chain(x, Downsample(factor=factor)), x).cell == factor
    assert probe(chain(x, Downsample(factor=factor), Gaussian(sigma=0.2, clip=False)), x).cell == factor
    assert probe(chain(x, Patches(share=0.75, size=5), Blur(sigma=0.5)), x).cell == 1


def test_the_spread_of_a_point_is_that_of_each_sample_and_in_the_unit_of_the_data() -> None:
    x = 10 * photographs() - 4
    corruption = chain(x, MotionBlur(length=5, angle=None), bounds=(-4.0, 6.0))
    point = torch.zeros_like(x)
    point[:, :, 8, 8] = 1
    torch.testing.assert_close(probe(corruption, x).spread, corrupted(corruption, point), atol=1e-6, rtol=0)


def test_probing_draws_nothing_and_holds_for_the_whole_batch() -> None:
    x = photographs()
    corruption = chain(x, Masking(share=0.5))
    state = torch.get_rng_state()
    known = probe(corruption, x)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(known.first(3).hidden, known.hidden[:3])
    assert not torch.equal(probe(corruption, x, batch=1).hidden, known.hidden)
    table = torch.rand(20, 7)
    known = probe(chain(table, Masking(share=0.5)), table)
    assert torch.equal(known.hidden, corrupted(chain(table, Masking(share=0.5)), torch.ones(20, 7)) == 0)


# -- the methods ----------------------------------------------------------------------------------------------------


def test_the_median_of_3_x_3_by_hand() -> None:
    x = torch.tensor([[0.1, 0.2, 0.3], [0.4, 1.0, 0.6], [0.7, 0.8, 0.9]])[None, None]
    assert restore("median", x, known=untold(x), value_range=UNIT)[0, 0, 1, 1].item() == pytest.approx(0.6)


def test_the_mean_of_what_is_known_at_a_place() -> None:
    x = torch.tensor([[1.0, 0.0, 0.0], [3.0, 4.0, 0.0], [0.0, 5.0, 0.0]])
    hidden = torch.tensor([[0, 1, 1], [0, 0, 1], [1, 0, 1]]).bool()
    # Column 0 shows 1 and 3, column 1 shows 4 and 5, column 2 shows nothing and stays.
    expected = torch.tensor([[1.0, 4.5, 0.0], [3.0, 4.0, 0.0], [2.0, 5.0, 0.0]])
    restored = restore("mean", x, known=Known(hidden, x, 1), value_range=(-10.0, 10.0))
    torch.testing.assert_close(restored, expected)


def test_bicubic_starts_from_the_small_image() -> None:
    x = photographs(side=12)
    corruption = chain(x, Downsample(factor=3))
    y = corrupted(corruption, x)
    small = x.unflatten(3, (4, 3)).unflatten(2, (4, 3)).mean((3, 5))
    expected = torch.nn.functional.interpolate(small, size=(12, 12), mode="bicubic").clamp(0, 1)
    restored = restore("bicubic", y, known=probe(corruption, x), value_range=UNIT)
    torch.testing.assert_close(restored, expected, atol=1e-4, rtol=0)


def test_biharmonic_is_scikit_image_s_channel_by_channel() -> None:
    x = photographs(4)
    corruption = chain(x, Masking(share=0.4))
    y, known = corrupted(corruption, x), probe(corruption, x)
    restored = restore("biharmonic", y, known=known, value_range=UNIT)
    expected = inpaint_biharmonic(y[2, 1].double().contiguous().numpy(), known.hidden[2, 1].contiguous().numpy())
    np.testing.assert_allclose(restored[2, 1].numpy(), expected.clip(0, 1), atol=1e-5)
    assert torch.equal(restored[~known.hidden], y[~known.hidden])


def test_richardson_lucy_is_scikit_image_s_where_the_border_is_black() -> None:
    digits = torch.from_numpy(load_digits().images[:5] / 16).float()[:, None]
    x = torch.nn.functional.pad(digits, (12,) * 4)
    corruption = chain(x, Blur(sigma=1.0))
    y, known = corrupted(corruption, x), probe(corruption, x)
    restored = restore("richardson_lucy", y, known=known, value_range=UNIT)
    kernel = known.spread[0, 0, 9:24, 9:24].double().numpy()
    for mine, image in zip(restored, y, strict=True):
        # scikit-image starts from grey, this from the image: after so many steps both have come to the same.
        theirs = richardson_lucy(image[0].double().numpy(), kernel, num_iter=50)
        assert np.abs(mine[0].numpy() - theirs).mean() < 0.005


def test_every_method_keeps_shape_type_and_range_whatever_the_unit() -> None:
    for x in (photographs(3), photographs(3)[:, :1], photographs(3)[:, :, :8, :8]):
        corruption = chain(x, Patches(share=0.5, size=3), Gaussian(sigma=0.1, clip=True))
        y, known = corrupted(corruption, x), probe(corruption, x)
        for name in METHODS:
            restored = restore(name, y, known=known, value_range=UNIT)
            assert restored.shape == x.shape
            assert restored.dtype == x.dtype
            assert 0 <= restored.min() <= restored.max() <= 1
            shifted = restore(name, 8 * y - 3, known=known, value_range=(-3.0, 5.0))
            torch.testing.assert_close((shifted + 3) / 8, restored, atol=2e-2, rtol=0)


@pytest.mark.parametrize(
    "process",
    [
        Gaussian(sigma=0.2, clip=True),
        SaltAndPepper(share=0.1),
        Masking(share=0.5),
        Block(share=0.4),
        Patches(share=0.5, size=4),
        Downsample(factor=2),
        Blur(sigma=1.0),
        MotionBlur(length=7, angle=None),
    ],
    ids=lambda process: type(process).__name__,
)
def test_every_baseline_of_a_noise_comes_closer_to_photographs_than_what_it_starts_from(process: Process) -> None:
    x = photographs(40)
    corruption = chain(x, process)
    y, known = corrupted(corruption, x), probe(corruption, x)
    before = (y - x).square().mean()
    assert corruption.baselines
    for name in corruption.baselines:
        assert (restore(name, y, known=known, value_range=UNIT) - x).square().mean() < before, name


def test_which_baselines_belong_where() -> None:
    assert suited(Masking(share=0.5).baselines, (1, 28, 28)) == ("biharmonic", "mean")
    assert suited(Masking(share=0.5).baselines, (30,)) == ("mean",)
    assert suited(Gaussian(sigma=1.0, clip=False).baselines, (30,)) == ()
    assert Speckle(sigma=1.0, clip=True).baselines == ("median", "wavelet", "non_local_means")
    assert Swap(share=0.5).baselines == Grayscale(amount=1.0).baselines == ()


def test_what_is_refused() -> None:
    x = torch.rand(2, 5)
    with pytest.raises(ValueError, match=r"^name must be one of median, .*, richardson_lucy, got 'mode'$"):
        restore("mode", x, known=untold(x), value_range=UNIT)
    with pytest.raises(ValueError, match=r"^median needs images \(n, channels, height, width\), got shape \(2, 5\)$"):
        restore("median", x, known=untold(x), value_range=UNIT)


# -- beside the model -----------------------------------------------------------------------------------------------


def test_errors_by_hand() -> None:
    x = torch.zeros(2, 1, 1, 2)
    row = torch.tensor([1.0, 0.0, 0.0, 1.0]).view_as(x)
    # MSE 1/2 and a range of 2: 10 log10(4 / 0.5) = 9.031 dB
    values = compare(x, {"row": row, "same": x}, value_range=(-1.0, 1.0))
    assert values == pytest.approx({"row_mse": 0.5, "row_psnr": 9.0309, "same_mse": 0.0, "same_psnr": math.inf})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one real database: making it takes seconds."""
    return tmp_path_factory.mktemp("store")


def metrics_of(store: Path, *overrides: str) -> dict[str, float]:
    """What a training of three steps records; it has the picture if it has a number."""
    words = ["callback=[quick,pictures,baselines]", "training.max_steps=3", f"tracking.uri=sqlite:///{store}/mlflow.db"]
    config, choices = compose_config([*words, *overrides])
    result = train(config, choices=choices, folder=store)
    pictures = {path.name.partition("+")[0] for path in store.rglob("*.png") if result.run.id in path.parts}
    assert "final~reconstructions" in pictures
    assert ("final~baselines" in pictures) == any(key.startswith("test/baseline_") for key in result.metrics)
    return result.metrics


def test_a_run_records_the_baselines_of_its_noise_under_the_noise_of_its_test(store: Path) -> None:
    metrics = metrics_of(store, "data=digits", "noise=[masking,salt_and_pepper]", "callback.baselines.samples=1000")
    found = {key.removeprefix("test/baseline_") for key in metrics if key.startswith("test/baseline_")}
    rows = ("corrupted", "biharmonic", "mean", "median", "model")
    assert found == {f"{row}_{unit}" for row in rows for unit in ("mse", "psnr")}
    # The 180 test samples are one batch and all of them are taken: the same numbers as the test's.
    assert metrics["test/baseline_model_mse"] == pytest.approx(metrics["test/mse"], rel=1e-5)
    assert metrics["test/baseline_model_psnr"] == pytest.approx(metrics["test/psnr"], rel=1e-5)
    assert metrics["test/baseline_corrupted_psnr"] == pytest.approx(metrics["test/psnr_input"], rel=1e-5)


def test_a_table_has_its_means_and_a_noise_without_baselines_none(store: Path) -> None:
    table = ["data=wine", "loss=mse", "model.code_size=3"]
    assert {"test/baseline_mean_mse", "test/baseline_model_mse"} < set(metrics_of(store, *table, "noise=masking"))
    assert not any(key.startswith("test/baseline_") for key in metrics_of(store, *table, "noise=swap"))


@pytest.mark.parametrize(("samples", "allowed"), [(0, "from 1 to 1000"), (1001, "from 1 to 1000, one test batch")])
def test_the_number_of_samples_is_checked(samples: int, allowed: str) -> None:
    config, _ = compose_config(["data=digits", f"callback.baselines.samples={samples}"])
    with pytest.raises(HourglassError, match=rf"^callback.baselines.samples must be {allowed}.*got {samples}$"):
        build(config.callback.baselines)
