"""Pictures in files, taken by a run that was trained on a folder of them, as its own were."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import hourglass
from hourglass.commands.main import main
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.train import train
from hourglass.system.errors import HourglassError


def test_a_folder_goes_in_as_the_run_s_own_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (30, 9, 14, 3), dtype=np.uint8)):
        folder = Path("mine", ("cat", "dog")[number % 2])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    words = ["data=image_folder", "data.path=mine", "data.size=[6,12]", "data.fit=pad", "data.colour=false"]
    words += ["training=finetune", "training.epochs=1", "model.code_size=3", "callback=[quick,pictures]", "name=pets"]
    config, choices = compose_config(words)
    result = train(config, choices=choices, folder=tmp_path)
    data = result.parts.data
    assert data.shape == (1, 6, 12)

    model = hourglass.load("pets")
    assert hourglass.load_classifier("pets").classes == ("cat", "dog")
    codes = model.encode("mine")
    assert codes.shape == (30, 3)
    assert model.encode(Path("mine/cat/00.png")).allclose(codes[:1], atol=1e-6)
    # The order of the data is a permutation of that of the names.
    own = data.scaled(data.test.x)
    assert all(any(model.model.encode(x[None]).allclose(code, atol=1e-6) for code in codes) for x in own)
    assert main(["encode", "pets", "mine", "codes.npy"]) == 0
    assert np.load("codes.npy") == pytest.approx(codes.detach().numpy(), abs=1e-6)
    assert main(["reconstruct", "pets", "mine/dog", "again.npy"]) == 0
    assert np.load("again.npy").shape == (15, 1, 6, 12)
    with pytest.raises(HourglassError, match="nowhere can't be read"):
        model.encode("nowhere")
    Path("notes.txt").touch()
    with pytest.raises(HourglassError, match=r"notes.txt must be a picture \(.bmp, .*\) or a folder of them"):
        model.encode("notes.txt")

    others = Path("others, and more")
    shutil.copytree("mine/cat", others / "cat")
    shutil.copytree("mine/dog", others / "dog")
    capsys.readouterr()
    assert main(["evaluate", "pets", str(others)]) == 0
    assert "mean squared error" in capsys.readouterr().out
