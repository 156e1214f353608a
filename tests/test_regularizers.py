"""Regularizers: every penalty by hand, the contractive one three ways, and what is refused."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from hourglass.bottlenecks import Deterministic
from hourglass.models import MLP, Autoencoder, Conv, Output
from hourglass.models.autoencoder import exact_squared_jacobian
from hourglass.regularizers import L1, L2, Contractive, KLSparsity, Penalties, Penalty, WeightL1, WeightL2


def mlp(*, inputs: int = 2, code_size: int = 2, widths: tuple[int, ...] = (), code: str = "sigmoid") -> MLP:
    torch.manual_seed(0)
    return MLP(
        shape=(inputs,),
        code_size=code_size,
        depth=len(widths),
        widths=widths,
        decoder_widths=None,
        activation="tanh",
        output_activation="linear",
        bottleneck=partial(Deterministic, activation=code),
    )


def conv(*, code_size: int | None, code: str, activation: str = "tanh") -> Conv:
    torch.manual_seed(0)
    return Conv(
        shape=(2, 5, 4),
        code_size=code_size,
        depth=1,
        widths=[3],
        decoder_widths=None,
        kernel_size=3,
        upsampling="nearest",
        decoder_padding=None,
        activation=activation,
        output_activation="linear",
        bottleneck=partial(Deterministic, activation=code),
    )


def by_hand(weights: tuple[tuple[float, ...], ...], biases: tuple[float, ...], code: str = "sigmoid") -> MLP:
    """A model without hidden layers whose encoder has these weights."""
    model = mlp(inputs=len(weights[0]), code_size=len(weights), code=code)
    layer = model.encoder[1]  # type: ignore[index]
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights))
        layer.bias.copy_(torch.tensor(biases))
    return model


def value(penalty: Penalty, code: Tensor, model: Autoencoder | None = None, x: Tensor | None = None) -> float:
    x = torch.zeros(len(code), 2) if x is None else x
    return penalty(model or mlp(), x, Output(torch.zeros_like(x), code, {}, code)).item()


CODE = torch.tensor([[1.0, -2.0], [0.0, 4.0]])  # 2 samples, 2 units


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        # |1| + |-2| + |0| + |4| = 7, over 2 samples 3.5
        (L1(weight=0.1, reduction="sample"), 0.35),
        (L1(weight=0.1, reduction="batch"), 0.7),
        # 1 + 4 + 0 + 16 = 21
        (L2(weight=0.1, reduction="sample"), 1.05),
        (L2(weight=0.1, reduction="batch"), 2.1),
    ],
)
def test_activity_by_hand(penalty: Penalty, expected: float) -> None:
    assert value(penalty, CODE) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        # encoder |1| + |-2| + |3| + |0| = 6, decoder |.5| + |.5| + |-1| + |1| = 3; biases, 10 each, are left alone
        (WeightL1(weight=0.1, layers="all"), 0.9),
        (WeightL1(weight=0.1, layers="code"), 0.6),
        # encoder 1 + 4 + 9 = 14, decoder .25 + .25 + 1 + 1 = 2.5
        (WeightL2(weight=0.1, layers="all"), 1.65),
        (WeightL2(weight=0.1, layers="code"), 1.4),
    ],
)
def test_weights_by_hand(penalty: Penalty, expected: float) -> None:
    model = by_hand(((1.0, -2.0), (3.0, 0.0)), (10.0, 10.0))
    with torch.no_grad():
        model.decoder[0].weight.copy_(torch.tensor([[0.5, 0.5], [-1.0, 1.0]]))  # type: ignore[index]
        model.decoder[0].bias.fill_(10.0)  # type: ignore[index]
    assert value(penalty, CODE, model) == pytest.approx(expected)


def test_the_code_layer_is_the_last_one_of_the_encoder() -> None:
    deep = mlp(inputs=5, widths=(4, 3))
    weights = deep.encoder[-1].weight  # type: ignore[index]
    assert weights.shape == (2, 3)
    expected = weights.detach().abs().sum().item()
    assert value(WeightL1(weight=1.0, layers="code"), CODE, deep) == pytest.approx(expected)


def test_kl_sparsity_by_hand() -> None:
    # Mean activities q = (.2, .5), target .05:
    #   .05 ln(.05/.2) + .95 ln(.95/.8) = -.069315 + .163258 = .093943
    #   .05 ln(.05/.5) + .95 ln(.95/.5) = -.115129 + .609761 = .494632
    code = torch.tensor([[0.1, 0.5], [0.3, 0.5]])
    assert value(KLSparsity(weight=0.5, target=0.05), code) == pytest.approx(0.5 * 0.588575, abs=1e-6)


def test_kl_sparsity_is_zero_at_the_target_and_finite_for_dead_and_full_units() -> None:
    penalty = KLSparsity(weight=1.0, target=0.05)
    assert value(penalty, torch.full((4, 2), 0.05)) == pytest.approx(0.0, abs=1e-6)
    # Off for the whole batch, q counts as 1e-6: .05 ln(.05/1e-6) + .95 ln(.95) = .540989 - .048729
    assert value(penalty, torch.zeros(4, 1), by_hand(((1.0, 1.0),), (0.0,))) == pytest.approx(0.492260, abs=1e-5)
    assert 0 < value(penalty, torch.ones(4, 2)) < math.inf


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        # a = W x + b = (.2, -.6) for x = (-1, .6); rows of W: 1 + 4 = 5 and 9 + 16 = 25
        ("linear", 30.0),
        ("relu", 5.0),  # the second unit is off
        ("sigmoid", 0.247517**2 * 5 + 0.228784**2 * 25),  # s' = s (1 - s): s = .549834 and .354344
        ("tanh", 0.961043**2 * 5 + 0.711578**2 * 25),  # s' = 1 - s^2: s = .197375 and -.537050
    ],
)
def test_contractive_by_hand(code: str, expected: float) -> None:
    model = by_hand(((1.0, 2.0), (3.0, 4.0)), (0.0, 0.0), code)
    x = torch.tensor([[-1.0, 0.6]])
    assert model.squared_jacobian(x).tolist() == pytest.approx([expected], rel=1e-5)
    # The mean over the batch, so that the same sample twice weighs as once.
    assert value(Contractive(weight=0.5), CODE, model, x.repeat(2, 1)) == pytest.approx(0.5 * expected, rel=1e-5)


def finite_differences(model: Autoencoder, x: Tensor) -> Tensor:
    """|J|^2 of each sample by central differences: 1e-6 to either side in every direction, in float64."""
    step = 1e-6
    flat = x.flatten(1)
    total = torch.zeros(len(x), dtype=torch.float64)
    for direction in torch.eye(flat.shape[1], dtype=torch.float64):
        ahead, behind = ((flat + side * step * direction).view_as(x) for side in (1, -1))
        total += ((model.encode(ahead) - model.encode(behind)) / (2 * step)).square().sum(dim=1)
    return total


ENCODERS: dict[str, Callable[[], Autoencoder]] = {
    **{f"one layer, {code}": partial(mlp, inputs=6, code=code) for code in ("sigmoid", "tanh", "relu", "elu")},
    **{f"deep, {code}": partial(mlp, inputs=6, widths=(5, 4), code=code) for code in ("sigmoid", "tanh", "relu")},
    **{f"conv map, {code}": partial(conv, code_size=None, code=code) for code in ("sigmoid", "tanh", "relu")},
    "conv with a dense code": partial(conv, code_size=3, code="sigmoid", activation="relu"),
}


@pytest.mark.parametrize("name", ENCODERS)
@torch.no_grad()
def test_contractive_is_the_jacobian_three_ways(name: str) -> None:
    model = ENCODERS[name]().double()
    x = torch.randn(4, *model.shape, dtype=torch.float64)
    value = model.squared_jacobian(x)
    assert value.shape == (4,)
    assert value.max() > 0  # a relu may be off for a whole sample
    torch.testing.assert_close(value, exact_squared_jacobian(model.encode, x), rtol=1e-12, atol=0)
    torch.testing.assert_close(value, finite_differences(model, x), rtol=1e-5, atol=0)


def test_contractive_closed_form_and_exact_form_have_the_same_gradient() -> None:
    model = mlp(inputs=6, code="sigmoid").double()
    x = torch.randn(4, 6, dtype=torch.float64)
    parameters = list(model.encoder.parameters())
    closed = torch.autograd.grad(model.squared_jacobian(x).mean(), parameters)
    exact = torch.autograd.grad(exact_squared_jacobian(model.encode, x).mean(), parameters)
    for one, other in zip(closed, exact, strict=True):
        assert one.abs().sum() > 0
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-14)


def test_contractive_looks_at_the_clean_input() -> None:
    model = by_hand(((1.0, 2.0),), (0.0,))
    noisy_code = torch.full((1, 1), 0.99)
    # At x = 0 the slope is 1/4: 1/16 (1 + 4), whatever the code of the corrupted input was.
    assert value(Contractive(weight=1.0), noisy_code, model, torch.zeros(1, 2)) == pytest.approx(0.3125)


def test_penalties_are_named_and_several_add_up_apart() -> None:
    penalties = Penalties(l1=L1(weight=0.1, reduction="sample"), l2=L2(weight=0.1, reduction="sample"))
    x = torch.zeros(2, 2)
    terms = penalties(mlp(), x, Output(x, CODE, {}, CODE))
    assert list(terms) == ["l1", "l2"]
    assert [term.item() for term in terms.values()] == pytest.approx([0.35, 1.05])
    assert Penalties()(mlp(), x, Output(x, CODE, {}, CODE)) == {}


@pytest.mark.parametrize(("code", "fits"), [("sigmoid", True), ("relu", False), ("tanh", False), ("linear", False)])
def test_kl_sparsity_needs_a_code_between_0_and_1(code: str, fits: bool) -> None:
    penalties = Penalties(kl_sparsity=KLSparsity(weight=1.0, target=0.05))
    if fits:
        penalties.attach(mlp(code=code))
        return
    with pytest.raises(ValueError, match=r"^regularizer kl_sparsity needs a code in \[0, 1\], but .*sigmoid$"):
        penalties.attach(mlp(code=code))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L1(weight=-1.0, reduction="sample"), "weight must be at least 0 and finite, got -1.0"),
        (lambda: L2(weight=math.inf, reduction="sample"), "weight must be at least 0 and finite, got inf"),
        (lambda: Contractive(weight=math.nan), "weight must be at least 0 and finite, got nan"),
        (lambda: L1(weight=1.0, reduction="mean"), "reduction must be one of sample, batch, got 'mean'"),
        (lambda: WeightL1(weight=1.0, layers="encoder"), "layers must be one of all, code, got 'encoder'"),
        (lambda: KLSparsity(weight=1.0, target=0.0), "target must be strictly between 0 and 1, got 0.0"),
        (lambda: KLSparsity(weight=1.0, target=2.0), "target must be strictly between 0 and 1, got 2.0"),
    ],
)
def test_out_of_range(make: Callable[[], Penalty], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()
