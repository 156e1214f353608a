"""Runs handed to others: pushed to a folder, loaded from it without the store, pulled into another."""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import hourglass
from hourglass.commands.card import _head
from hourglass.commands.main import main
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.train import train
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run, resolve_uri
from hourglass.trained.load import Trained


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run `table` lies, of rows far from [0, 1], with a density of its codes."""
    home = tmp_path_factory.mktemp("home")
    height = np.random.default_rng(0).uniform(1.5, 2, 120)
    np.savetxt(home / "people.csv", np.stack([height, 40_000 * height], 1), delimiter=",", header="m,g", comments="")
    words = [
        "data=csv",
        f"data.path={home}/people.csv",
        f"tracking.uri=sqlite:///{home}/mlflow.db",
        "model.code_size=2",
        "sampler=gaussian",
        "training.epochs=1",
        "callback=quick",
        "name=table",
    ]
    config, choices = compose_config(words)
    run = train(config, choices=choices, folder=home).run
    run.log_image(np.zeros((8, 8), dtype=np.uint8), "final/reconstructions", 0)
    return home


@pytest.fixture
def there(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(home)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return home


@pytest.fixture
def folder(there: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The run in a folder, seen from another place, which has no store."""
    assert main(["push", "table", str(tmp_path / "given" / "people")]) == 0
    assert there != tmp_path
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    yield tmp_path / "given" / "people"
    shutil.rmtree(tmp_path / "given")


