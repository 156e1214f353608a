"""The constructors are the schema: the arguments that a `_target_` takes, against what the configuration gives it.

    _target_: hourglass.models.MLP    of    def __init__(self, *, code_size: int, ..., **others: Unpack[Others])
    code_size: 64

Every key must be an argument, every argument without a default a key, and every value must suit the type hint. The
fields of an unpacked `TypedDict` are arguments like the others.

That holds for ours, and for what keeps one of our contracts, as far as it is annotated: a class below one of ours, a
function that says it returns one (`-> Dataset`). Of others the names are compared beforehand, and the types once the
constructor has complained: their hints may say less than what they take.
"""

import importlib
import inspect
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from hourglass.configuration.current_folder import import_top
from hourglass.configuration.hints import fits, is_behaviour, words
from hourglass.configuration.hydra_internals import full_key
from hourglass.configuration.kinds import check_made
from hourglass.system.errors import HourglassError, nearest


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
    others: Any = Any
    """The type hint of those."""


@cache
def arguments_of(function: typing.Callable[..., Any]) -> Arguments:
    """Read them from the signature."""
    hints = typing.get_type_hints(function.__init__ if inspect.isclass(function) else function)
    found = Arguments({}, set(), takes_any=False)
    for name, parameter in inspect.signature(function).parameters.items():
        hint = hints.get(name, Any)
        if parameter.default is None:  # `level: float = None`, as others write
            hint = typing.Optional[hint]  # noqa: UP045 - Any and texts know no |
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            continue
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            found.hints[name] = hint
            found.required.update([name] if parameter.default is inspect.Parameter.empty else [])
        elif typing.get_origin(hint) is typing.Unpack:
            (fields,) = typing.get_args(hint)
            found.hints.update(typing.get_type_hints(fields))
            found.required.update(fields.__required_keys__)
        else:
            found = found._replace(takes_any=True, others=hint)
    return found


@cache
def declared_tensors(target: str) -> frozenset[str]:
    """What a class of ours, or below one of ours, holds as tensors: numbers that leave it the same program."""
    from torch import Tensor

    try:
        function = located(target, "") if target else None
    except HourglassError:  # which is said where it is built
        function = None
    if function is None or not (target.startswith("hourglass.") or keeps_contract(function)):
        return frozenset()
    hints = typing.get_type_hints(function)
    return frozenset(key for key, hint in hints.items() if hint is Tensor)


def check(config: Any, given: set[str]) -> None:
    """Compare every value below `config` with the type hints of the object that it is an argument of.

    Args:
        config: a node of the configuration.
        given: arguments of the node's own target that come from elsewhere.

    Raises:
        MissingKey: an argument that has no value.
        HourglassError: a key that is no argument, a value of another type.
    """
    from omegaconf import DictConfig

    for node in config.values() if isinstance(config, DictConfig) else ():
        if isinstance(node, DictConfig):
            check(node, set())
    if not isinstance(config, DictConfig) or config.get("_target_") is None:
        return
    where = full_key(config)
    function = located(config._target_, where)
    if is_own(config):
        hints, needed, takes_any, others = arguments_of(function)
        required = tuple(key for key in hints if key in needed)
        _check_values(config, where, hints, given, takes_any=takes_any)
        _check_parts(config, hints, others)
    else:
        names, required, takes_any = names_of(function)
        contract = keeps_contract(function)
        if contract is not None:
            names = tuple(name for name in contract.hints if name not in given)
            required, takes_any = tuple(name for name in names if name in contract.required), contract.takes_any
        unknown = [str(key) for key in config if not str(key).startswith("_") and str(key) not in names]
        if unknown and not takes_any:
            raise HourglassError(_foreign(config, where, unknown, [name for name in names if name not in given]))
        # Torch's optimizers take any text for true.
        checked = contract is not None or str(config._target_).startswith("torch.optim.")
        if checked and (problem := misfit(config)):
            raise HourglassError(problem)
    if not config.get("_partial_") and not config.get("_args_"):  # else the rest comes later, or came without names
        for key in required:
            if key not in given and key not in config:
                raise MissingKey(f"{where}.{key}")


def is_own(config: Any) -> bool:
    """Whether a node makes something of this package."""
    return str(config.get("_target_")).startswith("hourglass.")


def keeps_contract(function: typing.Callable[..., Any]) -> Arguments | None:
    """The arguments of a class of others below one of ours, or of a function that returns one of ours; else None.

    None as well where its hints can't be read, as those that only a type checker imports.
    """
    try:
        found = arguments_of(function)
        made = function if inspect.isclass(function) else typing.get_type_hints(function).get("return")
    except Exception:
        return None
    ours = inspect.isclass(made) and any(base.__module__.startswith("hourglass.") for base in made.__mro__)
    return found if ours else None


