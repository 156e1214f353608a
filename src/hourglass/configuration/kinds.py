"""Kinds of parts: what a `_target_` makes, against what its argument takes.

    noise.flip._target_=mine.Flip    of    def __init__(self, *, ..., **processes: Process)

A part of another kind would be found out deep inside, by the first method that it lacks.
"""

import collections.abc
import inspect
import types
import typing
from typing import Any

from hourglass.system.errors import HourglassError

__all__ = ["check_kind", "check_made"]


def check_made(where: str, target: str, made: Any, hint: Any) -> None:
    """Raise HourglassError where a class or function makes another kind than a type hint wants.

    Nothing is said of a function without a return type, or of a hint that is no class.

    Args:
        where: full key of the node.
        target: its `_target_`.
        made: the class or function that it names.
        hint: of the argument; `Callable[..., Part]` where the node is partial.
    """
    kinds = _classes(hint)
    if not inspect.isclass(made):
        try:
            made = typing.get_type_hints(made).get("return")
        except Exception:  # hints that can't be read
            return
    if kinds and inspect.isclass(made) and made is not type(None) and not issubclass(made, kinds):
        raise HourglassError(f"{where}._target_={target} must be {_said(kinds)}")


def check_kind(where: str, target: str, value: Any, kind: type) -> None:
    """Raise HourglassError where what was made of a node is of another kind.

    Args:
        where: full key of the node.
        target: its `_target_`.
        value: what it made.
        kind: what it must be.
    """
    if not isinstance(value, kind):
        raise HourglassError(
            f"{where}._target_={target} must be or return {_said((kind,))}, got a {type(value).__qualname__}"
        )


def _said(kinds: tuple[type, ...]) -> str:
    return f"an {' or '.join(f'{kind.__module__}.{kind.__qualname__}' for kind in kinds)}"


def _classes(hint: Any) -> tuple[type, ...]:
    """The classes of ours that a hint, or what a callable of it returns, allows; none where it allows others."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = [_classes(part) for part in typing.get_args(hint) if part is not type(None)]
        return tuple(kind for part in parts for kind in part) if all(parts) else ()
    if typing.get_origin(hint) is collections.abc.Callable:
        return _classes(typing.get_args(hint)[-1])
    ours = inspect.isclass(hint) and hint.__module__.startswith("hourglass.")
    return (hint,) if ours and not getattr(hint, "_is_protocol", False) else ()
