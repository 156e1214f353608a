"""A whole configuration: composed from overrides, changed by more of them, and checked at its top."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hourglass.configuration.groups import chosen, conf_dir, top_keys
from hourglass.configuration.hydra_internals import (
    UNNAMED_GROUPS,
    context_of,
    files_read_once,
    set_aside,
    written_below,
)
from hourglass.configuration.overrides import check_choice, dotted_keys, explain, given
from hourglass.configuration.resolvers import register_resolvers
from hourglass.system.errors import HourglassError, nearest


def compose_config(overrides: Sequence[str]) -> tuple[Any, dict[str, str]]:
    """The configuration that `hourglass train` would compose from these overrides, and the choices of the groups."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    register_resolvers()
    for override in overrides:
        check_choice(override)
    try:
        with set_aside(), files_read_once(), hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            whole = hydra.compose("config", list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise HourglassError(explain(error)) from error
    choices_made = chosen(whole, whole.hydra.runtime.choices)
    OmegaConf.set_struct(whole, False)
    del whole["hydra"]
    OmegaConf.set_struct(whole, True)
    return whole, choices_made


@contextmanager
def compose_multirun(overrides: Sequence[str]) -> Iterator[tuple[Any, Any]]:
    """Within, Hydra is as within `hourglass train -m` with these overrides: its context, and the configuration.

    Raises:
        HourglassError: what can't be composed, within as well.
    """
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.utils import setup_globals
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    register_resolvers()
    for override in overrides:
        check_choice(override)
    try:
        with set_aside(), files_read_once(), hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            setup_globals()
            loader = GlobalHydra.instance().config_loader()
            words = [*overrides, "hydra.mode=MULTIRUN"]
            config = loader.load_configuration("config", words, run_mode=RunMode.MULTIRUN)
            yield context_of(loader, config), config
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise HourglassError(explain(error)) from error


def update(config: Any, overrides: Sequence[str]) -> None:
    """Set values, `KEY=VALUE` each in Hydra's grammar, of keys that a configuration has.

    Raises:
        HourglassError: a word that can't be read, a key that isn't there, a value that refers to none.
    """
    from omegaconf import OmegaConf, flag_override
    from omegaconf.errors import OmegaConfBaseException

    for override in overrides:
        key, value = given(override)
        known = dotted_keys(OmegaConf.to_container(config))
        if key not in known:
            raise HourglassError(f"{key}: no such key in the run's configuration{nearest(key, known)}")
        try:
            with flag_override(config, "struct", True):  # a mapping brings no new keys either
                OmegaConf.update(config, key, value, merge=True)
                # What it refers to is looked up now: of a recorded configuration every value stands on its own.
                node = OmegaConf.select(config, key)
                resolved = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
                OmegaConf.update(config, key, resolved, merge=True)
        except OmegaConfBaseException as error:
            raise HourglassError(f"{override}: {explain(error)}") from error


def check_top(config: Any) -> None:
    """HourglassError unless a composed configuration has the keys of `top_keys`, and no other that nobody reads.

    One that a value refers to (`+side=8 model.widths='[${side}]'`) is read.
    """
    from omegaconf import OmegaConf

    known = top_keys()
    for key in known:
        if key not in config:
            raise HourglassError(f"{key} must be there, it was taken away (~{key})")
    for key in ("name", "study", "resume", "start"):
        value = config[key]  # empty is what an unset variable of the shell leaves: resume=$RUN
        if value == "" or isinstance(value, bool) or not isinstance(value, str | int | None):
            raise HourglassError(f"{key} must be text or null, got {value!r}")
    if config.tracking.get("uri") == "":
        raise HourglassError("tracking.uri must be an address or null, got ''")
    others = [str(key) for key in config if key not in known and key != "hydra"]
    if "hydra" in config:
        check_hydra(config.hydra)
    text = OmegaConf.to_yaml(config, resolve=False) if others else ""
    for key in others:
        if not re.search(rf"\$\{{(?:[^{{}}]*[:,])?{re.escape(key)}\b", text):
            raise HourglassError(
                f"{key}: no such key{nearest(key, list(known))}; nothing reads it; hourglass train --cfg job shows all"
            )


def check_hydra(node: Any, where: str = "hydra") -> None:
    """HourglassError where Hydra's own part of a configuration has keys that Hydra doesn't know."""
    from dataclasses import fields, is_dataclass

    from omegaconf import OmegaConf

    kind = OmegaConf.get_type(node)
    known = [*UNNAMED_GROUPS, *(field.name for field in fields(kind))] if is_dataclass(kind) else None
    for key in node:
        if known is not None and key not in known:
            raise HourglassError(f"{where}.{key}: no such key{nearest(str(key), known)}; nothing reads it")
        child = written_below(node, key)
        if child is not None:
            check_hydra(child, f"{where}.{key}")


def check_seed(seed: Any) -> None:
    """HourglassError unless it is one that every generator of random numbers takes."""
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise HourglassError(f"seed must be a whole number from 0 to {2**32 - 1}, got {seed!r}")
