"""A person's own choices in `conf/` or `HOURGLASS_CONF`, and their code in the current folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hourglass.commands.completion import candidates
from hourglass.commands.main import COMMANDS, main
from hourglass.configuration.composition import check_top, compose_config
from hourglass.configuration.groups import choices, conf_dir, own_dirs, top_keys
from hourglass.configuration.overrides import unknown_key
from hourglass.configuration.schema import located
from hourglass.configuration.trust import allowed
from hourglass.system.errors import HourglassError

EXPOSURE = """
import torch
from torch import Tensor

from hourglass.noise.process import Process


class Exposure(Process):
    sigma: Tensor

    def __init__(self, *, sigma: float) -> None:
        super().__init__()
        self.register_buffer("sigma", torch.tensor(sigma), persistent=False)

    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        e = torch.randn(len(x), *[1] * (x.ndim - 1)).to(x)
        return (x * (1 + self.sigma * e)).clamp(bounds[0], bounds[1])
"""


def write(folder: Path, group: str, name: str, text: str = "# Mine\nmine:\n  _target_: mine.Mine\n") -> Path:
    (folder / group).mkdir(parents=True, exist_ok=True)
    (folder / group / f"{name}.yaml").write_text(text)
    return folder / group / f"{name}.yaml"


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOURGLASS_CONF", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in {"exposure", "mine"} & sys.modules.keys():
        monkeypatch.delitem(sys.modules, name)


def test_the_folder_beside_the_runs_is_one_more_place_for_choices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = choices()
    write(
        tmp_path / "conf", "noise", "exposure", "# Exposure\nexposure:\n  _target_: exposure.Exposure\n  sigma: 0.3\n"
    )
    write(tmp_path / "conf", "experiment", "dark", "# @package _global_\n# Dark\nseed: 7\n")
    write(tmp_path / "conf", "team", "colours", "# @package _global_\nname: blue\n")  # a group of their own
    assert own_dirs() == (tmp_path / "conf",)
    found = choices()
    assert found["noise"] == {**ours["noise"], "exposure": "Exposure"}
    assert found["experiment"].keys() - ours["experiment"].keys() == {"dark"}

    config, chosen = compose_config(["noise=[exposure,masking]", "experiment=dark", "+team=colours"])
    assert (config.noise.exposure.sigma, config.seed, config.name) == (0.3, 7, "blue")
    assert chosen["noise"] == "exposure,masking"
    check_top(config)
    assert "team" not in top_keys()  # a group of theirs need not be chosen

    assert main(["list", "noise"]) == 0
    assert "  exposure               Exposure  (yours: conf/noise/exposure.yaml)" in capsys.readouterr().out
    with pytest.raises(HourglassError, match="noise=exposur: no such choice; nearest: exposure"):
        compose_config(["noise=exposur"])
    assert unknown_key("noise.exposure.sigma").endswith("noise=exposure has it")
    assert "nearest: noise.exposure.sigma" in unknown_key("noise.exposure.sigm")
    assert candidates("hourglass train noise=expo", commands=list(COMMANDS)) == ["noise=exposure "]
    assert "noise.exposure.sigma=" in candidates("hourglass train noise=exposure noise.exposure.s", commands=())
    assert candidates("hourglass evaluate RUN noise=expo", commands=()) == ["noise=exposure "]

    assert not any("exposure" in target for targets in allowed().values() for target in targets)


def test_the_variable_names_other_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "conf", "noise", "beside")
    write(tmp_path / "one", "noise", "first")
    write(tmp_path / "two", "model", "second", "_target_: mine.Mine\n")

    def named(value: str) -> set[str]:
        monkeypatch.setenv("HOURGLASS_CONF", value)
        return {name for names in choices().values() for name in names} & {"beside", "first", "second"}

    assert named(f"one{os.pathsep}{tmp_path}/two") == {"first", "second"}
    assert compose_config(["noise=first", "model=second"])[1]["model"] == "second"
    assert named("") == set()
    assert own_dirs() == ()
    assert named(str(conf_dir())) == set()
    for value, problem in {
        "nowhere": "HOURGLASS_CONF must name folders, and there is no ",
        str(tmp_path): "has no folder of a group with a yaml file in it, as noise/NAME.yaml; groups: bottleneck, ",
    }.items():
        monkeypatch.setenv("HOURGLASS_CONF", value)
        with pytest.raises(HourglassError, match=problem):
            choices()


def test_folders_that_are_not_meant_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "conf", "server", "mine")
    write(tmp_path / "conf", "noise/deeper", "mine")
    (tmp_path / "conf" / "config.yaml").write_text("seed: 99\n")
    assert own_dirs() == ()
    assert compose_config([])[0].seed == 0
    write(tmp_path / "conf", "noise", "mine")
    assert compose_config(["noise=mine"])[0].seed == 0  # ours is the top of every configuration
    monkeypatch.chdir(conf_dir().parent)
    assert own_dirs() == ()
    shutil.copytree(conf_dir(), tmp_path / "copy" / "conf")  # as a clone beside an installed version
    monkeypatch.chdir(tmp_path / "copy")
    assert own_dirs() == ()


def test_no_choice_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = write(tmp_path / "conf", "noise", "masking")
    line = f"{theirs}: Hourglass has noise=masking already: give yours another name (HOURGLASS_CONF=, empty, leaves"
    for words in (["list"], ["train", "noise=none"], ["train", "--cfg", "job"]):
        assert main(words) == 2
        assert capsys.readouterr().err == f"hourglass: {line} the folder alone)\n"
    monkeypatch.setenv("HOURGLASS_CONF", "")
    compose_config(["noise=masking"])

    first, second = write(tmp_path / "one", "noise", "mine"), write(tmp_path / "two", "noise", "mine")
    monkeypatch.setenv("HOURGLASS_CONF", f"one{os.pathsep}two")
    with pytest.raises(HourglassError) as caught:
        choices()
    assert str(caught.value).startswith(f"{second}: {first} is noise=mine already")

    # Launchers and sweepers stand in no folder of ours.
    write(tmp_path / "three", "noise", "mine")
    theirs = write(tmp_path / "three", "hydra/launcher", "hourglass", "_target_: mine.Mine\n")
    monkeypatch.setenv("HOURGLASS_CONF", "three")
    with pytest.raises(HourglassError) as caught:
        compose_config([])
    assert str(caught.value).startswith(f"{theirs}: there is hydra/launcher=hourglass already")


def test_a_broken_file_breaks_nothing_until_it_is_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "conf", "noise", "broken", "# Broken\nbroken: [\n")
    assert "no such key" in unknown_key("model.cod_size")
    compose_config(["noise=masking"])
    with pytest.raises(HourglassError, match=r"broken\.yaml"):
        compose_config(["noise=broken"])
    assert main(["train", "noise=broken", "--cfg", "job"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "broken.yaml" in error


def test_code_in_the_current_folder_comes_last_and_only_when_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = str(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each not in ("", here)])
    (tmp_path / "mine.py").write_text("import beside\n\n\nclass Mine:\n    made = beside.made\n")
    (tmp_path / "beside.py").write_text("made = 1\n")
    (tmp_path / "colorsys.py").write_text("raise SystemExit('this file is no module of Python')\n")
    (tmp_path / "not_there.py.txt").write_text("")

    assert located("colorsys.rgb_to_hsv", "part").__module__ == "colorsys"  # Python's own
    with pytest.raises(HourglassError, match="there is no module not_there, neither installed, nor in this folder"):
        located("not_there.Thing", "part")
    assert here not in sys.path
    assert located("mine.Mine", "part").made == 1  # type: ignore[attr-defined]
    assert sys.path[-1] == here
    located("mine.Mine", "part")
    assert sys.path.count(here) == 1


@pytest.mark.long
def test_the_installed_command_in_a_folder_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        tmp_path / "conf", "noise", "exposure", "# Exposure\nexposure:\n  _target_: exposure.Exposure\n  sigma: 0.3\n"
    )
    (tmp_path / "exposure.py").write_text(EXPOSURE)
    script = shutil.which("hourglass", path=str(Path(sys.executable).parent))
    assert script is not None
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "HOURGLASS_TRUST")}
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{tmp_path}/mlflow.db"

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [script, *words], cwd=tmp_path, env={**environment, **more}, capture_output=True, text=True, check=False
        )

    small = ("data=digits", "data.train_size=100", "training.epochs=1", "callback=quick", "trainer.accelerator=cpu")
    assert "yours: conf/noise/exposure.yaml" in run("list", "noise").stdout
    for word, problem in {
        "noise=exposur": "noise=exposur: no such choice; nearest: exposure; allowed: ",
        "noise.exposure.sigma=1": "noise.exposure.sigma: no such key with what is chosen here; noise=exposure has it",
        "noise=exposure noise.exposure.sigma=much": "noise.exposure.sigma must be a number, got 'much'",
    }.items():
        assert main(["train", *small, *word.split()]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"hourglass: {problem}")
        assert error.count("\n") == 1
    assert not (tmp_path / "mlflow.db").exists()

    for words in (
        ("noise=exposure", "name=mine", "hydra.job.chdir=true"),
        ("-m", "noise=exposure", "noise.exposure.sigma=0.1,0.3", "sweep.max_stack=2", "sweep.workers=1"),
    ):
        done = run("train", *small, *words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 jobs done" in done.stdout + done.stderr
    assert "trained in one stack with others" in "".join(log.read_text() for log in tmp_path.rglob("train.log"))

    refused = run("evaluate", "mine")  # a record is trusted by HOURGLASS_TRUST alone
    assert refused.returncode == 2
    assert "exposure.Exposure'" in refused.stderr
    assert run("evaluate", "mine", "noise=exposure", HOURGLASS_TRUST="exposure").returncode == 0
