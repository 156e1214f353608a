"""The constructors are the schema: the arguments that a `_target_` takes, against what the configuration gives it.

    _target_: hourglass.models.MLP    of    def __init__(self, *, code_size: int, ..., **shared: Unpack[Shared])
    code_size: 64

Every key must be an argument, every argument without a default a key, and every value must suit the type hint. The
fields of an unpacked `TypedDict` are arguments like the others.
"""

import inspect
import types
import typing
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from hourglass.errors import HourglassError


class MissingKey(HourglassError):  # noqa: N818 - says what happened
    """A configuration holds no value for an argument.

    Attributes:
        key: its full name, as `model.code_size`.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} must be given, got nothing: add {key}=...")
        self.key = key


class Arguments(NamedTuple):
    """What a constructor or function takes."""

    hints: dict[str, Any]
    """The type hint of every argument, by name."""
    required: set[str]
    """Those without a default."""
    takes_any: bool
    """Whether it takes arguments of any other name too."""


@cache
def arguments_of(function: typing.Callable[..., Any]) -> Arguments:
    """Read them from the signature."""
    hints = typing.get_type_hints(function.__init__ if inspect.isclass(function) else function)
    found = Arguments({}, set(), takes_any=False)
    for name, parameter in inspect.signature(function).parameters.items():
        hint = hints.get(name, Any)
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            found.hints[name] = hint
            found.required.update([name] if parameter.default is inspect.Parameter.empty else [])
        elif typing.get_origin(hint) is typing.Unpack:
            (fields,) = typing.get_args(hint)
            found.hints.update(typing.get_type_hints(fields))
            found.required.update(fields.__required_keys__)
        else:
            found = found._replace(takes_any=True)
    return found


@cache
def declared_tensors(target: str) -> frozenset[str]:
    """What one of our own classes holds as tensors: numbers that may change without making it another program."""
    from hydra.utils import get_object
    from torch import Tensor

    hints = typing.get_type_hints(get_object(target)) if target.startswith("hourglass.") else {}
    return frozenset(key for key, hint in hints.items() if hint is Tensor)


def full_key(config: Any) -> str:
    """Where a node stands in its configuration, as `model.bottleneck`."""
    return str(config._get_full_key(None))


def check(config: Any, given: set[str]) -> None:
    """Compare every value below `config` with the type hints of the object that it is an argument of.

    Args:
        config: a node of the configuration.
        given: arguments of the node's own target that come from elsewhere.

    Raises:
        MissingKey: an argument that has no value.
        HourglassError: a key that is no argument, a value of another type.
    """
    from hydra.utils import get_object
    from omegaconf import DictConfig

    for node in config.values() if isinstance(config, DictConfig) else ():
        if isinstance(node, DictConfig):
            check(node, set())
    if not isinstance(config, DictConfig) or not config.get("_target_"):
        return
    target = config._target_
    # Only our own constructors are annotated as a schema; a library's checks its arguments itself.
    if not str(target).startswith("hourglass."):
        return
    hints, required, takes_any = arguments_of(get_object(target))
    where = full_key(config)
    for key, value in config.items():
        if str(key).startswith("_"):
            continue
        if key not in hints or key in given:
            if takes_any:
                # As left behind by a recipe that sets a value of a choice which the command line then replaced.
                if isinstance(value, DictConfig) and not value.get("_target_"):
                    raise HourglassError(
                        f"{where}.{key!s} has values but was not chosen: add it, {where}=[...,{key!s}], or take"
                        f" them away, ~{where}.{key!s}"
                    )
                continue
            allowed = ", ".join(name for name in hints if name not in given)
            raise HourglassError(f"{where}.{key!s}: no such key; {where} takes {allowed}")
        if not _fits(value, hints[key]):
            raise HourglassError(f"{where}.{key!s} must be {_words(hints[key])}, got {value!r}")
    if not config.get("_partial_"):  # else the rest comes later
        for key in hints:
            if key in required and key not in given and key not in config:
                raise MissingKey(f"{where}.{key}")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a configured value suits a type hint. Hints other than scalars, lists and literals are left alone."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in typing.get_args(hint))
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
        part = typing.get_args(hint)[0]
        return isinstance(value, Sequence) and not isinstance(value, str) and all(_fits(item, part) for item in value)
    return True


def _words(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_words(part) for part in typing.get_args(hint))
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, typing.get_args(hint)))}"
    if origin is not None and inspect.isclass(origin) and issubclass(origin, Sequence):
        return f"a list, each {_words(typing.get_args(hint)[0])}"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))
