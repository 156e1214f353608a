"""Reconstruction losses: each by hand, both reductions, and the choice that `auto` makes."""

import math

import pytest
import torch

from hourglass.losses import BCE, MSE, Loss, OfColumns, Reduction, auto, bce, mse
from hourglass.sweeps.fusion.functions import StackedFunctions

# B = 2 samples of d = 2 values
R = torch.tensor([[0.5, 0.25], [0.75, 0.5]])
X = torch.tensor([[1.0, 0.25], [0.0, 0.5]])


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
    ],
)
def test_by_hand(loss: type[Loss], reduction: Reduction, expected: float) -> None:
    assert loss(reduction=reduction)(R, X).item() == pytest.approx(expected, rel=1e-6)


def test_images_count_all_their_values() -> None:
    r, x = R.view(2, 1, 2, 1), X.view(2, 1, 2, 1)
    for loss in (MSE, BCE):
        assert loss(reduction="mean")(r, x) == loss(reduction="mean")(R, X)
        assert loss(reduction="sum")(r, x) == loss(reduction="sum")(R, X)


def test_sum_over_mean_is_the_number_of_values_of_a_sample() -> None:
    r, x = torch.rand(5, 1, 3, 4), torch.rand(5, 1, 3, 4)
    for loss in (MSE, BCE):
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


def test_densities_sum_to_one() -> None:
    # A normal density over a fine grid; both values of a bit.
    grid = torch.linspace(-6, 6, 2401, dtype=torch.float64)[:, None]
    density = MSE(reduction="sum").log_density(torch.full_like(grid, 0.3), grid).exp()
    assert density.sum().item() * 12 / 2400 == pytest.approx(1, abs=1e-6)
    bits = torch.tensor([[0.0], [1.0]])
    assert BCE(reduction="sum").log_density(torch.full_like(bits, 0.3), bits).exp().sum().item() == pytest.approx(1)


@pytest.mark.parametrize("loss", [MSE, BCE])
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


@pytest.mark.parametrize("loss", [MSE, BCE])
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
@pytest.mark.parametrize("numbers", [MSE, BCE])
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
