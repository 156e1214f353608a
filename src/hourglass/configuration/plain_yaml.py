"""Yaml that somebody else wrote, read as plain values: mappings, lists, text, numbers, true, false, null.

Nothing that it names is made. A short text can stand for a huge one (an anchor that is repeated and repeated again) or
be nested deeper than a program can follow; Hourglass writes neither, so both are refused.
"""

from typing import Any

import yaml

from hourglass.system.errors import HourglassError

LARGEST = 1_000_000  # bytes; the configuration of a run has some 5,000
DEEPEST = 40
MOST = 20_000  # values


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
