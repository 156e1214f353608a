"""Configuration: where the yaml files are, what they offer, and how an object is built from them.

The constructors are the schema: `build` checks the values against their type hints before it calls them (`schema`),
so that a mistake is one line that names the full key.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hourglass.errors import HourglassError, nearest
from hourglass.schema import MissingKey, check, full_key, is_own, misfit

HIDDEN_GROUPS = ("hydra",)


def conf_dir() -> Path:
    """The folder of the yaml files: inside the installed package, or at the top of the repository."""
    package = Path(__file__).resolve().parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def choices() -> dict[str, dict[str, str]]:
    """Every group, its choices and their one-line descriptions, read from the first line of each yaml file."""
    found: dict[str, dict[str, str]] = {}
    for folder in sorted(path for path in conf_dir().iterdir() if path.is_dir() and path.name not in HIDDEN_GROUPS):
        found[folder.name] = {path.stem: _description(path) for path in sorted(folder.glob("*.yaml"))}
    return found


def _description(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("# @"):  # Hydra's own directive
                continue
            return line[1:].strip() if line.startswith("#") else ""
    return ""


def register_resolvers() -> None:
    """Make known what the yaml files compute.

    `${fast_precision:ACCELERATOR}`: bf16-mixed where the hardware has bfloat16, else 32-true.
    `${at_depth:DEPTH,N,WIDTHS}`: the widths where the depth is N, for which they are published, else null.
    """
    from omegaconf import OmegaConf

    def fast_precision(accelerator: str) -> str:
        import torch

        if accelerator != "cpu" and torch.cuda.is_available():
            return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
        return "bf16-mixed" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "32-true"

    def at_depth(depth: Any, given: int, widths: Any) -> Any:
        return widths if depth == given else None

    OmegaConf.register_new_resolver("fast_precision", fast_precision, replace=True)
    OmegaConf.register_new_resolver("at_depth", at_depth, replace=True)


def build(config: Any, **arguments: Any) -> Any:
    """Instantiate a node of the configuration with Hydra; a mistake in it becomes a `HourglassError`.

    `arguments` are passed to the node's own target as they are, not through the configuration.
    """
    import hydra
    from hydra.errors import InstantiationException
    from omegaconf import OmegaConf

    key = full_key(config)
    for missing in sorted(OmegaConf.missing_keys(config)):
        full = missing if missing.startswith(f"{key}.") else f"{key}.{missing}"
        raise MissingKey(full)
    if config.get("_target_") is None:
        raise HourglassError(f"{key}: nothing is chosen that could be built, it has no _target_")
    check(config, set(arguments))
    try:
        return hydra.utils.instantiate(config, _partial_=True, _convert_="all")(**arguments)
    except InstantiationException as error:
        found = re.search(r"full_key: (\S+)", str(error))
        if found:  # the node below that could not be made
            config = OmegaConf.select(config, found.group(1).removeprefix(f"{key}."))
            key = found.group(1)
        mistake = error.__cause__ or error
    except Exception as error:
        mistake = error
    if isinstance(mistake, HourglassError):
        raise mistake
    own = config is None or is_own(config)
    # A RuntimeError is torch's, of a size that is too much.
    if own and not isinstance(mistake, ValueError | TypeError | OSError | RuntimeError):
        raise mistake
    raise HourglassError((None if own else misfit(config)) or named(key, config, mistake)) from mistake


def named(key: str, config: Any, error: BaseException) -> str:
    """The error's message with the full key before it: `code_size must be ...` to `model.code_size must be ...`."""
    message = " ".join(str(error).split()).partition(" Exception raised from ")[0]  # without torch's own traceback
    first = re.match("[a-z_]+", message)
    path = _path(config, first.group(0)) if first and key else None
    if path is not None:
        above = path.rpartition(".")[0]
        return f"{key}.{above}.{message}" if above else f"{key}.{message}"
    if not isinstance(error, ValueError | OSError):  # a text that needs its class to be understood: KeyError('x')
        message = f"{type(error).__name__}: {message}".removeprefix("MisconfigurationException: ")
    texts = config.items() if isinstance(config, Mapping) else ()
    spoken = [f"{name}={value}" for name, value in texts if isinstance(value, str) and repr(value) in message]
    return f"{key}{f'.{spoken[0]}' if len(spoken) == 1 else ''}: {message}" if key else message