def test_a_folder_is_loaded_as_the_run_it_was_and_makes_no_store(
    home: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {file.name for file in folder.iterdir()}
    assert files == {
        "README.md",
        "config.yaml",
        "reconstructions.png",
        "run.json",
        "sampler.safetensors",
        "weights.safetensors",
    }
    original = hourglass.load("table", uri=f"sqlite:///{home}/mlflow.db")
    for reference in (str(folder), "../given/people"):
        model = hourglass.load(reference)
        rows = torch.tensor([[1.7, 68_000.0]], dtype=torch.float64)
        torch.testing.assert_close(model.encode(rows), original.encode(rows))
        torch.testing.assert_close(model.sample(3, seed=1), original.sample(3, seed=1))
    capsys.readouterr()
    assert main(["sample", str(folder), "4", "new.csv", "seed=1"]) == 0
    assert capsys.readouterr().out == "new.csv: float64 (4, 2)\n"
    lines = Path("new.csv").read_text().splitlines()
    assert (lines[0], len(lines)) == ("m,g", 5)
    np.savez("rows.npz", x=rows.numpy(), y=np.zeros(1))
    assert main(["encode", str(folder), "rows.npz", "codes.npy"]) == 0
    assert np.load("codes.npy") == pytest.approx(model.encode(rows).detach().numpy(), abs=1e-6)
    assert not Path("mlflow.db").exists()


def test_what_names_the_machine_stays_there(home: Path, folder: Path) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert (config["data"]["path"], config["tracking"]["uri"]) == ("people.csv", None)
    for file in folder.iterdir():
        assert str(home).encode() not in file.read_bytes()
    assert (
        not {"machine.pid", "machine.host", "mlflow.user"}
        & json.loads((folder / "run.json").read_text())["tags"].keys()
    )


def test_the_card_says_what_the_run_says(folder: Path) -> None:
    from huggingface_hub import ModelCard

    held = ModelCard.load(folder / "README.md")
    assert held.data.library_name == "hourglass"
    assert "autoencoder" in held.data.tags
    assert held.data.license is None
    assert {each.metric_type for each in held.data.eval_results} >= {"mse", "explained_variance"}
    metrics = json.loads((folder / "run.json").read_text())["metrics"]
    assert f"| mean squared error | {metrics['test/mse']:.5f} |" in held.text
    command = "hourglass train data=csv sampler=gaussian 'data.path=\"people.csv\"' model.code_size=2 training.epochs=1"
    assert command in held.text.splitlines()
    assert 'hourglass.load("./people")' in held.text
    assert "rows (N, 2) in the table's own units: m, g" in held.text
    assert "![" in held.text


def test_the_card_says_the_window_of_an_ssim() -> None:
    trained: Any = SimpleNamespace(model=SimpleNamespace(shape=(1, 28, 28)), run=SimpleNamespace(name="one"))
    (entry,) = _head(trained, {}, {"test/ssim": 0.9, "test/mse": math.inf}, "mnist", None)["model-index"]
    assert entry["results"][0]["metrics"] == [
        {"type": "ssim", "value": 0.9, "name": "test/ssim, 11 x 11 Gaussian window"}
    ]


def test_pushed_again_without_a_picture_and_with_a_licence(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", "table", "again"]) == 0
    assert "no licence is stated" in capsys.readouterr().out
    assert main(["push", "table", "again", "license=mit", "picture=false"]) == 0
    assert "no licence is stated" not in capsys.readouterr().out
    assert not (there / "again" / "reconstructions.png").exists()
    card = (there / "again" / "README.md").read_text()
    assert "license: mit" in card
    assert "![" not in card


def test_pulled_it_is_a_run_like_any_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", str(folder), "name=theirs"]) == 0
    assert capsys.readouterr().out.split()[:2] == ["run", "theirs"]
    run, given = Run.find("theirs", None), Trained.of(str(folder), uri=None).run
    assert (run.status, run.tags["pulled_from"], run.tags["data"]) == ("FINISHED", str(folder), "csv")
    assert "machine.config_hash" not in run.tags  # a sweep would count it as done
    assert (run.metrics, run.data_set) == (given.metrics, given.data_set)
    assert run.params["model.code_size"] == "2"
    assert run.pictures()["final/reconstructions"].size == (8, 8)
    torch.testing.assert_close(
        hourglass.load("theirs").sample(2, seed=0), hourglass.load(str(folder)).sample(2, seed=0)
    )
    assert main(["pull", str(folder), "name=theirs"]) == 2
    assert "a run called 'theirs' is there already" in capsys.readouterr().err


@pytest.mark.usefixtures("there")
def test_a_run_comes_before_a_folder_of_its_name() -> None:
    assert main(["push", "table", "table"]) == 0
    assert Trained.of("table", uri=None).run.uri == resolve_uri(None)
    assert Trained.of("./table", uri=None).run.uri == "table"


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("run.json", "{", "is no folder that hourglass push wrote: its run.json can't be read"),
        ("run.json", None, "is no folder that hourglass push wrote: there is no"),
        ("run.json", {"metrics": {"test/mse": "1"}}, "metrics and sizes must be numbers"),
        ("run.json", {"id": "../.."}, "id must be letters and digits"),
        ("config.yaml", "model: {_target_: os.system}", "is refused"),
        ("config.yaml", None, "holds no 'config.yaml', it holds README.md, "),
        ("weights.safetensors", "pickle", "holds a damaged weights.safetensors"),
    ],
)
def test_what_somebody_else_wrote_there_is_refused_in_one_line(
    folder: Path, file: str, content: str | dict[str, object] | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if isinstance(content, dict):
        content = json.dumps({**json.loads((folder / file).read_text()), **content})
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(HourglassError) as caught:
        hourglass.load(str(folder))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert main(["pull", str(folder)]) == 2
    assert said in capsys.readouterr().err
    assert not Path("mlflow.db").exists()


def test_a_picture_that_is_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    (folder / "reconstructions.png").unlink()
    (folder / "reconstructions.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(HourglassError, match=r"holds no 'reconstructions\.png'"):
        Trained.of(str(folder), uri=None).run.pictures()


MISTAKES = {
    "sample table x new.npy": "sample: N must be a whole number, got x",
    "sample table 0 new.npy": "count must be a whole number of at least 1, got 0",
    "sample table 3 new.npy seed=-1": "sample: seed must be a whole number, got -1",
    "sample table 3 new.npy sead=1": "sample takes seed=..., class=..., got sead=1; nearest: seed",
    "sample table 3": "sample: the following arguments are required: OUT.npy",
    "export table --to=there": "a key has no dashes: to=...; see hourglass export --help",
    "export table range=0,1": "range is for images: of a table",
    "export table to=": "export: to must have one value, got none",
    "push table hf:nobody": "'hf:nobody' must be hf:USER/REPO, or hf:USER/REPO@REVISION",
    "push table there private=false": "push: private is for hf:USER/REPO, there is a folder",
    "push table there picture=no": "push: picture must be one of true, false, got no",
    "push nothing there": "run 'nothing' is not in sqlite:///",
    "pull nothing": "nothing is no folder that hourglass push wrote: there is no nothing/run.json",
    "register table a/b": "NAME must be a name without / : . % and quotes, got 'a/b'",
    "register table name gives=x": "register: gives must be one of reconstruction, code, got x",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_line(there: Path, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = set(there.iterdir())
    assert main(words.split()) == 2
    printed = capsys.readouterr()
    assert MISTAKES[words] in printed.err
    assert (printed.err.count("\n"), printed.out) == (1, "")
    assert set(there.iterdir()) == before
