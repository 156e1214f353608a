"""Any two torch modules are an autoencoder: what their shapes make of the code, and what doesn't fit is said."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import hourglass
from hourglass.bottlenecks import Deterministic, Gaussian
from hourglass.commands.main import main
from hourglass.models import Modules
from hourglass.models.autoencoder import exact_squared_jacobian
from hourglass.system.errors import HourglassError

LINEAR = partial(Deterministic, activation="linear")
GAUSSIAN = partial(Gaussian, beta=1.0, warmup_steps=0)
X = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
NET = """
from torch import nn


class Encoder(nn.Module):
    def __init__(self, *, width: int = 8, code: int = 6):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(), nn.Linear(width * 16, code)
        )

    def forward(self, x):
        return self.net(x)


class Decoder(nn.Module):
    def __init__(self, *, code: int = 6):
        super().__init__()
        self.net = nn.Linear(code, 64)

    def forward(self, code):
        return self.net(code)
"""


def made(encoder: Any, decoder: Any, bottleneck: Any = LINEAR, *, code_size: int | None = None) -> Modules:
    return Modules(
        shape=(1, 8, 8),
        encoder=encoder,
        decoder=decoder,
        code_size=code_size,
        output_activation="linear",
        bottleneck=bottleneck,
    )


def dense(code: int, values: int | None = None) -> tuple[nn.Module, nn.Module]:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, values or code)), nn.Linear(code, 64)


@pytest.mark.parametrize(("bottleneck", "values", "size"), [(LINEAR, 6, 6), (GAUSSIAN, 6, 3), (LINEAR, 1, 1)])
def test_the_code_has_as_many_units_as_the_encoder_fills(bottleneck: Any, values: int, size: int) -> None:
    encoder, decoder = dense(size, values)
    model = made(encoder, decoder, bottleneck).eval()
    assert model.code_size == size
    output = model(X)
    assert output.code.shape == (5, size)
    assert output.reconstruction.shape == X.shape
    assert torch.equal(output.reconstruction, decoder(output.code).view_as(X))
    if bottleneck is LINEAR:
        assert torch.equal(output.code, encoder(X))


def test_maps_go_on_as_maps() -> None:
    encoder = nn.Conv2d(1, 4, 3, 2, 1)  # 4 x 4 x 4
    linear = made(encoder, nn.ConvTranspose2d(4, 1, 2, 2))
    assert linear.code_size == 64
    assert torch.equal(linear(X).reconstruction, nn.Sequential(encoder, linear.decoder[1])(X))
    assert made(encoder, nn.ConvTranspose2d(2, 1, 2, 2), GAUSSIAN).code_size == 32  # half are variances


def test_modules_are_taken_with_their_weights_and_statistics_and_draw_nothing() -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(), nn.Linear(64, 3))
    decoder = nn.Linear(3, 64)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    torch.manual_seed(1)
    first = torch.rand(1)
    torch.manual_seed(1)
    model = made(encoder, decoder)
    assert torch.equal(torch.rand(1), first)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
    assert {id(each) for each in encoder.parameters()} <= {id(each) for each in model.parameters()}


def test_lazy_layers_learn_their_sizes() -> None:
    model = made(nn.Sequential(nn.Flatten(), nn.LazyLinear(5)), nn.LazyLinear(64))
    assert model.code_size == 5
    assert sum(each.numel() for each in model.parameters()) == 64 * 5 + 5 + 5 * 64 + 64


def test_jacobian_is_that_of_a_linear_encoder() -> None:
    encoder, decoder = dense(3)
    found = made(encoder, decoder).squared_jacobian(X)
    assert torch.allclose(found, encoder[1].weight.square().sum().expand(5))  # type: ignore[index, union-attr, operator]
    assert torch.allclose(found, exact_squared_jacobian(encoder, X))


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"encoder": dense(3)[0], "decoder": dense(4)[1]}, "decoder must take 3 values of each sample: mat1"),
        ({"encoder": nn.Linear(5, 3), "decoder": dense(3)[1]}, "encoder must take 1 x 8 x 8 values"),
        (
            {"encoder": dense(3)[0], "decoder": nn.Linear(3, 63)},
            "decoder must give 1 x 8 x 8 values for a sample, got 63",
        ),
        ({"encoder": Pair(), "decoder": nn.Identity()}, r"encoder must give .*floats .* got tuple"),
        (
            {"encoder": dense(3)[0], "decoder": dense(3)[1], "code_size": 4},
            "code_size must be null or what the encoder",
        ),
        ({"encoder": dense(3)[0], "decoder": dense(3)[1], "bottleneck": GAUSSIAN}, "one value, or two, .* got 3"),
        ({"encoder": 3, "decoder": dense(3)[1]}, "encoder must be a torch.nn.Module, got int"),
        ({"encoder": None, "decoder": None}, "encoder was given in Python as an object"),
    ],
)
def test_what_does_not_fit_is_said(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        made(**arguments)


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module `ownnet` in the current folder, as a person has it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("ownnet.py").write_text(NET, encoding="utf-8")
    import ownnet  # type: ignore[import-not-found]

    yield ownnet

    del sys.modules["ownnet"]


def test_from_python_as_objects_and_as_classes(net: Any) -> None:
    x = np.random.default_rng(0).random((60, 8, 8)).astype(np.float32)
    common: dict[str, Any] = {"epochs": 1, "callback": "quick", "overrides": {"training.batch_size": 16}}
    encoder, decoder = net.Encoder(), net.Decoder()
    weights = {key: value.clone() for key, value in encoder.state_dict().items()}
    fitted = hourglass.fit(x, encoder=encoder, decoder=decoder, noise="masking", **common)
    assert fitted.encode(x[:3]).shape == (3, 6)
    assert fitted.evaluate(noise="none")["test/mse"] > 0
    assert all(torch.equal(value, weights[key]) for key, value in encoder.state_dict().items())  # a copy is trained
    recorded = fitted.config.model.encoder
    assert (recorded._target_, recorded.name) == ("hourglass.models.modules.given", "ownnet.Encoder")
    assert fitted.run is not None
    with pytest.raises(ValueError, match=r"model.encoder was given in Python as an object, which no record can build"):
        hourglass.load(fitted.run.id)

    fitted = hourglass.fit(
        x, encoder=partial(net.Encoder, width=4), decoder=partial(net.Decoder, code=3), bottleneck="gaussian", **common
    )
    assert fitted.run is not None
    loaded = hourglass.load(fitted.run.id, trust=("ownnet",))
    assert loaded.code_size == 3
    assert torch.equal(loaded.encode(x[:3]), fitted.encode(x[:3]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"encoder": nn.Identity()}, "decoder must be given too"),
        ({"encoder": nn.Identity(), "decoder": nn.Identity(), "model": "conv"}, "model must be left out"),
        ({"encoder": nn.Identity(), "decoder": 3}, "decoder must be a torch.nn.Module, or a class"),
        ({"encoder": partial(nn.Linear, 3), "decoder": nn.Identity()}, "encoder must be .* arguments by name"),
    ],
)
def test_from_python_a_mistake_is_one_line(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(HourglassError, match=said):
        hourglass.fit(np.zeros((20, 4), np.float32), tracking=None, **arguments)


@pytest.mark.usefixtures("net")
def test_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "data=digits", "model=modules", "training.epochs=1", "data.train_size=100", "callback=quick"]
    both = ["model.encoder._target_=ownnet.Encoder", "model.decoder._target_=ownnet.Decoder"]
    assert main([*words, *both, "+model.encoder.width=4"]) == 0
    assert "modules digits: 886 parameters, code of 6 for 64 inputs" in capsys.readouterr().out
    for mistake, said in {
        both[0]: "model.decoder._target_ must be given",
        f"{both[0]} {both[1]} +model.encoder.wdth=3": "ownnet.Encoder takes no such key; nearest: width",
        f"{both[0]} {both[1]} model.code_size=9": "model.code_size must be null or what the encoder gives, 6 values",
    }.items():
        assert main([*words, *mistake.split()]) == 2
        assert said in capsys.readouterr().err


def test_a_class_of_the_script_itself_is_trained_and_not_recorded_as_one(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, hourglass\n"
        f"{NET}\n"
        "fitted = hourglass.fit(np.random.rand(40, 8, 8).astype('f'), encoder=Encoder, decoder=Decoder(), epochs=1,"
        " tracking=None, callback='quick')\n"
        "print(fitted.config.model.encoder._target_, tuple(fitted.encode(np.zeros((2, 8, 8), 'f')).shape))\n",
        encoding="utf-8",
    )
    ended = subprocess.run([sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True)
    assert ended.stdout == "hourglass.models.modules.given (2, 6)\n", ended.stderr
