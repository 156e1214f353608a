"""Exported files answer as the model does, and need nothing of Hourglass."""

import json
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.configuration.groups import conf_dir
from hourglass.data.dataset import Scaling
from hourglass.models import Autoencoder, Solvable
from hourglass.system import extras
from hourglass.system.errors import HourglassError
from hourglass.trained import export as module
from hourglass.trained.export import export
from hourglass.trained.inputs import Inputs
from hourglass.trained.model import TrainedModel

FILES = ["decoder.onnx", "decoder.pt2", "encoder.onnx", "encoder.pt2", "export.json"]


def made(shape: tuple[int, ...], *words: str, **more: Any) -> TrainedModel:
    """An untrained model; one with a closed form is solved."""
    torch.manual_seed(0)
    node = compose_config(["data=digits", *words])[0].model
    model: Autoencoder = build(node, shape=shape)
    if isinstance(model, Solvable):
        model.solve(torch.rand(200, *shape))
    given = {"range": (0.0, 1.0), "scaling": None, "columns": None, **more}
    return TrainedModel(model=model.eval(), inputs=Inputs(shape=shape, code_size=model.code_size, **given))


def answers(folder: Path, side: str, x: Tensor) -> list[Tensor]:
    """Of both files of a side."""
    session = onnxruntime.InferenceSession(folder / f"{side}.onnx", providers=["CPUExecutionProvider"])
    (name,) = [each.name for each in session.get_inputs()]
    found = torch.export.load(folder / f"{side}.pt2").module()(x)
    return [found.detach(), torch.from_numpy(session.run(None, {name: x.numpy()})[0])]


@pytest.mark.long
def test_both_formats_answer_as_the_model_for_any_batch_in_the_range_that_is_said(tmp_path: Path) -> None:
    model, folder = made((1, 8, 8), "model=conv"), tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "encoder.onnx").write_text("what is there is replaced")
    assert [file.name for file in model.export(folder, range=(0, 255))] == FILES
    assert sorted(file.name for file in folder.iterdir()) == FILES
    x = torch.rand(5, 1, 8, 8)
    code = model.encode(x).detach()
    for count in (1, 5):
        for found in answers(folder, "encoder", 255 * x[:count]):
            torch.testing.assert_close(found, code[:count], atol=1e-5, rtol=0)
        for found in answers(folder, "decoder", code[:count]):
            torch.testing.assert_close(found, 255 * model.decode(code[:count]).detach(), atol=255e-5, rtol=0)
    said = json.loads((folder / "export.json").read_text())
    assert said["range"] == [0, 255]
    assert said["encoder"]["x"] == {"dtype": "float32", "shape": ["batch", 1, 8, 8]}
    assert said["decoder"]["x"] == said["encoder"]["x"]
    assert said["encoder"]["largest_difference"] <= 1e-5


def test_a_map_of_symbols_is_exported(tmp_path: Path) -> None:
    words = ("model=conv", "model.depth=2", "model.code_channels=4", "bottleneck=finite_scalar")
    model = made((1, 8, 8), *words)
    model.export(tmp_path)
    x = torch.rand(5, 1, 8, 8)
    code = model.encode(x).detach()
    assert all(found.shape == code.shape for found in answers(tmp_path, "encoder", x))
    for found in answers(tmp_path, "decoder", code):
        torch.testing.assert_close(found, model.decode(code).detach(), atol=1e-5, rtol=0)


def test_rows_of_a_table_go_in_and_come_out_in_its_own_units(tmp_path: Path) -> None:
    scaling = Scaling(
        offset=torch.tensor([1.7, 7e4, 2e9], dtype=torch.float64), scale=torch.tensor([0.1, 5e3, 86400.0]).double()
    )
    words = ("model.code_size=8", "model.output_activation=linear", "bottleneck=vector_quantized")
    model = made((3,), *words, range=(-2.0, 2.0), scaling=scaling, columns=("height", "weight", "time"))
    model.export(tmp_path)
    rows = scaling.undo(torch.randn(4, 3))
    code = model.encode(rows).detach()
    for found in answers(tmp_path, "encoder", rows):
        torch.testing.assert_close(found, code, atol=1e-5, rtol=0)
    for found in answers(tmp_path, "decoder", code):
        assert found.dtype == torch.float64
        torch.testing.assert_close(scaling.apply(found), scaling.apply(model.decode(code).detach()), atol=1e-5, rtol=0)
    assert json.loads((tmp_path / "export.json").read_text())["columns"] == ["height", "weight", "time"]
    with pytest.raises(HourglassError, match=r"^range is for images: of a table"):
        model.export(tmp_path, range=(0, 1))


def test_what_has_no_graph_is_refused_in_one_line_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :4] * (2.0 if x.sum().item() > 0 else 1.0)

    model = made((1, 8, 8), "model.code_size=4")
    model.model.encoder = Counts()
    with pytest.raises(HourglassError, match=r"^the encoder can't be exported: \S[^\n]*$"):
        model.export(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(HourglassError, match=r"file can't be written: "):
        model.export(tmp_path / "file")
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(HourglassError, match=r"^export needs onnxscript: pip install 'hourglass\[onnx\]'$"):
        model.export(tmp_path)


def test_a_file_that_answers_otherwise_is_no_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model draws: no two answers are the same."""
    monkeypatch.setattr(module, "_steady", lambda answer, _: torch.ones(len(answer), dtype=torch.bool))

    class Draws(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :4] + torch.rand_like(x.flatten(1)[:, :4])

    model = made((1, 8, 8), "model.code_size=4")
    model.model.encoder = Draws()
    with pytest.raises(HourglassError, match=r"^encoder\.pt2 answers otherwise than the model, by up to 0\.\d+$"):
        export(tmp_path, model=model.model, inputs=model.inputs)
    assert list(tmp_path.iterdir()) == []


TABLES = ("csv", "purchases", "wine", "breast_cancer", "synthetic_manifold", "one_hot")
RECIPES = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))
TYPES = [
    *(
        f"model={model} model.code_size={size} bottleneck={path.stem}"
        for model, size in (("vanilla", 16), ("conv", 16), ("dictionary", 48))
        for path in sorted((conf_dir() / "bottleneck").glob("*.yaml"))
    ),
    # But for nets of one's own, which have none of their own here.
    *(f"model={path.stem}" for path in sorted((conf_dir() / "model").glob("*.yaml")) if path.stem != "modules"),
]


@pytest.mark.slow
@pytest.mark.parametrize("words", [*TYPES, *(f"experiment={recipe}" for recipe in RECIPES)])
def test_every_type_and_every_recipe_can_be_exported(words: str, tmp_path: Path) -> None:
    """As it is built, on samples of its data's shape."""
    data = str(compose_config(words.split())[0].data._target_).rpartition(".")[2]
    shape = (3, 32, 32) if data == "cifar10" else (30,) if data in TABLES else (1, 28, 28)
    assert len(made(shape, *words.split()).export(tmp_path)) == len(FILES)
