"""Dictionaries: the units that samples are brought to, the start, and the equation."""

from functools import partial

import pytest
import torch

from hourglass.bottlenecks import Deterministic, Gaussian
from hourglass.models import Dictionary

X = torch.tensor([[[1.0, 2.0]], [[3.0, 2.0]], [[5.0, 8.0]]])


def dictionary(size: int = 3, activation: str = "relu") -> Dictionary:
    return Dictionary(shape=(1, 2), code_size=size, bottleneck=partial(Deterministic, activation=activation)).eval()


def test_samples_come_to_mean_zero_and_norm_one() -> None:
    """m = (3, 4); |x - m|^2 = 8, 4, 20, whose mean is 32 / 3."""
    model = dictionary()
    model.begin(X)
    assert torch.allclose(model.units.mean, torch.tensor([3.0, 4.0]))
    assert model.units.scale.item() == pytest.approx((32 / 3) ** 0.5)
    u = model.units(X.flatten(1))
    assert u.square().sum(1).mean().item() == pytest.approx(1.0)


def test_grey_levels_are_taken_as_the_model_sees_them() -> None:
    stored, model, other = torch.randint(0, 256, (50, 1, 2), dtype=torch.uint8), dictionary(), dictionary()
    model.begin(stored)
    other.begin(stored.float() / 255)
    assert torch.allclose(model.units.mean, other.units.mean)
    assert torch.allclose(model.units.scale, other.units.scale)


def test_the_equation_at_the_start() -> None:
    """r = m + s V relu(V^T (x - m) / s): biases are zero, atoms have norm 1, the encoder is their transpose."""
    model = dictionary()
    model.begin(X)
    v = model.decoder[0].weight
    assert torch.allclose(v.norm(dim=0), torch.ones(3))
    m, s = model.units.mean, model.units.scale
    h = ((X.flatten(1) - m) / s @ v).relu()
    output = model(X)
    assert torch.allclose(output.code, h, atol=1e-6)
    assert torch.allclose(output.reconstruction.flatten(1), m + s * h @ v.T, atol=1e-6)


def test_the_mean_is_known_without_a_code() -> None:
    model = dictionary()
    model.begin(X)
    assert torch.allclose(model.decode(torch.zeros(1, 3)).flatten(), torch.tensor([3.0, 4.0]))


def test_constant_samples_have_no_scale() -> None:
    model = dictionary()
    model.begin(torch.ones(5, 1, 2))
    assert model.units.scale.item() == 1.0


def test_its_jacobian_is_exact() -> None:
    model = dictionary(activation="sigmoid")
    model.begin(X)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda x: model.encode(x.unsqueeze(0)).squeeze(0)))(X)
    assert torch.allclose(model.squared_jacobian(X), jacobian.square().flatten(1).sum(1), rtol=1e-5)


def test_a_code_of_two_values_for_a_unit_begins_with_its_means() -> None:
    model = Dictionary(shape=(1, 2), code_size=3, bottleneck=partial(Gaussian, beta=1.0, warmup_steps=0))
    assert torch.allclose(model.encoder[2].weight[:3], model.decoder[0].weight.T)


def test_the_decoder_s_bias_is_taken_off_the_input() -> None:
    """h = relu(W (u - b) + c), r = m + s (V h + b)."""
    model = Dictionary(
        shape=(1, 2), code_size=3, bottleneck=partial(Deterministic, activation="relu"), subtract_bias=True
    )
    model.begin(X)
    b = model.decoder[0].layer.bias
    with torch.no_grad():
        b.copy_(torch.tensor([0.5, -0.25]))
    u = model.units(X.flatten(1)) - b
    torch.testing.assert_close(model(X).code, (u @ model.encoder[-1].weight.T).relu())
    assert len(list(model.parameters())) == 4


def test_a_start_that_is_not_tied() -> None:
    make = partial(Dictionary, shape=(1, 2), code_size=3, bottleneck=partial(Deterministic, activation="relu"))
    tied, free = make(), make(tied_start=False)
    assert torch.allclose(tied.encoder[-1].weight, tied.decoder[0].weight.T)
    assert not torch.allclose(free.encoder[-1].weight, free.decoder[0].weight.T)


def test_another_target_has_units_of_its_own() -> None:
    model = Dictionary(
        shape=(1, 2), code_size=3, bottleneck=partial(Deterministic, activation="relu"), target_shape=(3,)
    )
    target = torch.tensor([[0.0, 0.0, 1.0], [2.0, 4.0, 5.0], [4.0, 8.0, 9.0]])
    model.begin(X, target)
    assert torch.allclose(model.units.mean, torch.tensor([3.0, 4.0]))
    assert torch.allclose(model.decode(torch.zeros(1, 3)), torch.tensor([[2.0, 4.0, 5.0]]))
    assert model(X).reconstruction.shape == (3, 3)


@pytest.mark.parametrize("key", ["tied_start", "subtract_bias"])
def test_weights_are_not_tied_to_a_target_of_another_size(key: str) -> None:
    with pytest.raises(ValueError, match=f"^{key} must be false for targets of 3 values and inputs of 2, got true$"):
        Dictionary(shape=(1, 2), code_size=3, target_shape=(3,), **{key: True})
