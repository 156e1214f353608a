"""Models in closed form: against the decomposition they are made of, scikit-learn's, and by hand."""

from functools import partial

import pytest
import torch
from sklearn import decomposition
from sklearn.datasets import load_digits
from torch import Tensor

from hourglass.bottlenecks import Bottleneck, Deterministic, Gaussian, TopK
from hourglass.models import PCA, Identity, Mean, principal_components

LINEAR = partial(Deterministic, activation="linear")


@pytest.fixture(scope="module")
def digits() -> Tensor:
    return torch.from_numpy(load_digits().images).float().unsqueeze(1) / 16


def test_pca_is_the_decomposition(digits: Tensor) -> None:
    train, test = digits[:1500], digits[1500:]
    fitted = principal_components.fit(train)
    for k in (1, 10, 64):
        model = PCA(shape=(1, 8, 8), code_size=k, bottleneck=LINEAR)
        model.solve(train)
        output = model(test)
        assert output.reconstruction.shape == test.shape
        torch.testing.assert_close(output.code, fitted.encode(test, k), rtol=0, atol=1e-5)
        assert (output.reconstruction - test).square().mean().item() == pytest.approx(
            fitted.mse(test, k), rel=1e-6, abs=1e-12
        )


def test_pca_is_that_of_scikit_learn(digits: Tensor) -> None:
    train, test = digits[:1500], digits[1500:]
    reference = decomposition.PCA(10, svd_solver="full").fit(train.flatten(1).numpy())
    model = PCA(shape=(1, 8, 8), code_size=10, bottleneck=LINEAR)
    model.solve(train)
    expected = reference.inverse_transform(reference.transform(test.flatten(1).numpy()))
    torch.testing.assert_close(model(test).reconstruction.flatten(1).numpy(), expected, rtol=0, atol=1e-5)
    code, theirs = model.encode(test), torch.from_numpy(reference.transform(test.flatten(1).numpy()))
    torch.testing.assert_close(code.abs(), theirs.abs(), rtol=0, atol=1e-5)  # a component's sign is a convention


def test_the_jacobian_of_pca_is_its_components(digits: Tensor) -> None:
    model = PCA(shape=(1, 8, 8), code_size=5, bottleneck=LINEAR)
    model.solve(digits)
    torch.testing.assert_close(model.squared_jacobian(digits[:3]), torch.full((3,), 5.0))  # 5 rows of norm 1


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_mean_by_hand(dtype: torch.dtype) -> None:
    unit = 255 if dtype == torch.uint8 else 1.0
    x = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]).mul(unit).to(dtype)
    model = Mean(shape=(2,), bottleneck=LINEAR)
    model.solve(x)
    output = model(torch.rand(3, 2))
    assert torch.equal(output.reconstruction, torch.tensor([0.25, 0.75]).expand(3, 2))
    assert torch.equal(output.code, torch.zeros(3, 1))


def test_stored_images_are_grey_levels_of_255(digits: Tensor) -> None:
    stored = (digits * 255).to(torch.uint8)
    models = [PCA(shape=(1, 8, 8), code_size=3, bottleneck=LINEAR) for _ in range(2)]
    models[0].solve(stored)
    models[1].solve(stored.float() / 255)
    for one, other in zip(models[0].buffers(), models[1].buffers(), strict=True):
        torch.testing.assert_close(one, other)


def test_identity_loses_nothing() -> None:
    model, x = Identity(shape=(3, 5, 4), bottleneck=LINEAR), torch.randn(6, 3, 5, 4)
    model.solve(x)
    output = model(x)
    assert model.code_size == 60
    assert torch.equal(output.reconstruction, x)
    assert torch.equal(output.code, x.flatten(1))


def test_weights_are_buffers_that_are_saved(digits: Tensor) -> None:
    model, other = (PCA(shape=(1, 8, 8), code_size=3, bottleneck=LINEAR) for _ in range(2))
    model.solve(digits)
    assert not list(model.parameters())
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(digits).reconstruction, model(digits).reconstruction)


@pytest.mark.parametrize(
    "bottleneck",
    [
        partial(TopK, k=3, k_test=None, activation="linear"),
        partial(Gaussian, beta=1.0, warmup_steps=0),
        partial(Deterministic, activation="leaky_relu"),
    ],
)
def test_a_code_that_is_not_the_encoders_output_is_refused(bottleneck: partial[Bottleneck]) -> None:
    name = bottleneck.func.__name__
    with pytest.raises(ValueError, match=f"^bottleneck must be linear .*, got {name}: set bottleneck=linear$"):
        PCA(shape=(1, 8, 8), code_size=3, bottleneck=bottleneck)


@pytest.mark.parametrize("code_size", [0, 65])
def test_code_size_out_of_range(code_size: int) -> None:
    with pytest.raises(ValueError, match=f"^code_size must be from 1 to 64, the values of a sample, got {code_size}$"):
        PCA(shape=(1, 8, 8), code_size=code_size, bottleneck=LINEAR)


def test_too_few_samples(digits: Tensor) -> None:
    with pytest.raises(ValueError, match=r"^code_size must be at most 20, the training samples, got 30$"):
        PCA(shape=(1, 8, 8), code_size=30, bottleneck=LINEAR).solve(digits[:20])
