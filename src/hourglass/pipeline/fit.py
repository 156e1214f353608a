"""A training from Python, on arrays in memory, said in the words of the command line.

    hourglass.fit(x, model="conv", code_size=32)   is   hourglass train data=arrays model=conv model.code_size=32

What isn't a word of its own is a value by its key, in `overrides`. Afterwards the process is as it was before.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from copy import deepcopy
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException
from torch import nn

from hourglass.configuration.build import build
from hourglass.configuration.composition import check_top, compose_config
from hourglass.configuration.groups import choices as known_choices
from hourglass.configuration.overrides import check_form, explain, parse, quoted
from hourglass.data import Dataset
from hourglass.data.given_arrays import Given
from hourglass.data.reading import read
from hourglass.models import Autoencoder
from hourglass.pipeline.compose import compose
from hourglass.pipeline.fitted import Fitted
from hourglass.pipeline.recorder import NoRecorder
from hourglass.pipeline.train import train
from hourglass.system import process
from hourglass.system.bars import in_notebook
from hourglass.system.errors import HourglassError
from hourglass.system.messages import heard
from hourglass.system.undone import undone
from hourglass.tracking.retries import import_mlflow

Overrides = Sequence[str | Mapping[str, Any]] | Mapping[str, Any]


def fit(
    x: Any,
    y: Any,
    *,
    target: Any = None,
    validation: Any,
    test: Any,
    modules: Mapping[str, Any],
    choices: Mapping[str, str | Sequence[str] | None],
    values: Mapping[str, Any],
    overrides: Overrides,
    tracking: str | None,
    folder: str | PathLike[str] | None,
) -> Fitted:
    """Train on arrays; see `hourglass.fit`.

    Args:
        x: samples.
        y: their labels.
        target: what is to be made of them; None: they themselves.
        validation: an own validation set.
        test: an own test set.
        modules: encoder and decoder of a person's own, by their names; see `own_modules`.
        choices: of the groups, by their names.
        values: by dotted key; None is left to the choices.
        overrides: see `words_of`.
        tracking: `mlflow`, or `none` or None to keep nothing.
        folder: where files besides the run's own go; None: nowhere that stays.

    Raises:
        HourglassError: a mistake, in one line.
    """
    if tracking not in ("mlflow", "none", None):
        raise HourglassError(
            f"tracking must be one of mlflow, none, got {tracking!r}; another store: overrides={{'tracking.uri': ...}}"
        )
    kept = tracking == "mlflow"
    with undone(), process.sigterm_raises(), ExitStack() as stack:
        if in_notebook():  # where a person looks on, and no terminal shows how far it is
            stack.enter_context(heard())
        given = given_as(x, y, validation=validation, test=test, target=target)
        modules, config, made = configured(given, modules, choices=choices, values=values, overrides=overrides)
        if made["data"] != "arrays" or config.resume:
            said = "resume" if config.resume else f"data={made['data']}"
            raise HourglassError(
                f"{said}: hourglass.fit trains anew, on x; the command line has: hourglass train {said}"
            )
        try:
            check_top(config)
            data = data_of(config, given)
            if kept:
                import_mlflow()
            else:
                with open_dict(config):
                    config.callback.pop("checkpoints", None)  # there is no resuming
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()) if folder is None else folder)
            try:
                place.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise HourglassError(f"folder={folder} can't be made: {error.strerror}") from error
            result = train(
                config,
                choices=made,
                folder=place,
                make_parts=partial(compose, data=data, make_model=model_of(config, modules)),
                recorder=None if kept else NoRecorder(),
            )
        except OmegaConfBaseException as error:
            raise HourglassError(explain(error)) from error
        return Fitted.of(result, config)


def given_as(x: Any, y: Any, *, validation: Any, test: Any, target: Any = None) -> Given:
    """What a person gave, read."""
    parts = {"validation": validation, "test": test, "target": target}
    return Given(read("x", x, y), **{key: None if each is None else read(key, each) for key, each in parts.items()})


def configured(
    given: Given | None,
    modules: Mapping[str, Any],
    *,
    choices: Mapping[str, str | Sequence[str] | None],
    values: Mapping[str, Any],
    overrides: Overrides,
) -> tuple[dict[str, nn.Module], DictConfig, dict[str, str]]:
    """The configuration that a person's words compose, and the choices of its groups.

    Args:
        given: the arrays; None: the choices name the data.
        modules: see `own_modules`, whose modules come with the answer.
        choices: see `fit`.
        values: see `fit`.
        overrides: see `words_of`.
    """
    modules, module_words = own_modules(modules, choices)
    words = [
        *([] if given is None else ["data=arrays"]),
        *module_words,
        *(choice_word(group, each) for group, each in choices.items() if each is not None),
    ]
    words += words_of({key: value for key, value in values.items() if value is not None})
    if given is not None and given.samples.columns is not None:  # as data=csv does
        words.append("data.scaling=minmax")
    config, made = compose_config([*words, *words_of(overrides)])
    return modules, config, made


def own_modules(given: Mapping[str, Any], choices: Mapping[str, Any]) -> tuple[dict[str, nn.Module], list[str]]:
    """Encoder and decoder of a person's own: the modules themselves, and the words that record them.

    Args:
        given: `encoder` and `decoder`: a module, a class or a `functools.partial` of one; None: not given.
        choices: those of the groups, of which `model` must be left to this.

    Returns:
        Copies of the modules, which no record can build again, and words. A class is not among them: with its arguments
        the words say all of it.

    Raises:
        HourglassError: one without the other, something else, or a model beside them.
    """
    if all(each is None for each in given.values()):
        return {}, []
    if missing := [key for key, each in given.items() if each is None]:
        raise HourglassError(f"{missing[0]} must be given too: an own encoder and decoder go together")
    if choices.get("model") not in (None, "modules"):
        raise HourglassError(f"model must be left out beside encoder and decoder, got {choices['model']!r}")
    objects, words = {}, ["model=modules"]
    for key, each in given.items():
        made, settings = (each.func, each.keywords) if isinstance(each, partial) else (each, {})
        kind = made if isinstance(made, type) else type(each)
        whole = issubclass(kind, nn.Module) and not getattr(each, "args", ())
        if isinstance(made, type) and whole and _importable(kind):
            words += _node(f"model.{key}", f"{made.__module__}.{made.__qualname__}", settings)
            continue
        if not whole:
            raise HourglassError(
                f"{key} must be a torch.nn.Module, or a class or functools.partial of one with arguments by name, got"
                f" {each!r}"
            )
        # A class of the script itself is known to this process alone.
        objects[key] = deepcopy(each) if isinstance(each, nn.Module) else made(**settings)
        name = f"{kind.__module__}.{kind.__qualname__}"
        words += _node(f"model.{key}", "hourglass.models.modules.given", {"name": name})
    return objects, words


def _importable(kind: type) -> bool:
    """Whether another process finds a class by its name."""
    return kind.__module__ != "__main__" and getattr(sys.modules[kind.__module__], kind.__qualname__, None) is kind


def _node(key: str, target: str, settings: Mapping[str, Any]) -> list[str]:
    added = words_of({f"{key}.{name}": value for name, value in settings.items()})
    return [*words_of({f"{key}._target_": target}), *(f"+{word}" for word in added)]


def model_of(config: DictConfig, modules: Mapping[str, nn.Module]) -> Callable[..., Autoencoder]:
    """What builds the model, with modules in the place of what stands in the record for them."""
    others = config.copy()
    with open_dict(others):
        for key in modules:
            others.model.pop(key)
    return partial(build, others.model, **modules)


def data_of(config: DictConfig, given: Given) -> Dataset:
    """The data set that the node `data` makes of arrays, and in the node what it was."""
    data: Dataset = build(config.data, given=given)
    with open_dict(config):
        config.data.update(digest=data.digest, sizes=data.sizes, range=list(data.full_range))
    return data


def choice_word(group: str, choice: str | Sequence[str]) -> str:
    """`model=conv`, or `noise=[masking,gaussian]` of several."""
    names = [choice] if isinstance(choice, str) else choice
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        allowed = ", ".join(known_choices()[group])
        raise HourglassError(
            f"{group} must be a choice by its name, or a list of them, got {choice!r}; allowed: {allowed}"
        )
    return f"{group}={choice}" if isinstance(choice, str) else f"{group}=[{','.join(names)}]"


def words_of(overrides: Overrides, word: Callable[[str, Any], str] | None = None) -> list[str]:
    """Words of the command line.

    Args:
        overrides: such words, `["optimizer.lr=1e-3"]`, or values by their keys, `{"optimizer.lr": 1e-3}`; or a list of
            both.
        word: what says a value by its key; None: `KEY=VALUE`.

    Raises:
        HourglassError: something else.
    """
    if isinstance(overrides, Mapping):
        say = word or (lambda key, value: f"{key}={_written(value, key)}")
        return [say(str(key), value) for key, value in overrides.items()]
    several = [overrides] if isinstance(overrides, str) else overrides
    words: list[str] = []
    for each in several:
        if not isinstance(each, str | Mapping):
            raise HourglassError(
                f"overrides must be KEY=VALUE, as 'optimizer.lr=1e-3', or {{KEY: VALUE}}, got {each!r}"
            )
        if isinstance(each, str):
            check_form(each)
        words += [each] if isinstance(each, str) else words_of(each, word)
    return words


def value_word(key: str, value: Any) -> str:
    """`KEY=VALUE`, with quotes only where text needs them: what is said of a sweep shows such words."""
    if isinstance(value, str):
        with suppress(HourglassError):
            if parse(f"{key}={value}").value() == value:
                return f"{key}={value}"
    return f"{key}={_written(value, key)}"


def _written(value: Any, key: str) -> str:
    """A value in Hydra's grammar."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray | torch.Tensor) and value.ndim == 0):
        value = value.item()
    if isinstance(value, np.ndarray | torch.Tensor):
        value = value.tolist()
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        return quoted(str(value))
    if isinstance(value, list | tuple):
        return f"[{','.join(_written(each, key) for each in value)}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{name}:{_written(each, key)}' for name, each in value.items())}}}"
    raise HourglassError(f"{key} must be a number, text, true or false, null or a list of such, got {value!r}")
