"""Penalties on the weights, by hand."""

from functools import partial

import pytest
import torch

from hourglass.bottlenecks import Deterministic
from hourglass.models import MLP, Modules
from hourglass.regularizers import Orthogonality, Penalty, Spectral, WeightL1, WeightL2
from regularizers.small import by_hand, conv, gaussian, mlp, value, with_decoder, with_encoder

CODE = torch.tensor([[1.0, -2.0], [0.0, 4.0]])  # 2 samples, 2 units


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
    with_decoder(model, ((0.5, 0.5), (-1.0, 1.0)))
    torch.nn.init.constant_(model.decoder[0].bias, 10.0)  # type: ignore[index]
    assert value(penalty, CODE, model) == pytest.approx(expected)


def test_the_code_layer_is_the_last_one_of_the_encoder() -> None:
    deep = mlp(inputs=5, widths=(4, 3))
    weights = deep.encoder[-1].weight  # type: ignore[index]
    assert weights.shape == (2, 3)
    expected = weights.detach().abs().sum().item()
    assert value(WeightL1(weight=1.0, layers="code"), CODE, deep) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (((0.6, 0.8), (-0.8, 0.6)), 0.0),
        # W W^T = [[5, 3], [3, 9]], minus I [[4, 3], [3, 8]]: 16 + 9 + 9 + 64
        (((1.0, -2.0), (3.0, 0.0)), 98.0),
    ],
)
def test_orthogonality_by_hand(weights: tuple[tuple[float, ...], ...], expected: float) -> None:
    model = by_hand(weights, (10.0, 10.0))
    assert value(Orthogonality(weight=0.5), CODE, model) == pytest.approx(0.5 * expected, abs=1e-6)


def test_orthogonality_leaves_out_the_rows_of_units_that_pad_a_stack() -> None:
    model = by_hand(((1.0, -2.0), (3.0, 0.0)), (0.0, 0.0))
    model.bottleneck.active[1] = 0
    assert value(Orthogonality(weight=1.0), CODE, model) == pytest.approx(16.0)  # (5 - 1)^2
    # A gaussian unit has two rows, of its mean and of its log variance: 2 and 1 for the first, 4 and 5 for the second.
    rows = ((2.0, 0.0, 0.0, 0.0), (0.0, 4.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 5.0))
    drawn = with_encoder(gaussian(inputs=4), rows, (0.0,) * 4)
    assert value(Orthogonality(weight=1.0), CODE, drawn) == pytest.approx(3.0**2 + 15.0**2 + 24.0**2)
    drawn.bottleneck.active[1] = 0
    assert value(Orthogonality(weight=1.0), CODE, drawn) == pytest.approx(3.0**2)


def test_orthogonality_of_a_convolution_takes_a_kernel_as_a_row() -> None:
    model = conv(code_size=None, code="linear")
    kernels = model.encoder[0].weight.detach().flatten(1)  # type: ignore[index, operator]
    assert kernels.shape == (3, 2 * 3 * 3)
    expected = (kernels @ kernels.T - torch.eye(3)).square().sum().item()
    assert value(Orthogonality(weight=1.0), torch.zeros(1, model.code_size), model) == pytest.approx(expected)


def test_spectral_by_hand() -> None:
    # Columns (3, 0, 4) and (0, 2, 0) are orthogonal: singular values 5 and 2.
    model = with_decoder(mlp(inputs=3), ((3.0, 0.0), (0.0, 2.0), (4.0, 0.0)))
    penalty = Spectral(weight=0.1)
    assert value(penalty, CODE, model) == pytest.approx(2.5)
    penalty(model, CODE, model(torch.zeros(1, 3))).weighted.backward()
    # d sigma^2 / dW = 2 sigma u v^T = 10 (.6, 0, .8)^T (1, 0)
    gradient = model.decoder[0].weight.grad  # type: ignore[index]
    torch.testing.assert_close(gradient, torch.tensor([[0.6, 0.0], [0.0, 0.0], [0.8, 0.0]]))


@pytest.mark.parametrize(
    "make",
    [
        partial(mlp, inputs=6, widths=(5, 4)),
        partial(mlp, inputs=6, widths=(5, 4), tied=True),
        partial(mlp, inputs=6, widths=(5, 4), unit_norm=True),
        partial(mlp, inputs=6, widths=(5, 4), tied=True, unit_norm=True),
    ],
)
def test_spectral_looks_at_the_weights_that_act(make: partial[MLP]) -> None:
    model = make()
    layers = [layer for layer in model.decoder if hasattr(layer, "weight")]  # type: ignore[union-attr]
    assert len(layers) == 3
    expected = sum(torch.linalg.svdvals(layer.weight.detach())[0].item() ** 2 for layer in layers)
    assert value(Spectral(weight=1.0), CODE, model) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("ratio", [0.0, 0.9, 0.999, 0.99999, 0.9999999])
def test_spectral_is_right_wherever_the_second_value_lies(ratio: float) -> None:
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(40, 30, dtype=torch.float64), full_matrices=False)
    values = 3 * torch.cat([torch.tensor([1.0]), torch.full((29,), ratio)]).double().sqrt()
    model = with_decoder(mlp(inputs=40, code_size=30), ((left * values) @ right).tolist())
    assert value(Spectral(weight=1.0), torch.zeros(1, 30), model) == pytest.approx(9, rel=1e-4)


def test_spectral_of_zeros_is_zero() -> None:
    model = with_decoder(mlp(inputs=3), ((0.0, 0.0),) * 3)
    penalty = Spectral(weight=1.0)(model, CODE, model(torch.zeros(1, 3)))
    penalty.weighted.backward()
    assert penalty.weighted.item() == 0
    assert model.decoder[0].weight.grad.abs().max() == 0  # type: ignore[index, union-attr]


def test_spectral_takes_kernels_as_matrices_and_keeps_its_precision_in_bfloat16() -> None:
    model = conv(code_size=3, code="linear")
    kernels = [weight for weight in model.decoder.parameters() if weight.ndim >= 2]
    assert [weight.ndim for weight in kernels] == [2, 4, 4]
    expected = sum(torch.linalg.svdvals(weight.detach().flatten(1))[0].item() ** 2 for weight in kernels)
    assert value(Spectral(weight=1.0), torch.zeros(1, 3), model) == pytest.approx(expected, rel=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert value(Spectral(weight=1.0), torch.zeros(1, 3), model) == pytest.approx(expected, rel=1e-5)


def test_tied_weights_count_once() -> None:
    model = mlp(inputs=6, tied=True)
    expected = model.encoder[1].weight.detach().square().sum().item()  # type: ignore[index, operator]
    assert value(WeightL2(weight=1.0, layers="all"), CODE, model) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("penalty", "said"),
    [
        (WeightL2(weight=1.0, layers="code"), "needs a model with weights in its encoder, but this one has none"),
        (Orthogonality(weight=1.0), "needs a model with weights in its encoder, but this one has none"),
        (Spectral(weight=1.0), "needs a model with weights in its decoder, but this one has none"),
    ],
)
def test_a_model_without_weights_is_refused(penalty: Penalty, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        penalty.attach(
            Modules(
                shape=(4,),
                encoder=torch.nn.Flatten(),
                decoder=torch.nn.Identity(),
                code_size=None,
                output_activation="linear",
                bottleneck=partial(Deterministic, activation="linear"),
            ),
            batch_size=4,
        )
