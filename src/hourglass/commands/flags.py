"""The flags of `hourglass train`: those of Hydra that make sense here, anywhere among the words.

Hydra's own parser wants all words on one side of the flags. So they are put in order before it sees them, and what it
would refuse with a page of usage is refused here in one line.
"""

import re
from collections.abc import Sequence

from hourglass.configuration.overrides import check_choice, check_form
from hourglass.system.errors import HourglassError, nearest

RUN_OF_DIGITS = re.compile(r"^((?:resume|start)=)([0-9]+e[0-9]+)$")
"""The first digits of a run that would be read as a number, 12e456."""

PLAIN = {
    "-h": "--help",
    "--help": "--help",
    "--hydra-help": "--hydra-help",
    "--resolve": "--resolve",
    "-r": "--run",
    "--run": "--run",
    "-m": "--multirun",
    "--multirun": "--multirun",
}
"""Flags without a value, by each of their names."""

WITH_VALUE = {
    "-c": "--cfg",
    "--cfg": "--cfg",
    "-p": "--package",
    "--package": "--package",
    "-cp": "--config-path",
    "--config-path": "--config-path",
    "-cn": "--config-name",
    "--config-name": "--config-name",
    "-cd": "--config-dir",
    "--config-dir": "--config-dir",
    "-i": "--info",
    "--info": "--info",
}
"""Flags with one."""

ALLOWED = {
    "--cfg": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
}
"""The values that a flag takes, where they are few."""


def arranged(words: Sequence[str]) -> list[str]:
    """The flags, each with its value, before the other words.

    Raises:
        HourglassError: a flag that there isn't, one without its value, two that don't go together; a word that is no
            `KEY=VALUE`.
    """
    flags: dict[str, str | None] = {}
    others: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            check_form(word)
            check_choice(word)
            others.append(RUN_OF_DIGITS.sub(r"\1'\2'", word))
        elif word in PLAIN:
            flags[PLAIN[word]] = None
        elif name in WITH_VALUE:
            flag = WITH_VALUE[name]
            if not equals:
                value = _value_of(flag, left)
            if (few := ALLOWED.get(flag)) and value not in few:
                raise HourglassError(f"{name} must be one of {', '.join(few)}, got {value or 'nothing'}")
            if not value:
                raise HourglassError(f"{name} must have a value, got none")
            flags[flag] = value
        else:
            raise HourglassError(f"{word}: no such flag{_instead(word)}; see hourglass train --help")
    _check_together(flags)
    return [*(flag if value is None else f"{flag}={value}" for flag, value in flags.items()), *others]


def _value_of(flag: str, left: list[str]) -> str:
    if flag == "--info" and (not left or left[0] not in ALLOWED[flag]):
        return "all"
    return left.pop(0) if left and not left[0].startswith("-") else ""


def _instead(word: str) -> str:
    if "=" in word:
        return f"; a key has no dashes: {word.lstrip('-')}"
    return nearest(word, [*PLAIN, *WITH_VALUE, "--version", "--shell-completion"])


def _check_together(flags: dict[str, str | None]) -> None:
    """Hydra does one thing at a time, and `--cfg` shows the configuration of one training."""
    if "--cfg" in flags and "--multirun" in flags:
        raise HourglassError("--cfg shows the configuration of one training: leave out -m")
    actions = [flag for flag in ("--cfg", "--info", "--multirun", "--run") if flag in flags]
    if len(actions) > 1:
        raise HourglassError(f"{' and '.join(actions)} don't go together: leave out one")
    if "--resolve" in flags and "--cfg" not in flags:
        raise HourglassError("--resolve goes with --cfg job")
