"""What a run is called: what differs first, since tables and charts cut names after some 15 characters.

`64 d1 s0 vanilla mnist masking`: code size, depth and seed; model, data and noise. What else a study varies comes
behind the code size: `64 sigma=0.3 d1 s0 vanilla mnist`, `64 no noise d1 s0 vanilla mnist`.
"""

import shlex
from collections.abc import Mapping, Sequence

from omegaconf import DictConfig, OmegaConf

from hourglass.system.passwords import without_passwords

_LETTERS = {"model.code_size": "", "model.depth": "d", "seed": "s"}
"""Keys whose values every name begins with, by what stands before the value."""
_GROUPS = ("model", "data", "noise", "regularizer")
"""Groups whose choices every name says."""


WIDEST = 96
"""Characters of a line: a longer one pushes what stands beside a description out of the page."""


def wrapped(command: str) -> str:
    """A command on several lines, as a shell takes it."""
    lines = [""]
    for word in map(shlex.quote, shlex.split(command)):
        if lines[-1].strip() and len(lines[-1]) + len(word) > WIDEST:
            lines.append("  ")
        lines[-1] += f"{word} "
    return "\\\n".join(lines).rstrip()


def command_line(words: Sequence[str], *, command: str = "train") -> str:
    """The command of a training, or another one, with such words, to be typed again."""
    return without_passwords(shlex.join(["hourglass", command, *words]))


def run_name(
    config: DictConfig, choices: Mapping[str, str], *, code_size: int, data: str, varied: Sequence[str] = ()
) -> str:
    """The name of a run.

    Args:
        config: its configuration; a person's own `name` takes the place of all but what a study varies.
        choices: the choice made in every group.
        code_size: of the model: of some, the configuration doesn't say it.
        data: what the data set calls itself.
        varied: what tells it from the other runs of its study, `seed=1`.
    """
    values = {key.lstrip("+"): value for key, _, value in (word.partition("=") for word in varied)}
    known = {"model.code_size": code_size} | {
        key: found
        for key in ("model.depth", "seed")
        if isinstance(found := OmegaConf.select(config, key), int) and not isinstance(found, bool)
    }
    numbers = {key: f"{letter}{known[key]}" for key, letter in _LETTERS.items() if key in known}
    said = {**choices, "data": data}
    called = {key: f"no {key}" if said.get(key, "none") == "none" else said[key] for key in _GROUPS}
    groups = {key: word for key, word in called.items() if key in values or said.get(key, "none") != "none"}
    first = [
        groups.get(key, f"{key.rpartition('.')[2]}={value}") for key, value in values.items() if key not in numbers
    ]
    if config.name:  # it says the rest
        numbers, groups = {key: word for key, word in numbers.items() if key in values}, {"name": str(config.name)}
    size = [numbers.pop("model.code_size")] if "model.code_size" in numbers else []
    return " ".join([*size, *first, *numbers.values(), *(word for key, word in groups.items() if key not in values)])
