"""The wheel, installed where nothing of the repository is: a stranger's first hour with it."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

NOISE = '''
import torch
from torch import Tensor

from hourglass.noise.process import Process


class Flip(Process):
    """Mirrors every sample."""

    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        return torch.flip(x, dims=(-1,))
'''
PYTHON = """
import hourglass, numpy as np
x = np.random.default_rng(0).random((60, 8), dtype=np.float32)
fitted = hourglass.fit(x, code_size=2, epochs=1, callback="quick")
assert fitted.encode(np.zeros((2, 8), dtype=np.float32)).shape == (2, 2)
assert hourglass.load("./given").sample(2, seed=0).shape == (2, 1, 8, 8)
import sys; assert hourglass.__file__.startswith(sys.prefix), hourglass.__file__
"""
COMMANDS = """
train data=digits bottleneck=gaussian training.epochs=1 callback=quick name=mine
train -m data=digits training.epochs=1 callback=quick model.code_size=2,3 study=sizes
list noise
evaluate mine noise=gaussian
train data=digits noise=flip training.epochs=1 callback=quick name=flipped
export mine to=exported
sample mine 3 new.npy
push mine given
pull ./given name=theirs
evaluate theirs
""".strip().splitlines()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that has Hourglass from its wheel alone; what it depends on comes from the tests' own."""
    place = tmp_path_factory.mktemp("stranger")
    venv.create(place / "env", with_pip=True)
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]  # with hatchling, fetched
    subprocess.run([*wheel, str(place / "dist"), str(ROOT)], check=True)
    (built,) = (place / "dist").glob("hourglass-*.whl")
    python = place / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", built], check=True)
    # Of these only the packages: a .pth below it, as that of an editable install of the repository, isn't followed.
    packages = Path(str(pytest.__file__)).parents[1]
    found = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], check=True, capture_output=True
    )
    (Path(found.stdout.decode().strip()) / "dependencies.pth").write_text(f"{packages}\n")
    return place


@pytest.mark.slow
def test_the_wheel_alone_does_it_all(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "conf" / "noise").mkdir(parents=True)
    (tmp_path / "conf" / "noise" / "flip.yaml").write_text("# Mirrored\nflip:\n  _target_: mine.Flip\n")
    (tmp_path / "mine.py").write_text(NOISE)
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MLFLOW_TRACKING_URI")}
    own = {**clean, "HOURGLASS_CACHE": str(tmp_path / "cache")}

    def ran(*words: object) -> str:
        done = subprocess.run(list(map(str, words)), cwd=tmp_path, env=own, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    program = environment / "env" / "bin" / "hourglass"
    for command in COMMANDS:
        ran(program, *command.split())
    assert "flip" in ran(program, "list", "noise")
    ran(environment / "env" / "bin" / "python", "-c", PYTHON)