def located(target: Any, where: str) -> typing.Callable[..., Any]:
    """The class or function that a `_target_` names; where it can't be had, that is a HourglassError.

    Args:
        target: dotted, as `torch.optim.NAdam`.
        where: full key of the node that holds it.
    """
    what = f"{where}._target_={target}"
    parts = str(target).split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise HourglassError(f"{what} must be a class or function with its module, as package.module.Name")
    found: Any = None
    for length in range(1, len(parts) + 1):
        name = ".".join(parts[:length])
        if length > 1 and hasattr(found, parts[length - 1]):
            found = getattr(found, parts[length - 1])
            continue
        try:
            found = import_top(name) if length == 1 else importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise HourglassError(
                    f"{what} can't be imported: {name} needs {error.name}, which isn't there"
                ) from error
            if length == 1:
                raise HourglassError(
                    f"{what} can't be imported: there is no module {name}, neither installed, nor in this folder, nor"
                    " in one of PYTHONPATH"
                ) from error
            known = [each for each in vars(found) if not each.startswith("_")] if hasattr(found, "__dict__") else []
            raise HourglassError(
                f"{what}: {'.'.join(parts[: length - 1])} has no {parts[length - 1]}{nearest(parts[length - 1], known)}"
            ) from error
        except Exception as error:
            raise HourglassError(f"{what} can't be imported: {type(error).__name__} in {name}: {error}") from error
    if not callable(found):
        raise HourglassError(f"{what} must be a class or function, got a {type(found).__name__}")
    return typing.cast(typing.Callable[..., Any], found)


@cache
def names_of(function: typing.Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """The arguments of a class or function that isn't ours.

    Their names, those of them without a default, and whether it takes others too.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # one that is written in C
        return (), (), True
    by_name = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    required = tuple(each.name for each in by_name if each.default is each.empty)
    return tuple(each.name for each in by_name), required, any(each.kind is each.VAR_KEYWORD for each in parameters)


def misfit(config: Any) -> str | None:
    """The first value of a node that doesn't suit its argument's type hint, in one line, for one that isn't ours."""
    try:
        hints = arguments_of(located(config._target_, full_key(config))).hints
    except Exception:  # hints that can't be read
        return None
    for key, value in config.items():
        made = isinstance(value, Mapping) and "_target_" in value  # what it makes is known once it is made
        if key in hints and not made and not fits(value, hints[key]):
            return _unsuited(f"{full_key(config)}.{key}", value, hints[key])
    return None


def _check_values(config: Any, where: str, hints: dict[str, Any], given: set[str], *, takes_any: bool) -> None:
    from omegaconf import DictConfig

    hints = {name: hint for name, hint in hints.items() if not is_behaviour(hint)}
    for key, value in config.items():
        if str(key).startswith("_"):
            continue
        if key not in hints or key in given:
            if takes_any and isinstance(value, DictConfig):
                if not value.get("_target_"):
                    raise not_chosen(where, str(key))
                continue
            allowed = [name for name in hints if name not in given]
            others = f"{', and ' if allowed else ''}choices by name" if takes_any else ""
            raise HourglassError(f"{where}.{key!s}: no such key; {where} takes {', '.join(allowed)}{others}")
        if not fits(value, hints[key]):
            raise HourglassError(_unsuited(f"{where}.{key!s}", value, hints[key]))


def _check_parts(config: Any, hints: dict[str, Any], others: Any) -> None:
    """Compare what the nodes of an object make with what its arguments take."""
    from omegaconf import DictConfig

    for key, node in config.items():
        if isinstance(node, DictConfig) and (target := node.get("_target_")):
            where = full_key(node)
            check_made(where, target, located(target, where), hints.get(str(key), others))


def not_chosen(where: str, name: str) -> HourglassError:
    """Of a part without `_target_`, as a recipe leaves behind that sets a value of a choice which a word replaced."""
    return HourglassError(
        f"{where}.{name} has values but was not chosen: add it, {where}=[...,{name}], or take them away,"
        f" ~{where}.{name}"
    )


def _unsuited(key: str, value: Any, hint: Any) -> str:
    return f"{key} must be {words(hint)}, got {value!r}"


def _foreign(config: Any, where: str, unknown: list[str], allowed: list[str]) -> str:
    """Keys that a class or function of others doesn't take, all at once, and how to leave them out."""
    away = " ".join(f"~{where}.{key}" for key in unknown)
    return (
        f"{', '.join(f'{where}.{key}' for key in unknown)}: {config._target_} takes no such key"
        f"{nearest(unknown[0], allowed)}; it takes {', '.join(allowed) or 'none'}"
        # A part of a list can't be taken away by a word of its own.
        f"{'' if '[' in where else f'; to leave out what it does not take: {away}'}"
    )
