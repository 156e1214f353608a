"""How the words of a command are read: some by their place, some as KEY=VALUE; a mistake is one line."""

import argparse
import re
from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

from typing_extensions import override

from hourglass.system.errors import HourglassError, nearest


class Parser(argparse.ArgumentParser):
    """Complains in one line, as every command does."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"hourglass {command}", description=description)

    def explain(self, options: Mapping[str, str], *, title: str = "settings") -> None:
        """Say below the help what `key=...` words there are."""
        self.formatter_class = argparse.RawDescriptionHelpFormatter
        self.epilog = "\n".join([f"{title}:", *(f"  {f'{key}=':<12}{what}" for key, what in options.items())])

    @override
    def error(self, message: str) -> NoReturn:
        dashed = re.search(r"unrecognized arguments: --?(\S+)", message)
        advice = f"; a key has no dashes: {dashed[1].partition('=')[0]}=..." if dashed else ""
        raise HourglassError(f"{self.prog.removeprefix('hourglass ')}: {message}{advice}; see {self.prog} --help")


def settings(command: str, words: Sequence[str], *, keys: Collection[str]) -> dict[str, str]:
    """`KEY=VALUE` words by their keys.

    Raises:
        HourglassError: any other word, or key; a key twice, or without a value.
    """
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in keys:
            allowed = ", ".join(f"{each}=..." for each in keys)
            raise HourglassError(f"{command} takes {allowed}, got {word}{nearest(key, list(keys))}")
        if not value or key in found:
            raise HourglassError(f"{command}: {key} must have one value, got {word if key in found else 'none'}")
        found[key] = value
    return found


def chosen(command: str, key: str, value: str, allowed: Sequence[str]) -> str:
    """A value that is one of a few; HourglassError for another."""
    if value not in allowed:
        raise HourglassError(f"{command}: {key} must be one of {', '.join(allowed)}, got {value}")
    return value


def whole(command: str, key: str, value: str) -> int:
    """A number without a sign; HourglassError for anything else."""
    if not (value.isascii() and value.isdigit()):
        raise HourglassError(f"{command}: {key} must be a whole number, got {value}")
    return int(value)
