"""Penalties on derivatives: by hand, by finite differences, and by another way of differentiation."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from hourglass.bottlenecks import BatchTopK, Binary, Categorical
from hourglass.models import Autoencoder
from hourglass.models.autoencoder import exact_squared_jacobian
from hourglass.regularizers import Contractive, DecoderGradient, Penalties
from hourglass.system.errors import HourglassError
from regularizers.small import by_hand, conv, gaussian, mlp, value, with_decoder

CODE = torch.tensor([[1.0, -2.0], [0.0, 4.0]])  # 2 samples, 2 units


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


def test_contractive_takes_the_code_outside_training_and_leaves_the_bottleneck_as_it_was() -> None:
    model = gaussian(inputs=3).train()
    x = torch.randn(4, 3)
    weight = model.encoder[1].weight.detach()  # type: ignore[index, operator]
    assert value(Contractive(weight=1.0), CODE, model, x) == pytest.approx(weight[:2].square().sum().item())  # the mean
    assert model.bottleneck.training
    counting = mlp(inputs=3, neck=partial(BatchTopK, k=1, momentum=0.9)).train()
    before = {key: buffer.clone() for key, buffer in counting.bottleneck.named_buffers()}
    Penalties(contractive=Contractive(weight=1.0)).attach(counting, batch_size=32)
    value(Contractive(weight=1.0), CODE, counting, x)
    assert counting.bottleneck.training
    for key, buffer in counting.bottleneck.named_buffers():
        assert torch.equal(buffer, before[key]), key


def test_contractive_needs_a_gradient_if_only_a_straight_through_one() -> None:
    penalties = Penalties(contractive=Contractive(weight=1.0))
    penalties.attach(mlp(neck=Binary), batch_size=32)
    with pytest.raises(HourglassError, match=r"^regularizer contractive needs a code with a gradient, but .*none"):
        penalties.attach(mlp(neck=partial(Categorical, categories=2, temperature=1.0, beta=1.0)), batch_size=32)


def test_decoder_gradient_by_hand() -> None:
    # A linear decoder has the same derivative everywhere: 9 + 16 + 4, of which the first unit has 25.
    model = with_decoder(mlp(inputs=3), ((3.0, 0.0), (0.0, 2.0), (4.0, 0.0)))
    x = torch.zeros(2, 3)
    assert value(DecoderGradient(weight=0.5), CODE, model, x) == pytest.approx(14.5)
    model.bottleneck.active[1] = 0
    assert value(DecoderGradient(weight=0.5), CODE, model, x) == pytest.approx(12.5)


@pytest.mark.parametrize(
    "make", [partial(mlp, inputs=6, widths=(5, 4)), partial(conv, code_size=3, code="tanh")], ids=["deep", "conv"]
)
def test_decoder_gradient_is_the_jacobian_and_its_gradient(make: Callable[[], Autoencoder]) -> None:
    model = make().double()
    x = torch.randn(4, *model.shape, dtype=torch.float64)
    output = model(x)
    parameters = list(model.parameters())
    penalty = DecoderGradient(weight=1.0)(model, x, output).weighted
    jacobian = torch.stack([
        torch.autograd.functional.jacobian(lambda h: model.decode(h.unsqueeze(0)), code, create_graph=True)
        for code in output.code
    ])  # fmt: skip
    expected = jacobian.square().sum() / len(x)
    torch.testing.assert_close(penalty, expected, rtol=1e-12, atol=0)
    for one, other in zip(
        torch.autograd.grad(penalty, parameters, retain_graph=True, allow_unused=True),
        torch.autograd.grad(expected, parameters, allow_unused=True),
        strict=True,
    ):
        assert (one is None) == (other is None)  # the last bias moves no derivative
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
