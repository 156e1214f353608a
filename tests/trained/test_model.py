"""What a trained model takes, and what it refuses, in Python."""

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from hourglass.bottlenecks import Deterministic
from hourglass.data import Scaling
from hourglass.models import MLP
from hourglass.system.errors import HourglassError
from hourglass.trained.inputs import Inputs
from hourglass.trained.model import TrainedModel


def made(
    *shape: int, known: tuple[float, float] = (0.0, 1.0), scaling: Scaling | None = None, **others: Any
) -> TrainedModel:
    torch.manual_seed(0)
    model = MLP(
        shape=shape,
        code_size=3,
        depth=0,
        widths=None,
        decoder_widths=None,
        tied=False,
        unit_norm=False,
        activation="relu",
        output_activation="linear",
        bottleneck=lambda code_size: Deterministic(code_size=code_size, activation="linear"),
    ).eval()
    inputs = Inputs(shape=shape, range=known, scaling=scaling, columns=None, code_size=3)
    return TrainedModel(model=model, inputs=inputs, **others)


GREY = np.random.default_rng(0).integers(0, 256, (5, 1, 4, 6), dtype=np.uint8)
X = torch.from_numpy(GREY.astype(np.float32)) / 255


def test_it_is_the_model_that_it_holds() -> None:
    model = made(1, 4, 6)
    bare = model.model
    assert (model.shape, model.code_size, model.training) == ((1, 4, 6), 3, False)
    assert model.bottleneck is bare.bottleneck
    assert torch.equal(model.squared_jacobian(X), bare.squared_jacobian(X))
    assert model.state_dict().keys() == bare.state_dict().keys()
    other = made(1, 4, 6)
    other.load_state_dict({key: value + 1 for key, value in bare.state_dict().items()})
    torch.testing.assert_close(other.model.encoder[1].bias, bare.encoder[1].bias + 1)
    for twin in (copy.deepcopy(model.inputs), pickle.loads(pickle.dumps(model.inputs))):
        assert twin == model.inputs
    assert torch.equal(copy.deepcopy(model).encode(X), bare.encode(X))
    with pytest.raises(AttributeError, match="no attribute 'encoed'"):
        _ = model.encoed
    assert not model.train().eval().model.training


