"""Every metric against a number computed by hand, and the laws: batches don't matter, NaN shows."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from hourglass.bottlenecks import Binary, VectorQuantized
from hourglass.bottlenecks.activity import Above, Switched
from hourglass.measures.codes import symbol_metrics
from hourglass.measures.images import laplacian_variance, ssim, ssim_map
from hourglass.measures.streaming import BCE_EPS, Metrics

KEYS_CODE = {"code_l0", "code_l1", "code_hoyer", "code_active_fraction", "code_active_units"}


def measure(x, reconstruction, code=None, *, corrupted=None, data_range=(0.0, 1.0), activity=None, active=None):
    code = torch.ones(len(x), 4) if code is None else code
    active = torch.ones(code.shape[1]) if active is None else active
    metrics = Metrics(shape=x.shape[1:], data_range=data_range, activity=activity or Switched(), active=active)
    metrics.update(x, corrupted, reconstruction, code)
    return metrics.compute()


def test_errors_by_hand():
    x = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    reconstruction = torch.tensor([[0.1, 0.8], [0.5, 0.2]])
    result = measure(x, reconstruction)
    squares = 0.01 + 0.04 + 0.09  # of all four elements
    assert result["squared_error"] == pytest.approx(squares / 2, rel=1e-6)
    assert result["mse"] == pytest.approx(squares / 4, rel=1e-6)
    assert result["psnr"] == pytest.approx(10 * math.log10(1 / (squares / 4)), rel=1e-6)
    # Column means are 0.25 and 0.75; each of the four elements lies 0.25 away.
    assert result["explained_variance"] == pytest.approx(1 - squares / (4 * 0.0625), rel=1e-6)


def test_bce_by_hand():
    result = measure(torch.tensor([[1.0, 0.25]]), torch.tensor([[0.5, 0.75]]))
    bce = (math.log(2) - 0.25 * math.log(0.75) - 0.75 * math.log(0.25)) / 2
    floor = (0 - 0.25 * math.log(0.25) - 0.75 * math.log(0.75)) / 2
    assert result["bce"] == pytest.approx(bce, rel=1e-6)
    assert result["bce_excess"] == pytest.approx(bce - floor, rel=1e-6)


def test_bce_at_its_floor_and_at_its_clamp():
    grey = torch.rand(50, 7, generator=torch.Generator().manual_seed(0))
    assert measure(grey, grey)["bce_excess"] == pytest.approx(0, abs=1e-6)
    worst = measure(torch.ones(1, 1), torch.tensor([[-3.0]]))["bce"]
    assert worst == pytest.approx(-math.log(BCE_EPS), rel=1e-6)


def test_peak_is_the_width_of_the_range():
    x = torch.tensor([[-1.0, 1.0]])
    result = measure(x, x + 0.1, data_range=(-1.0, 1.0))
    assert result["psnr"] == pytest.approx(10 * math.log10(4 / 0.01), rel=1e-5)
    assert "bce" not in result
    assert "bce_excess" not in result


def test_perfect_and_constant():
    x = torch.rand(5, 3)
    result = measure(x, x)
    assert result["mse"] == 0
    assert result["psnr"] == math.inf
    assert result["explained_variance"] == 1
    assert "explained_variance" not in measure(torch.ones(5, 3), torch.zeros(5, 3))  # there is no variance


def test_explained_variance_far_from_zero():
    """Deviations are taken from the first sample: raw second moments would cancel in float32."""
    x = 1e4 + torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
    reconstruction = x.mean(0).expand_as(x)
    assert measure(x, reconstruction, data_range=(0.0, 2e4))["explained_variance"] == pytest.approx(0, abs=1e-5)


def test_code_metrics_by_hand():
    code = torch.tensor([[3.0, -4.0, 0.0, 0.0], [0.0, 2.0, 0.05, 0.0]])
    result = measure(torch.rand(2, 12), torch.rand(2, 12), code, activity=Above(threshold=0.1))
    assert result["code_l0"] == 1.5
    assert result["code_active_fraction"] == 1.5 / 4
    assert result["code_active_units"] == 2
    assert result["code_l1"] == pytest.approx((7 + 2.05) / 8, rel=1e-6)
    hoyer = [(2 - 7 / 5) / 1, (2 - 2.05 / math.sqrt(4 + 0.05**2)) / 1]  # sqrt(4) = 2
    assert result["code_hoyer"] == pytest.approx(sum(hoyer) / 2, rel=1e-6)
    assert result["compression_ratio"] == 3


@pytest.mark.parametrize(
    ("code", "hoyer"),
    [([1.0, 1.0, 1.0], 0), ([0.0, -7.0, 0.0], 1), ([0.0, 0.0, 0.0], 1), ([1e-30, 1e-30, 0.0], 0.8001)],
)
def test_hoyer_at_its_ends(code, hoyer):
    if hoyer == 0.8001:
        hoyer = (math.sqrt(3) - math.sqrt(2)) / (math.sqrt(3) - 1)
    x = torch.rand(1, 5)
    assert measure(x, x, torch.tensor([code]))["code_hoyer"] == pytest.approx(hoyer, abs=1e-6)


def test_only_active_units_count():
    code = torch.tensor([[3.0, 9.0, -4.0, 9.0], [0.0, 9.0, 2.0, 9.0]])
    x = torch.rand(2, 12)
    masked = measure(x, x, code, active=torch.tensor([1.0, 0.0, 1.0, 0.0]))
    assert masked == measure(x, x, code[:, ::2])
    assert masked["compression_ratio"] == 6


def test_a_single_unit_has_no_hoyer():
    x = torch.rand(2, 12)
    assert "code_hoyer" not in measure(x, x, torch.rand(2, 1))


def test_denoising_by_hand():
    x = torch.zeros(2, 4)
    result = measure(x, x + 0.01, corrupted=x + 0.1)
    assert result["psnr_input"] == pytest.approx(20, rel=1e-6)
    assert result["psnr_gain"] == pytest.approx(20, rel=1e-5)


@pytest.mark.parametrize("corrupted", [None, torch.zeros(2, 4)])
def test_no_denoising_without_corruption(corrupted):
    x = torch.zeros(2, 4)
    assert "psnr_input" not in measure(x, x, corrupted=corrupted)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (1, 20, 9)])
def test_ssim_is_torchmetrics(shape):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(6, *shape, generator=generator)
    reconstruction = (x + 0.2 * torch.randn(6, *shape, generator=generator)).clamp(0, 1)
    reconstruction[0] = x[0]
    x[1], reconstruction[1] = 0.0, 1.0  # flat images: the variances are exactly zero
    expected = structural_similarity_index_measure(reconstruction, x, data_range=1.0, reduction="none")
    torch.testing.assert_close(ssim(x, reconstruction, peak=1.0), expected, atol=1e-5, rtol=0)
    assert measure(x, reconstruction)["ssim"] == pytest.approx(float(expected.mean()), abs=1e-5)


def test_ssim_is_scikit_image_with_the_same_window_inside_the_borders():
    """Scikit-image leaves the borders out, and as it comes it has another window: its figures are others."""
    generator = torch.Generator().manual_seed(0)
    x = torch.nn.functional.avg_pool2d(torch.rand(2, 1, 60, 60, generator=generator), 3)
    reconstruction = (x + 0.1 * torch.randn(x.shape, generator=generator)).clamp(0, 1)
    ours = ssim_map(x, reconstruction, peak=1.0)
    for image, other, similarity in zip(x[:, 0], reconstruction[:, 0], ours[:, 0], strict=True):
        same = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        pair = image.double().numpy(), other.double().numpy()
        theirs = structural_similarity(*pair, data_range=1.0, **same)
        assert float(similarity[5:-5, 5:-5].mean()) == pytest.approx(theirs, abs=1e-5)
        assert structural_similarity(*pair, data_range=1.0) != pytest.approx(theirs, abs=1e-3)


def test_ssim_by_hand():
    """Flat images have no variance: only the luminance term is left."""
    value = ssim(torch.full((1, 1, 12, 12), 0.2), torch.full((1, 1, 12, 12), 0.6), peak=1.0)
    assert float(value) == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4), rel=1e-4)


def test_ssim_counts_intensities_from_the_low_end():
    x, reconstruction = torch.rand(3, 1, 12, 12), torch.rand(3, 1, 12, 12)
    unit = measure(x, reconstruction)["ssim"]
    signed = measure(2 * x - 1, 2 * reconstruction - 1, data_range=(-1.0, 1.0))["ssim"]
    assert signed == pytest.approx(unit, abs=1e-5)


@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_ssim_of_images_smaller_than_half_the_window(size):
    x = torch.rand(3, 1, size, size)
    assert float(ssim(x, x, peak=1.0).mean()) == pytest.approx(1, abs=1e-5)
    assert -1 <= float(ssim(x, 1 - x, peak=1.0).mean()) < 1


def test_tables_have_no_ssim():
    assert not {"ssim", "sharpness"} & measure(torch.rand(3, 6), torch.rand(3, 6)).keys()


def test_laplacian_by_hand():
    """A bright spot in 4 x 4: the Laplacian inside is -4 at the spot, 1 beside it, 0 across."""
    x = torch.zeros(2, 1, 4, 4)
    x[0, 0, 1, 1] = 1
    # -4, 1, 1, 0: mean -1/2, mean square 18/4
    assert laplacian_variance(x).tolist() == pytest.approx([4.5 - 0.25, 0])


def test_sharpness():
    x = torch.rand(9, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    assert measure(x, x)["sharpness"] == pytest.approx(1, rel=1e-6)
    assert measure(x, 0.5 * x + 0.2)["sharpness"] == pytest.approx(0.25, rel=1e-5)  # of half the contrast
    blurred = torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1)
    assert measure(x, blurred)["sharpness"] < 0.1
    noisy = x + torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    assert measure(x, noisy)["sharpness"] > 2
    # Sums over images: the sharp one counts for more.
    pair = torch.cat([x[:1], 0.1 * x[:1]])
    assert measure(pair, torch.cat([x[:1], x[:1]]))["sharpness"] == pytest.approx(2 / 1.01, rel=1e-5)


def test_sharpness_needs_an_edge():
    flat = torch.full((3, 1, 5, 5), 0.5)
    assert "sharpness" not in measure(flat, torch.rand(3, 1, 5, 5))
    assert "sharpness" not in measure(torch.rand(3, 1, 2, 5), torch.rand(3, 1, 2, 5))


def test_symbols_by_hand():
    metrics = Metrics(shape=(6,), data_range=(0.0, 1.0), activity=Switched(), active=torch.ones(4))
    x, code = torch.rand(4, 6), torch.rand(4, 4)
    metrics.update(x, None, x, code, torch.tensor([[3, 1, 0, 0], [1, 1, 1, 0]]))
    metrics.update(x, None, x, code, torch.tensor([[1, 3, 0, 0], [0, 0, 1, 0]]))
    result = metrics.compute()
    assert result["code_usage"] == 5 / 8
    # Half and half: 2 symbols; 1/4, 1/4, 1/2: entropy 1.5 ln 2, 2^1.5 symbols
    assert result["code_perplexity"] == pytest.approx((2 + 2**1.5) / 2)


def test_perplexity_at_its_ends():
    metrics = Metrics(shape=(6,), data_range=(0.0, 1.0), activity=Switched(), active=torch.ones(4))
    x, code = torch.rand(4, 6), torch.rand(4, 4)
    metrics.update(x, None, x, code, torch.tensor([[7, 0], [5, 5]]))
    assert metrics.compute()["code_perplexity"] == pytest.approx((1 + 2) / 2)
    assert not {"code_usage", "code_perplexity", "code_bits"} & measure(x, x, code).keys()


def symbol_bits(symbols: torch.Tensor, *, samples: int) -> tuple[float, float]:
    metrics = Metrics(shape=(6,), data_range=(0.0, 1.0), activity=Switched(), active=torch.ones(4))
    x = torch.rand(samples, 6)
    metrics.update(x, None, x, torch.rand(samples, 4), symbols)
    result = metrics.compute()
    return result["code_bits"], result["code_bits_capacity"]


def test_codebooks_of_a_tree_that_nothing_came_to_are_not_in_use():
    """Three levels of 16 entries, the first 8 of each chosen: of 1, 16 and 256 codebooks 1, 8 and 64 are reached."""
    levels = [torch.zeros(16**level, 16) for level in range(3)]
    for level, books in enumerate(levels):
        reached = [number for number in range(16**level) if all(digit < 8 for digit in divmod(number, 16))]
        books[reached, :8] = 64 // 8**level
    found = symbol_metrics(torch.cat(levels), samples=512)
    assert found["code_usage"] == pytest.approx((8 + 64 + 512) / (16 + 256 + 4096))  # 13.4 %
    # 8 symbols equally often where something was chosen, 1 where nothing was
    assert found["code_perplexity"] == pytest.approx((73 * 8 + 200) / 273)
    assert (found["code_bits"], found["code_bits_capacity"]) == pytest.approx((3 * 3, 3 * 4))


def test_bits_by_hand():
    # Half and half: 1 bit; 1/4, 1/4, 1/2: 1.5 bits; always the same: none; a codebook that nothing came to is no part
    symbols = torch.tensor([[2, 2, 0, 0], [1, 1, 2, 0], [4, 0, 0, 0], [0, 0, 0, 0]])
    assert symbol_bits(symbols, samples=4) == pytest.approx((2.5, 3 * 2))
    # Three parts with one codebook: 12 choices of 4 samples, 1/2, 1/4, 1/4
    assert symbol_bits(torch.tensor([[6, 3, 3, 0]]), samples=4) == pytest.approx((3 * 1.5, 3 * 2))


def test_bits_of_codes_that_are_known():
    book = VectorQuantized(code_size=6, entries=4, dimension=2, commitment=0.0, decay=0.0, revive_below=0.0)
    book.codebook.copy_(torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]))
    book.active[4:] = 0  # the last part only pads
    code = book.codebook[torch.tensor([[0, 1, 0], [0, 1, 0], [2, 3, 0], [2, 3, 0]])].flatten(1)
    assert symbol_bits(book.symbols(code), samples=4) == pytest.approx((2 * 2, 2 * 2))  # two parts, four even symbols
    bits = Binary(code_size=4, deviation=None)
    bits.active[3] = 0
    a = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 1, 1, 0]]) - 0.5
    assert symbol_bits(bits.symbols(a), samples=4) == pytest.approx((2, 3))


@pytest.mark.parametrize(("least", "collapsed"), [(0.009, 2), (0.0101, 1)])
def test_units_that_carry_less_than_a_hundredth_of_a_nat_have_collapsed(least, collapsed):
    """By their mean over the samples: 0 of the first unit, `least` of the second, .02 of the third."""
    metrics = Metrics(shape=(2,), data_range=(0.0, 1.0), activity=Switched(), active=torch.ones(3))
    x = torch.rand(4, 2)
    rates = torch.tensor([[0.0, 2 * least, 0.0], [0.0, 0.0, 0.04]]).repeat(2, 1)
    for rows in (slice(0, 2), slice(2, 4)):
        metrics.update(x[rows], None, x[rows], torch.ones(2, 3), rates=rates[rows])
    assert metrics.compute()["code_collapsed_units"] == collapsed


def test_batches_do_not_matter():
    generator = torch.Generator().manual_seed(1)
    x, corrupted, reconstruction = torch.rand(3, 300, 1, 28, 28, generator=generator)
    reconstruction = 0.9 * x + 0.1 * reconstruction
    code = torch.randn(300, 9, generator=generator).relu()
    results = []
    for size in (7, 150, 300):
        metrics = Metrics(shape=(1, 28, 28), data_range=(0.0, 1.0), activity=Switched(), active=torch.ones(9))
        for batch in torch.arange(300).split(size):
            metrics.update(x[batch], corrupted[batch], reconstruction[batch], code[batch])
        results.append(metrics.compute())
    assert {"mse", "ssim", "sharpness", "bce_excess", "psnr_gain", *KEYS_CODE} <= results[0].keys()
    for other in results[1:]:
        assert other == pytest.approx(results[0], rel=1e-5)


def test_sums_of_a_known_clean_set_are_taken_as_they_are():
    generator = torch.Generator().manual_seed(1)
    x, reconstruction = torch.rand(2, 300, 1, 28, 28, generator=generator)

    def pass_over(part, clean):
        metrics = Metrics(
            shape=(1, 28, 28), data_range=(0.0, 1.0), activity=Switched(), active=torch.ones(1), clean=clean
        )
        for rows in part.split(130):
            metrics.update(x[rows], None, reconstruction[rows], torch.ones(len(rows), 1))
        return metrics

    every = torch.arange(300)
    first = pass_over(every, None)
    clean = first.clean
    again = pass_over(every, clean)
    assert again.compute() == first.compute()
    assert again.clean is clean
    with pytest.raises(ValueError, match="clean must be of the same samples, 200, got one of 300"):
        pass_over(every[:200], clean).compute()


def test_agrees_with_float64():
    generator = np.random.default_rng(0)
    x, r = generator.random((2, 3000, 50))
    result = measure(torch.from_numpy(x), torch.from_numpy(r))
    assert result["mse"] == pytest.approx(((x - r) ** 2).mean(), rel=1e-6)
    variance = ((x - x.mean(0)) ** 2).sum()
    assert result["explained_variance"] == pytest.approx(1 - ((x - r) ** 2).sum() / variance, rel=1e-6)
    bce = -(x * np.log(r) + (1 - x) * np.log1p(-r)).mean()
    assert result["bce"] == pytest.approx(bce, rel=1e-6)


def test_half_precision_is_accepted():
    x = torch.rand(4, 1, 12, 12)
    result = measure(x, x.bfloat16(), torch.ones(4, 3).bfloat16())
    assert 0 < result["mse"] < 1e-4


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_diverged_reconstruction_is_nan(bad):
    x = torch.rand(4, 1, 12, 12)
    reconstruction = x.clone()
    reconstruction[2, 0, 3, 3] = bad
    result = measure(x, reconstruction, corrupted=x + 0.1)
    quality = result.keys() - KEYS_CODE - {"compression_ratio", "psnr_input"}
    assert {"mse", "bce", "psnr", "ssim", "sharpness", "explained_variance", "psnr_gain"} <= quality
    assert all(math.isnan(result[key]) for key in quality)
    assert all(math.isfinite(result[key]) for key in (*KEYS_CODE, "psnr_input"))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_code_is_nan(bad):
    code = torch.zeros(4, 3)
    code[1, 1] = bad
    x = torch.rand(4, 6)
    result = measure(x, x, code)
    assert all(math.isnan(result[key]) for key in KEYS_CODE)
    assert result["mse"] == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_damaged_data_is_nan(bad):
    x = torch.rand(4, 1, 12, 12)
    x[0, 0, 0, 0] = bad
    result = measure(x, torch.rand(4, 1, 12, 12), corrupted=x)
    assert math.isnan(result["mse"])
    assert math.isnan(result["explained_variance"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": ()}, r"shape must hold sizes of at least 1, got \(\)"),
        ({"data_range": (1.0, 1.0)}, r"data_range must be finite with low < high, got \(1.0, 1.0\)"),
        ({"data_range": (0.0, math.nan)}, "data_range must be finite"),
        ({"active": torch.zeros(2)}, r"active must be .* with a unit on, got \[0.0, 0.0\]"),
    ],
)
def test_wrong_arguments(change, message):
    arguments = {"shape": (6,), "data_range": (0.0, 1.0), "activity": Switched(), "active": torch.ones(2)}
    with pytest.raises(ValueError, match=message):
        Metrics(**(arguments | change))


def test_wrong_shapes():
    metrics = Metrics(shape=(6,), data_range=(0.0, 1.0), activity=Switched(), active=torch.ones(2))
    with pytest.raises(ValueError, match=r"reconstruction must have shape \(3, 6\), got \(3, 5\)"):
        metrics.update(torch.rand(3, 6), None, torch.rand(3, 5), torch.rand(3, 2))
    with pytest.raises(ValueError, match=r"code must have shape \(3, 2\), got \(3, 4\)"):
        metrics.update(torch.rand(3, 6), None, torch.rand(3, 6), torch.rand(3, 4))
    with pytest.raises(ValueError, match=r"symbols must have shape \(groups, K\), got \(4,\)"):
        metrics.update(torch.rand(3, 6), None, torch.rand(3, 6), torch.rand(3, 2), torch.ones(4))
    with pytest.raises(ValueError, match="at least 1 sample, got 0"):
        metrics.compute()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_measures_the_same():
    x, reconstruction, code = torch.rand(300, 1, 28, 28), torch.rand(300, 1, 28, 28), torch.randn(300, 5)
    active = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0])
    there = measure(x.cuda(), reconstruction.cuda(), code.cuda(), active=active.cuda())
    assert there == pytest.approx(measure(x, reconstruction, code, active=active), rel=1e-4)
