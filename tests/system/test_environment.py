"""Variables of the environment."""

import os
import subprocess
import sys

import pytest

from hourglass.system.environment import restored


def test_what_is_changed_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THERE", "before")
    with restored("THERE", "GONE"):
        os.environ.update(THERE="within", GONE="within")
    assert os.environ["THERE"] == "before"
    assert "GONE" not in os.environ


def test_a_command_leaves_none_of_its_own() -> None:
    script = "import os; from hourglass.commands.main import main; print(main(['train', 'model=no_such']), *os.environ)"
    environment = {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True)
    code, *names = done.stdout.split()
    assert code == "2"
    assert "no_such" in done.stderr
    assert "HYDRA_FULL_ERROR" not in names