def _path(config: Any, word: str) -> str | None:
    """Where a key stands below a node, the nearest place first: `k` to `bottleneck.k`; None where it doesn't."""
    if not isinstance(config, Mapping):
        return None
    if word in config:
        return word
    below = ((key, _path(value, word)) for key, value in config.items())
    return next((f"{key}.{path}" for key, path in below if path is not None), None)


def check_seed(seed: Any) -> None:
    """HourglassError unless it is one that every generator of random numbers takes."""
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise HourglassError(f"seed must be a whole number from 0 to {2**32 - 1}, got {seed!r}")


@cache
def top_keys() -> tuple[str, ...]:
    """The keys at the top of every configuration: those of `config.yaml`, and the groups that don't stand elsewhere."""
    import yaml

    own = yaml.safe_load((conf_dir() / "config.yaml").read_text(encoding="utf-8"))
    elsewhere = {"defaults", "hydra", "experiment", "bottleneck"}  # a bottleneck is a part of the model
    return tuple(sorted({*own, *choices()} - elsewhere))


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

    from omegaconf import DictConfig, OmegaConf

    kind = OmegaConf.get_type(node)
    # `env` is a group of Hydra's that its own class doesn't name.
    known = ["env", *(field.name for field in fields(kind))] if is_dataclass(kind) else None
    for key in node:
        if known is not None and key not in known:
            raise HourglassError(f"{where}.{key}: no such key{nearest(str(key), known)}; nothing reads it")
        child = node._get_node(key)
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_interpolation():
            check_hydra(child, f"{where}.{key}")


UNNAMED = ("tracking", "name", "resume", "study", "sweep")
"""Keys at the top of a configuration that say nothing of what is computed, but how and where it is recorded."""

NAMED = ("model", "model.code_size", "data", "noise", "regularizer")
"""Keys whose value the name of every run says: see `hourglass.recording.run_name`."""


def config_hash(config: Mapping[str, Any]) -> str:
    """A name for what was computed: 16 hex digits over the resolved configuration, without where it is recorded."""
    relevant = {key: value for key, value in config.items() if key not in UNNAMED}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True, default=str).encode()).hexdigest()[:16]


def compose_config(overrides: Sequence[str]) -> tuple[Any, dict[str, str]]:
    """The configuration that `hourglass train` would compose from these overrides, and the choices of the groups."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from hourglass.overrides import check_choice, explain

    register_resolvers()
    for override in overrides:
        check_choice(override)
    try:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            whole = hydra.compose("config", list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise HourglassError(explain(error)) from error
    choices_made = chosen(whole, whole.hydra.runtime.choices)
    OmegaConf.set_struct(whole, False)
    del whole["hydra"]
    OmegaConf.set_struct(whole, True)
    return whole, choices_made


def update(config: Any, overrides: Sequence[str]) -> None:
    """Set values, `KEY=VALUE` each in Hydra's grammar, of keys that a configuration has.

    Raises:
        HourglassError: a word that can't be read, a key that isn't there, a value that refers to none.
    """
    from omegaconf import OmegaConf, flag_override
    from omegaconf.errors import OmegaConfBaseException

    from hourglass.overrides import dotted_keys, explain, given

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


def chosen(config: Mapping[str, Any], runtime_choices: Mapping[str, Any]) -> dict[str, str]:
    """The choice in every group of ours, as text: `none`, `l1`, `l1,contractive`."""
    single = {group: str(choice) for group, choice in runtime_choices.items() if "/" not in group and choice}
    # Of a group with several choices Hydra keeps no record; each of them put one named part into the configuration.
    several = {
        group: ",".join(str(key) for key, part in config[group].items() if isinstance(part, Mapping)) or "none"
        for group in ("noise", "regularizer")
    }
    return {**single, **several}
