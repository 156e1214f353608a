"""Yaml that somebody else wrote, read as plain values: mappings, lists, text, numbers, true, false, null.

Nothing that it names is made. A short text can stand for a huge one (an anchor that is repeated and repeated again) or
be nested deeper than a program can follow; Hourglass writes neither, so both are refused.
"""

import math
import re
from typing import Any

import yaml

from hourglass.system.errors import HourglassError

LARGEST = 1_000_000  # bytes; the configuration of a run has some 5,000
DEEPEST = 40
MOST = 20_000  # values
LONGEST = 10_000  # characters of a text
_NAME = re.compile(r"\w[\w .-]{0,199}")  # of a key: it stands in messages, and in the names of metrics


class _Plain(yaml.SafeLoader):
    depth = 0
    values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("it repeats a part by an alias (*)")
        self.depth += 1
        self.values += 1
        if self.depth > DEEPEST or self.values > MOST:
            raise yaml.YAMLError(f"it holds more than {MOST} values, or more than {DEEPEST} levels of them")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_mapping(content: bytes, *, what: str) -> dict[Any, Any]:
    """The mapping that a yaml text holds.

    Args:
        content: the text, UTF-8.
        what: names it in errors.

    Raises:
        HourglassError: it is no mapping in yaml, too large, too deep, or uses aliases.
    """
    try:
        if len(content) > LARGEST:
            raise yaml.YAMLError(f"it has {len(content)} bytes, allowed are {LARGEST}")
        held = yaml.load(content.decode("utf-8"), Loader=_Plain)  # noqa: S506 - a safe loader
        if not isinstance(held, dict):
            raise yaml.YAMLError("it is no mapping of keys to values")
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        raise HourglassError(f"{what} can't be read: {error}") from error
    return held


def check_plain(node: Any, key: str) -> None:
    """HourglassError for a key or a value that no configuration of ours has."""
    if isinstance(node, dict):
        for name, value in node.items():
            if not isinstance(name, int) and not (isinstance(name, str) and _NAME.fullmatch(name)):
                where = f" of {key}" if key else ""
                raise HourglassError(f"a key{where} must be of letters, digits, _, -, . and blanks, got {short(name)}")
            check_plain(value, joined(key, name))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            check_plain(value, f"{key}[{number}]")
    elif isinstance(node, str):
        if "${" in node:
            raise HourglassError(
                f"{key} must be without ${{, which whoever reads the record would fill in from their machine,"
                f" got {short(node)}"
            )
        if len(node) > LONGEST:
            raise HourglassError(f"{key} must have at most {LONGEST} characters, got {len(node)}")
    elif isinstance(node, float):
        if math.isnan(node):
            raise HourglassError(f"{key} must be a number, got nan")
    elif isinstance(node, int):
        if abs(node) >= 2**63:
            raise HourglassError(f"{key} must be a number of 64 bits, got one of {node.bit_length()} bits")
    elif node is not None:
        raise HourglassError(f"{key} must be text, a number, true, false or null, got {type(node).__name__}")


def joined(key: str, name: Any) -> str:
    """The full name of a key below another."""
    return f"{key}.{name}" if key else str(name)


def short(value: Any) -> str:
    """A value as it may stand in a message, 120 characters at most."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:110]}...{text[-1]}"
