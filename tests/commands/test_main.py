"""The commands: what they print, and what they do not import."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hourglass.commands.main import COMMANDS, main
from hourglass.configuration.groups import choices, conf_dir
from hourglass.system.errors import nearest

SLOW_IMPORTS = ("torch", "pytorch_lightning", "mlflow", "matplotlib", "sklearn", "hydra")


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["list"], ["list", "noise"]])
def test_help_and_list_import_nothing_slow(words: list[str]) -> None:
    code = (
        "import sys; from hourglass.commands.main import main; code = main(sys.argv[1:]);"
        f"found = [name for name in {SLOW_IMPORTS} if name in sys.modules]; sys.exit(code or ' '.join(found) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_help_of_train_is_what_hydra_prints_for_it() -> None:
    ours, hydras = (
        subprocess.run([sys.executable, "-m", "hourglass", "train", *words], capture_output=True, text=True)
        for words in (["-h"], ["--help", "seed=1"])
    )
    assert ours.returncode == hydras.returncode == 0
    assert ours.stdout == hydras.stdout != ""


def test_the_program_ends_at_once_and_loses_nothing() -> None:
    """Its exit code, what is printed last, threads, and what others have registered for the end."""
    code = (
        "import sys, atexit, threading, time\n"
        "from hourglass.commands import main\n"
        "def work(words):\n"
        "    def late():\n"
        "        time.sleep(.2); print('thread', flush=False)\n"
        "    threading.Thread(target=late).start()\n"
        "    atexit.register(print, 'registered')\n"
        "    print('words', *words)\n"
        "    sys.modules['taken apart'] = Slow()\n"
        "    return 3\n"
        "class Slow:\n"
        "    def __del__(self): print('taken apart')\n"
        "main.COMMANDS['work'] = work\n"
        "main.command()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, "work", "a"], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "words a\nthread\nregistered\n", "")
    failing = code.replace("return 3", "raise RuntimeError('told')")
    ended = subprocess.run([sys.executable, "-c", failing, "work"], capture_output=True, text=True)
    assert ended.returncode == 1
    assert "RuntimeError: told" in ended.stderr


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(re.search(rf"^  {command} ", printed, re.MULTILINE) for command in COMMANDS)


def test_list_shows_every_yaml_with_its_own_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    for group, names in choices().items():
        assert f"\n{group}\n" in f"\n{printed}"
        for name, description in names.items():
            assert description, f"conf/{group}/{name}.yaml has no description in its first line"
            assert re.search(rf"^  {name} +{re.escape(description)}$", printed, re.MULTILINE)
            assert description in (conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8")


def test_list_of_one_group_and_of_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "loss"]) == 0
    assert set(re.findall(r"^  (\w+)", capsys.readouterr().out, re.MULTILINE)) == {
        "auto",
        "bce",
        "log_cosh",
        "mae",
        "ms_ssim",
        "mse",
        "random_features",
        "student_t",
    }
    assert main(["list", "los"]) == 2
    assert "nearest: loss" in capsys.readouterr().err


def test_nearest_names() -> None:
    assert nearest("vanila", ["vanilla", "conv"]) == "; nearest: vanilla"
    assert nearest("xyz", ["vanilla", "conv"]) == ""


def test_a_reader_that_closes_early_is_no_error() -> None:
    result = subprocess.run(
        f"{sys.executable} -m hourglass list | head -1", shell=True, capture_output=True, text=True, check=False
    )
    assert result.stdout == f"{next(iter(choices()))}\n"
    assert "Traceback" not in result.stderr


def test_every_group_of_the_defaults_list_has_a_folder() -> None:
    defaults = yaml.safe_load((conf_dir() / "config.yaml").read_text(encoding="utf-8"))["defaults"]
    groups = {key for entry in defaults if isinstance(entry, dict) for key in entry if not key.startswith("override")}
    assert groups == set(choices()) - {"flow", "prior"}  # which a variational code asks for
    assert Path(conf_dir() / "config.yaml").is_file()
