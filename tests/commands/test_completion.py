"""Completion in a shell: the script that a person installs, in a real bash; the answers, without one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hourglass.commands.completion import SCRIPTS, UNINSTALL, candidates, complete
from hourglass.commands.main import COMMANDS
from hourglass.system.errors import HourglassError

DRIVEN = """
eval "$(hourglass train --shell-completion install=bash)"
complete -p hourglass
complete_line() { COMP_LINE="$1"; COMP_POINT=${#1}; COMPREPLY=(); _hourglass; (IFS='|'; echo "${COMPREPLY[*]}"); }
complete_line "hourglass ev"
complete_line "hourglass train model=co"
complete_line "hourglass train bottleneck=top_k -m seed=0,1 model.bottleneck.k"
eval "$(hourglass train --shell-completion uninstall=bash)"
complete -p hourglass 2>/dev/null || echo gone
"""


def test_bash_completes_the_installed_command(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", DRIVEN], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [
        "complete -o default -o nospace -F _hourglass hourglass",
        "evaluate ",
        "conv |conv_dae ",  # without what bash counts as a word before the =
        "model.bottleneck.k=|model.bottleneck.k_test=",
        "gone",
    ], done.stderr
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("hourglass tr", ["train "]),
        ("hourglass list opt", ["optimizer "]),
        ("hourglass ui ", ["port=", "uri="]),
        ("hourglass evaluate RUN ", ["data=", "noise="]),
        ("hourglass evaluate RUN noise=gau", ["noise=gaussian "]),
        ("hourglass encode RUN ", []),  # the shell's own: files
        ("hourglass nothing ", []),
        ("hourglass train --mu", ["--multirun "]),
        ("hourglass train optim", ["optimizer.", "optimizer="]),
        ("hourglass train model=conv model.ker", ["model.kernel_size="]),
        ("hourglass train trainer.devices=", ["trainer.devices=1 "]),
        ("hourglass train model=nope model.co", []),  # what can't be composed is no help
    ],
)
def test_words_become(line: str, found: list[str]) -> None:
    assert candidates(line, commands=list(COMMANDS)) == found


def test_every_shell_has_a_script() -> None:
    assert set(SCRIPTS) == set(UNINSTALL) == {"bash", "zsh", "fish"}
    for shell, script in SCRIPTS.items():
        assert complete([f"install={shell}"], commands=[]) == script
        assert f"query={shell}" in script
    for words in ([], ["install=tcsh"], ["instal=bash"], ["install=bash", "model=conv"]):
        with pytest.raises(HourglassError, match="install=SHELL"):
            complete(words, commands=[])
