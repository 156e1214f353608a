"""Type hints as the schema reads them: whether a configured value suits one, and what it is called in a message."""

import inspect
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def fits(value: Any, hint: Any) -> bool:
    """Whether a configured value suits a type hint. Hints other than scalars, lists and literals are left alone."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, part) for part in typing.get_args(hint))
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str)
    if hint is Path:
        return isinstance(value, str | Path)
    if origin is not None and inspect.isclass(origin) and issubclass(origin, Sequence):
        part, *others = typing.get_args(hint)
        if origin is tuple and others and others != [...]:  # one hint for each
            parts = (part, *others)
            sized = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == len(parts)
            return sized and all(map(fits, value, parts))
        return isinstance(value, Sequence) and not isinstance(value, str) and all(fits(item, part) for item in value)
    return True


def is_behaviour(hint: Any) -> bool:
    """Whether a type hint, or a part of it, is a protocol: no value of a configuration can be that."""
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return any(getattr(part, "_is_protocol", False) for part in parts)


def words(hint: Any) -> str:
    """A type hint as it stands in a message: `a whole number or null`."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(words(part) for part in typing.get_args(hint))
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, typing.get_args(hint)))}"
    if origin is not None and inspect.isclass(origin) and issubclass(origin, Sequence):
        return f"a list, each {words(typing.get_args(hint)[0])}"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))