def test_arrays_of_any_kind_give_the_same_codes() -> None:
    model = made(1, 4, 6)
    expected = model.model.encode(X)
    x = X.numpy()
    same: list[Any] = [X, X.double(), X.half().float(), x, x.astype(np.float64), x.astype(">f4"), x.tolist(), GREY]
    same += [torch.from_numpy(GREY), x[:, 0], X[:, 0], x.reshape(5, 24), np.asfortranarray(x), list(x)]
    for given in same:
        torch.testing.assert_close(model.encode(given), expected, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(model(given).code, expected, rtol=1e-3, atol=1e-3)
    code = expected.detach()
    for given in (code, code.double(), code.numpy(), code.tolist()):
        torch.testing.assert_close(model.decode(given), model.model.decode(code))
    # whole numbers, as of a binary code, are no grey levels
    torch.testing.assert_close(model.decode(np.ones((2, 3), np.uint8)), model.model.decode(torch.ones(2, 3)))


def test_weights_of_another_precision() -> None:
    model = made(1, 4, 6).double()
    assert model.encode(X).dtype == torch.float64


@pytest.mark.parametrize(
    ("shape", "given", "message"),
    [
        ((3, 4, 6), np.zeros((5, 4, 6, 3)), r"\(5, 4, 6, 3\), the model takes \(N, 3, 4, 6\), or \(N, 72\): move the"),
        ((3, 4, 6), np.zeros((3, 4, 6)), r"\(3, 4, 6\), the model takes .*: a single sample needs .*, x\[None\]$"),
        ((1, 8, 8), np.zeros((5, 8, 8, 1)), r"\(5, 8, 8, 1\), .* or \(N, 8, 8\), or \(N, 64\): move the channels"),
        ((1, 8, 8), np.zeros((5, 4, 16, 1)), r"\(5, 4, 16, 1\), the model takes \(N, 1, 8, 8\), or \(N, 8, 8\), or"),
        ((1, 8, 8), np.zeros((5, 4, 16)), r"\(5, 4, 16\), the model takes"),
        ((1, 8, 8), np.zeros((5, 63)), r"\(5, 63\), the model takes"),
        ((1, 8, 8), np.zeros((8, 8)), r"\(8, 8\), the model takes .* single sample"),
        ((1, 8, 8), np.float32(3), r"\(\), the model takes"),
        ((64,), np.zeros((5, 8, 8)), r"\(5, 8, 8\), the model takes \(N, 64\): make rows of it"),
        ((1, 4, 6), GREY.astype(np.int64), "int64, allowed are uint8 and floats"),
        ((1, 4, 6), X > 0, "bool, allowed are uint8 and floats"),
        ((1, 4, 6), X + 0j, "complex64, allowed are uint8 and floats"),
        ((1, 4, 6), np.array([["a"] * 24]), "<U1, allowed are uint8 and floats"),
        ((1, 4, 6), None, "object, allowed are"),
        ((1, 4, 6), X.where(X > 0.5, torch.nan), "values that are not finite"),
        ((1, 4, 6), X.where(X > 0.5, torch.inf), "values that are not finite"),
        ((1, 4, 6), X * 255, "from 0 to 248, the model was trained on data from 0 to 1: say range=LOW,HIGH to have"),
    ],
)
def test_what_means_something_else_is_refused_in_a_line(shape: tuple[int, ...], given: Any, message: str) -> None:
    model = made(*shape)
    for use in (model.encode, model):
        with pytest.raises(HourglassError, match=f"^x holds .*{message}") as refused:
            use(given)
        assert "\n" not in str(refused.value)


def test_lists_of_different_lengths_are_no_array() -> None:
    with pytest.raises(HourglassError, match=r"^x must be an array, got rows of different lengths$"):
        made(3).encode([[1.0, 2.0, 3.0], [1.0]])


@pytest.mark.parametrize("code", [torch.zeros(2, 4), torch.zeros(3), np.zeros((2, 3, 1))])
def test_codes_of_another_shape(code: Any) -> None:
    with pytest.raises(HourglassError, match=r"^code holds an array of shape .*, the model's codes are \(N, 3\)$"):
        made(1, 4, 6).decode(code)


@pytest.mark.parametrize(("known", "low", "high"), [((-0.99, 0.98), -1, 1), ((0.02, 254.7), 0, 255)])
def test_grey_levels_come_in_the_range_of_the_training_data(
    known: tuple[float, float], low: float, high: float
) -> None:
    model = made(1, 4, 6, known=known)
    expected = model.model.encode(X * (high - low) + low)
    torch.testing.assert_close(model.encode(GREY), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.encode(X, range=(0, 1)), expected, rtol=1e-4, atol=1e-4)


def test_a_range_that_is_not_known_is_asked_about_and_one_that_is_given_scaled() -> None:
    model = made(1, 4, 6, known=(-0.4, 2.8))
    with pytest.raises(HourglassError, match=r"^x holds grey levels, .* floats from -0\.4 to 2\.8: say range=0,255"):
        model.encode(GREY)
    expected = model.model.encode(X * 3.2 - 0.4)
    for given in (GREY, X * 255):
        torch.testing.assert_close(model.encode(given, range=(0, 255)), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(model.encode(given, range="0,255"), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.encode(X * 255, range="any"), model.model.encode(X * 255))
    with pytest.raises(HourglassError, match=r"^x holds values from 0 to 248"):  # 0 to 255 is not what was said
        made(1, 4, 6).encode(X * 255, range=(0, 1))


def test_rows_in_their_own_units() -> None:
    scaling = Scaling(offset=torch.tensor([1.5, 60.0]).double(), scale=torch.tensor([0.5, 20.0]).double())
    model = made(2, scaling=scaling)
    rows = [[1.75, 70], [1.8, 80]]
    seen = torch.tensor([[0.5, 0.5], [0.6, 1.0]])
    torch.testing.assert_close(model.encode(rows), model.model.encode(seen))
    assert model(rows).reconstruction.dtype == torch.float64
    assert model.encode(np.array([[2, 70]], np.uint8)).shape == (1, 3)  # numbers, no grey levels
    with pytest.warns(UserWarning, match=r"^x holds column 0 with one of its values at 4 or above"):
        model.encode([[4.0, 70.0]])
    with pytest.raises(HourglassError, match=r"^x holds column 0 .* at 175 or above, .* from 1\.5 to 2: say range=any"):
        model.encode([[175.0, 70.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.encode([[175.0, 70.0]], range="any").isfinite().all()
    with pytest.raises(HourglassError, match="range takes any here"):
        model.encode(rows, range=(0, 1))


def test_gradients_and_transforms_go_through() -> None:
    model = made(1, 4, 6)
    x = X.clone().requires_grad_()
    model(x).reconstruction.sum().backward()
    assert x.grad is not None
    assert model.model.encoder[1].weight.grad is not None
    jacobian = torch.func.vmap(torch.func.jacrev(lambda sample: model.encode(sample[None])[0]))(X)
    torch.testing.assert_close(jacobian[0].flatten(1), model.model.encoder[1].weight)
    exported = torch.export.export(model, (X,)).module()
    torch.testing.assert_close(exported(X).code, model.encode(X))
