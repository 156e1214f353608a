import shlex

import pytest
from omegaconf import OmegaConf

from hourglass.pipeline.naming import WIDEST, command_line, run_name, wrapped

CHOICES = {"model": "vanilla", "data": "mnist", "noise": "masking", "regularizer": "none"}


def name(varied: list[str], *, own: str | None = None, depth: int | None = 1, **choices: str) -> str:
    config = OmegaConf.create({"name": own, "seed": 0, "model": {"code_size": 64, "depth": depth}})
    return run_name(config, {**CHOICES, **choices}, code_size=64, data="mnist", varied=varied)


@pytest.mark.parametrize(
    ("varied", "called"),
    [
        ([], "64 d1 s0 vanilla mnist masking"),
        (["model.code_size=64", "seed=0"], "64 d1 s0 vanilla mnist masking"),
        (["noise=masking", "seed=0"], "64 masking d1 s0 vanilla mnist"),
        (["+noise.masking.fraction=0.3"], "64 fraction=0.3 d1 s0 vanilla mnist masking"),
        (["regularizer=none"], "64 no regularizer d1 s0 vanilla mnist masking"),
    ],
)
def test_what_differs_comes_first(varied: list[str], called: str) -> None:
    assert name(varied) == called


def test_a_name_of_ones_own_stands_behind_what_a_study_varies() -> None:
    assert name([], own="mine") == "mine"
    assert name(["seed=0", "optimizer.lr=0.1"], own="mine") == "lr=0.1 s0 mine"
    assert name([], depth=None) == "64 s0 vanilla mnist masking"


def test_a_command_can_be_typed_again_also_on_several_lines() -> None:
    words = ["-m", "study=how fast, may it", *(f"model.code_size={number},{number + 1}" for number in range(9))]
    command = command_line([*words, "tracking.uri=http://me:secret@there"])
    assert "secret" not in command
    lines = wrapped(command).splitlines()
    assert max(map(len, lines)) <= WIDEST + 2
    assert shlex.split(wrapped(command).replace("\\\n", "")) == shlex.split(command)  # as a shell reads it
    assert shlex.split(command)[:3] == ["hourglass", "train", "-m"]
