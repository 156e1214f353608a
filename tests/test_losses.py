"""Reconstruction losses: each by hand, both reductions, and the choice that `auto` makes."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch

from hourglass.configuration.composition import compose_config
from hourglass.losses import (
    BCE,
    MAE,
    MSE,
    MSSSIM,
    LogCosh,
    Loss,
    OfColumns,
    RandomFeatures,
    Reduction,
    StudentT,
    auto,
    bce,
    ms_ssim,
    mse,
)
from hourglass.losses.images import WEIGHTS
from hourglass.pipeline.compose import compose
from hourglass.system.errors import HourglassError
from hourglass.training.stacks.functions import StackedFunctions

# B = 2 samples of d = 2 values
R = torch.tensor([[0.5, 0.25], [0.75, 0.5]])
X = torch.tensor([[1.0, 0.25], [0.0, 0.5]])
ELEMENTWISE = (MSE, BCE, MAE, LogCosh, StudentT)
OF_IMAGES = (MSSSIM, partial(RandomFeatures, widths=[4, 4]))


@pytest.mark.parametrize(
    ("loss", "reduction", "expected"),
    [
        # (1 - .5)^2 + 0 + .75^2 + 0 = .25 + .5625 = .8125
        (MSE, "mean", 0.8125 / 4),
        (MSE, "sum", 0.8125 / 2),
        # -ln .5 = .693147 | .25: -.25 ln .25 - .75 ln .75 = .346574 + .215762 = .562335 | -ln .25 = 1.386294
        # | .5: -.5 ln .5 - .5 ln .5 = .693147; together 3.334924
        (BCE, "mean", 3.334924 / 4),
        (BCE, "sum", 3.334924 / 2),
        # .5 + .75
        (MAE, "mean", 1.25 / 4),
        (MAE, "sum", 1.25 / 2),
        # ln cosh 5 = 5 + ln((1 + e^-10) / 2) = 4.306898 | ln cosh 7.5 = 6.806853; together 11.113751, a tenth of it
        (LogCosh, "mean", 1.1113751 / 4),
        (LogCosh, "sum", 1.1113751 / 2),
        # 2 ln(1 + 25/3) + 2 ln(1 + 56.25/3) = 2 ln 9.333333 + 2 ln 19.75 = 4.467184 + 5.966308
        (StudentT, "mean", 10.433492 / 4),
        (StudentT, "sum", 10.433492 / 2),
    ],
)
def test_by_hand(loss: type[Loss], reduction: Reduction, expected: float) -> None:
    assert loss(reduction=reduction)(R, X).item() == pytest.approx(expected, rel=1e-6)


def test_images_count_all_their_values() -> None:
    r, x = R.view(2, 1, 2, 1), X.view(2, 1, 2, 1)
    for loss in ELEMENTWISE:
        assert loss(reduction="mean")(r, x) == loss(reduction="mean")(R, X)
        assert loss(reduction="sum")(r, x) == loss(reduction="sum")(R, X)


def test_sum_over_mean_is_the_number_of_values_of_a_sample() -> None:
    r, x = torch.rand(5, 1, 3, 4), torch.rand(5, 1, 3, 4)
    for loss in (*ELEMENTWISE, *OF_IMAGES):
        ratio = loss(reduction="sum")(r, x) / loss(reduction="mean")(r, x)
        assert ratio.item() == pytest.approx(12)


def test_bce_at_its_floor_is_the_entropy_of_the_target() -> None:
    # .2: -.2 ln .2 - .8 ln .8 = .321888 + .178515
    x = torch.tensor([[0.2]])
    assert BCE(reduction="mean")(x, x).item() == pytest.approx(0.500402, abs=1e-6)


def test_bce_stays_finite_for_a_reconstruction_of_exactly_0_or_1() -> None:
    # A sigmoid rounds to 1 above 17: the logarithm of 0 counts as -100, as torch does.
    r, x = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert BCE(reduction="sum")(r, x).item() == pytest.approx(200)


def test_log_density_by_hand() -> None:
    r, x = R.view(2, 1, 1, 2), X.view(2, 1, 1, 2)
    # squared errors .25 and .5625; twice log(pi) / 2 = 1.144730
    assert MSE(reduction="mean").log_density(r, x).tolist() == pytest.approx([-1.394730, -1.707230], abs=1e-6)
    # see test_by_hand: .693147 + .562335 and 1.386294 + .693147
    assert BCE(reduction="mean").log_density(r, x).tolist() == pytest.approx([-1.255482, -2.079442], abs=1e-6)
    for loss in (MSE, BCE):  # of what has diverged too, which is told of as such
        assert loss(reduction="mean").log_density(r.log() * math.nan, x).isnan().all()


def test_densities_sum_to_one() -> None:
    # Densities over a fine grid; both values of a bit.
    grid = torch.linspace(-60, 60, 120_001, dtype=torch.float64)[:, None]
    for loss in (MSE, MAE, LogCosh, StudentT):
        density = loss(reduction="sum").double().log_density(torch.full_like(grid, 0.3), grid).exp()  # type: ignore[operator]
        assert density.sum().item() / 1000 == pytest.approx(1, abs=1e-6), loss
    bits = torch.tensor([[0.0], [1.0]])
    assert BCE(reduction="sum").log_density(torch.full_like(bits, 0.3), bits).exp().sum().item() == pytest.approx(1)


@pytest.mark.parametrize("loss", ELEMENTWISE)
def test_the_sum_is_the_negative_log_density_up_to_a_constant(loss: type[Loss]) -> None:
    generator = torch.Generator().manual_seed(0)
    r, other, x = torch.rand(3, 5, 1, 3, 4, generator=generator)
    total = loss(reduction="sum")
    gap = total.log_density(r, x).mean() - total.log_density(other, x).mean()
    assert gap.item() == pytest.approx((total(other, x) - total(r, x)).item(), rel=1e-5)


@pytest.mark.parametrize(
    ("data_range", "chosen"),
    [((0.0, 1.0), BCE), ((0.2, 0.9), BCE), ((-0.001, 1.0), MSE), ((0.0, 1.001), MSE), ((-3.0, 3.0), MSE)],
)
def test_auto_takes_bce_for_data_in_the_unit_interval(data_range: tuple[float, float], chosen: type[Loss]) -> None:
    loss = auto(data_range=data_range, reduction="sum")
    assert type(loss) is chosen
    assert loss.reduction == "sum"


def test_mse_takes_data_of_any_range_and_bce_does_not() -> None:
    assert type(mse(data_range=(-3.0, 7.0), reduction="mean")) is MSE
    assert type(bce(data_range=(0.0, 1.0), reduction="mean")) is BCE
    with pytest.raises(ValueError, match=r"^bce needs data in \[0, 1\], got data from -3 to 7; use loss=mse"):
        bce(data_range=(-3.0, 7.0), reduction="mean")


def test_unknown_reduction() -> None:
    with pytest.raises(ValueError, match=r"^reduction must be one of mean, sum, got 'none'$"):
        MSE(reduction="none")  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", [MSE, BCE])
def test_gradient_points_from_the_reconstruction_to_the_target(loss: type[Loss]) -> None:
    r = torch.tensor([[0.3, 0.8]], requires_grad=True)
    x = torch.tensor([[0.5, 0.5]])
    loss(reduction="sum")(r, x).backward()
    # MSE: 2 (r - x) = -.4, .6.  BCE: (r - x) / (r (1 - r)) = -.2 / .21, .3 / .16
    expected = {MSE: [-0.4, 0.6], BCE: [-0.2 / 0.21, 0.3 / 0.16]}[loss]
    assert r.grad is not None
    assert r.grad[0].tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("loss", [MSE, BCE])
def test_bfloat16_autocast_leaves_the_loss_alone_on_a_gpu(loss: type[Loss]) -> None:
    with torch.autocast("cuda", torch.bfloat16):  # which refuses torch's own binary_cross_entropy
        value = loss(reduction="mean")(R.cuda(), X.cuda())
    assert value.item() == pytest.approx(loss(reduction="mean")(R, X).item(), rel=1e-6)


def test_nan_stays_nan() -> None:
    assert math.isnan(MSE(reduction="mean")(torch.tensor([[math.nan]]), torch.tensor([[0.0]])).item())


@pytest.mark.parametrize("loss", [*ELEMENTWISE, *OF_IMAGES])
@pytest.mark.parametrize("targets", ["one", "each"])
def test_of_many_models_it_is_the_loss_of_each(loss: type[Loss], targets: str) -> None:
    torch.manual_seed(0)
    r = torch.rand(3, 4, 1, 2, 5, dtype=torch.float64).requires_grad_()
    x = torch.rand(*((3,) if targets == "each" else ()), 4, 1, 2, 5, dtype=torch.float64)
    alone = loss(reduction="sum")
    weights = torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64)
    with StackedFunctions():
        values = torch.func.vmap(alone, in_dims=(0, 0 if targets == "each" else None))(r, x)
    expected = torch.stack([alone(r[at], x[at] if targets == "each" else x) for at in range(3)])
    torch.testing.assert_close(values, expected)
    ours, theirs = (torch.autograd.grad((each * weights).sum(), r, create_graph=True)[0] for each in (values, expected))
    torch.testing.assert_close(ours, theirs)
    second, wanted = (torch.autograd.grad(each.square().sum(), r)[0] for each in (ours, theirs))
    torch.testing.assert_close(second, wanted)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("numbers", ELEMENTWISE)
def test_a_table_sums_its_columns_each_by_its_own(numbers: type[Loss], reduction: Reduction) -> None:
    r = torch.tensor([[0.5, 0.2, 0.3, 0.5, 0.9], [0.1, 0.6, 0.3, 0.1, 0.4]])
    x = torch.tensor([[1.0, 0.0, 1.0, 0.0, torch.nan], [torch.nan, torch.nan, torch.nan, torch.nan, 0.4]])
    own = numbers(reduction="sum")
    loss = OfColumns(numbers=numbers(reduction=reduction), groups=[(1, 4)])
    of_numbers = own(r[:1, :1], x[:1, :1]) + own(r[1:, 4:], x[1:, 4:])
    expected = (of_numbers - math.log(0.3)) / (3 if reduction == "mean" else 2)
    leaf = r.clone().requires_grad_()
    value = loss(leaf, x)
    torch.testing.assert_close(value, expected)
    value.backward()
    assert leaf.grad is not None
    assert leaf.grad.isfinite().all()
    assert leaf.grad[x.isnan()].abs().sum() == 0
    of_first = own.log_density(r[:1, :1], x[:1, :1]) + math.log(0.3)
    torch.testing.assert_close(loss.log_density(r, x), torch.cat([of_first, own.log_density(r[1:, 4:], x[1:, 4:])]))
    stacked = torch.func.vmap(loss, in_dims=(0, None))(torch.stack([r, r]), x)
    torch.testing.assert_close(stacked, torch.stack([expected, expected]))


# -- more than one value at a time -----------------------------------------------------------------------------------


def test_student_s_density_is_scipy_s() -> None:
    from scipy.stats import t

    loss = StudentT(degrees=2.5, scale=0.4, reduction="sum")
    expected = t.logpdf(X.numpy(), df=2.5, loc=R.numpy(), scale=0.4).sum(axis=1)
    assert loss.log_density(R, X).tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_structural_similarity_of_flat_images_by_hand() -> None:
    # Nothing varies, so c is 1 everywhere, and l = (2 .25 .75 + .0001) / (.0625 + .5625 + .0001) = .3751 / .6251 counts
    # at the last scale alone.  In 28 pixels there are two scales, of weights .0448 and .2856.
    r, x = torch.full((2, 3, 28, 28), 0.25), torch.full((2, 3, 28, 28), 0.75)
    expected = 1 - (0.3751 / 0.6251) ** (0.2856 / (0.0448 + 0.2856))
    assert MSSSIM(reduction="mean")(r, x).item() == pytest.approx(expected, rel=2e-3)
    assert MSSSIM(scales=1, reduction="mean")(r, x).item() == pytest.approx(1 - 0.3751 / 0.6251, rel=2e-3)
    assert MSSSIM(scales=1, peak=100.0, reduction="mean")(r, x).item() == pytest.approx(1 - 1.375 / 1.625, rel=2e-3)


def test_structural_similarity_where_the_range_does_not_begin_at_0() -> None:
    """In [-1, 1] a grey of 0 beside one of .1 are intensities of 1 and 1.1, with k1 = .02^2: 1 - l = .01 / 2.2104."""
    r, x = torch.full((2, 3, 8, 8), 0.1), torch.zeros(2, 3, 8, 8)
    loss = ms_ssim(scales=5, data_range=[-1.0, 1.0], reduction="mean")
    assert loss(r, x).item() == pytest.approx(0.01 / 2.2104, abs=3e-4)  # of 32 bits; .96 unshifted
    # As after a shift of both to [0, 2], and as half of both in [0, 1].
    generator = torch.Generator().manual_seed(0)
    r, x = torch.rand(2, 4, 1, 24, 24, generator=generator) * 2 - 1
    shifted = ms_ssim(scales=5, data_range=[0.0, 2.0], reduction="mean")(r + 1, x + 1)
    halved = ms_ssim(scales=5, data_range=[0.0, 1.0], reduction="mean")((r + 1) / 2, (x + 1) / 2)
    assert loss(r, x).item() == pytest.approx(shifted.item(), rel=1e-4)
    assert loss(r, x).item() == pytest.approx(halved.item(), rel=1e-4)


def test_structure_of_one_window_by_hand() -> None:
    # 3 x 3 pixels are one window; a pattern and its negative about the same mean have c = (-2 s + k) / (2 s + k).
    side = torch.tensor([math.exp(-1 / 4.5), 1.0, math.exp(-1 / 4.5)])
    window = torch.outer(side, side) / side.sum() ** 2
    pattern = torch.tensor([[1.0, -2.0, 1.0], [0.5, 0.0, -1.0], [0.0, 2.0, -0.5]]) / 20
    pattern = pattern - (window * pattern).sum()
    s = (window * pattern.square()).sum().item()
    for sign, expected in ((1.0, 1.0), (0.5, (s + 0.0009) / (1.25 * s + 0.0009)), (-1.0, 1e-4)):
        found = MSSSIM(reduction="mean")((0.5 + sign * pattern).view(1, 1, 3, 3), (0.5 + pattern).view(1, 1, 3, 3))
        assert found.item() == pytest.approx(1 - expected, abs=1e-5)


def test_five_scales_need_176_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    for side, scales in ((21, 1), (22, 2), (88, 4), (175, 4), (176, 5)):
        x, noise = torch.rand(2, 1, 1, side, side, generator=generator)
        r = x + 0.5 * noise
        found, fewer = (MSSSIM(scales=number, reduction="mean")(r, x) for number in (5, scales))
        assert found == fewer
        assert scales == 1 or found != MSSSIM(scales=scales - 1, reduction="mean")(r, x)
    assert sum(WEIGHTS) == pytest.approx(1, abs=1e-3)


def test_random_features_by_hand() -> None:
    loss = RandomFeatures(widths=[1, 1], pixels=2.0, reduction="mean")
    loss.kernel_0 = torch.zeros(1, 1, 3, 3)
    loss.kernel_0[..., 1, 1] = 2.0
    loss.kernel_1 = torch.zeros(1, 1, 3, 3)
    loss.kernel_1[..., 1, 1] = -1.0  # of a rectified value: never above 0
    r, x = torch.tensor([[1.0, 0.0], [0.0, -1.0]]).view(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    # First layer: 2, 0, 0 and, rectified, 0: mean square 1.  Second: 0.  Pixels: 1/2.
    assert loss(r, x).item() == pytest.approx((1 + 0) / 2 + 2 * 0.5)


def test_random_features_keep_the_size_of_differences_and_are_of_their_seed() -> None:
    torch.manual_seed(0)
    x = torch.randn(50, 1, 16, 16)
    one, same, other = (RandomFeatures(widths=[64, 64], seed=seed, reduction="mean") for seed in (0, 0, 1))
    assert one(x, -x) == same(x, -x) != other(x, -x)
    # Of each layer half of the squares pass the rectifier; the means of four pixels between them have a fourth of the
    # variance and, after a rectifier, a mean.
    assert 0.5 < one.features(x)[0].square().mean().item() < 1.1
    assert not one.state_dict()


@pytest.mark.parametrize("loss", OF_IMAGES)
def test_bfloat16_autocast_leaves_a_loss_of_images_alone(loss: Callable[..., Loss]) -> None:
    r, x = torch.rand(2, 5, 1, 12, 12)
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(reduction="mean")(r, x)
    assert found == loss(reduction="mean")(r, x)


def test_images_are_needed() -> None:
    for loss in (MSSSIM(reduction="mean"), RandomFeatures(reduction="mean")):
        with pytest.raises(
            ValueError, match=r"needs images \(channels, height, width\), got samples of shape \(13,\)$"
        ):
            loss.check((13,))
    with pytest.raises(ValueError, match=r"^widths must list at most 2 layers for images of shape \(1, 3, 3\), .* got"):
        RandomFeatures(reduction="mean").check((1, 3, 3))
    RandomFeatures(reduction="mean").check((1, 4, 5))
    with pytest.raises(HourglassError, match=r"^loss: ms_ssim needs images .*, got samples of shape \(13,\)$"):
        compose(compose_config(["data=wine", "loss=ms_ssim", "model.output_activation=linear"])[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogCosh(alpha=0.0, reduction="mean"), r"^alpha must be above 0"),
        (lambda: StudentT(degrees=0.0, reduction="mean"), r"^degrees must be above 0"),
        (lambda: StudentT(scale=0.0, reduction="mean"), r"^scale must be above 0"),
        (lambda: MSSSIM(scales=6, reduction="mean"), r"^scales must be a whole number from 1 to 5, got 6$"),
        (lambda: RandomFeatures(widths=[], reduction="mean"), r"^widths must list at least one layer"),
        (lambda: RandomFeatures(pixels=-1.0, reduction="mean"), r"^pixels must be at least 0"),
    ],
)
def test_out_of_range(make: Callable[[], Loss], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
