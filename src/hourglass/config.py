"""Configuration: where the yaml files are, what they offer, and how an object is built from them.

The constructors are the schema: `build` checks the values against their type hints before it calls them (`schema`),
so that a mistake is one line that names the full key.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hourglass.errors import HourglassError
from hourglass.schema import MissingKey, check, full_key

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
    """Make `${fast_precision:ACCELERATOR}` known: bf16-mixed where the hardware has bfloat16, else 32-true."""
    from omegaconf import OmegaConf

    def fast_precision(accelerator: str) -> str:
        import torch

        if accelerator != "cpu" and torch.cuda.is_available():
            return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
        return "bf16-mixed" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "32-true"

    OmegaConf.register_new_resolver("fast_precision", fast_precision, replace=True)


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
    check(config, set(arguments))
    mistake: BaseException
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
    if isinstance(mistake, HourglassError) or not _is_expected(mistake):
        raise mistake
    raise HourglassError(named(key, config, mistake)) from mistake


def _is_expected(error: BaseException) -> bool:
    # Lightning's error is known by its name, because importing Lightning takes seconds.
    return isinstance(error, ValueError | TypeError | OSError) or type(error).__name__ == "MisconfigurationException"


def named(key: str, config: Any, error: BaseException) -> str:
    """The error's message with the full key before it: `code_size must be ...` to `model.code_size must be ...`."""
    message = " ".join(str(error).split())
    first = re.match("[a-z_]+", message)
    path = _path(config, first.group(0)) if first and key else None
    if path is not None:
        above = path.rpartition(".")[0]
        return f"{key}.{above}.{message}" if above else f"{key}.{message}"
    return f"{key}: {message}" if key else message


def _path(config: Any, word: str) -> str | None:
    """Where a key stands below a node, the nearest place first: `k` to `bottleneck.k`; None where it doesn't."""
    if not isinstance(config, Mapping):
        return None
    if word in config:
        return word
    below = ((key, _path(value, word)) for key, value in config.items())
    return next((f"{key}.{path}" for key, path in below if path is not None), None)


def nearest(word: str, known: list[str]) -> str:
    """`; nearest: a, b` for the known words like `word`, or nothing."""
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"; nearest: {', '.join(close)}" if close else ""


def check_seed(seed: Any) -> None:
    """HourglassError unless it is one that every generator of random numbers takes."""
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise HourglassError(f"seed must be a whole number from 0 to {2**32 - 1}, got {seed!r}")


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

    register_resolvers()
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
    """Set values, `KEY=VALUE` each, of keys that a configuration has."""
    import yaml
    from omegaconf import OmegaConf

    known = _dotted(OmegaConf.to_container(config))
    for override in overrides:
        key, _, value = override.partition("=")
        if key not in known:
            raise HourglassError(f"{key}: no such key in the run's configuration{nearest(key, known)}")
        OmegaConf.update(config, key, yaml.safe_load(value))


def explain(error: Exception) -> str:
    """A composition error of Hydra's in one line, with the nearest names where a name is wrong."""
    from hydra.errors import MissingConfigException, OverrideParseException

    text = " ".join(str(error).split())
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        known = list(choices().get(group, {}))
        if known:
            return f"{group}={name}: no such choice{nearest(name, known)}; allowed: {', '.join(known)}"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: {text.partition(' See https')[0]}"
    unknown = re.search(r"Could not override '([^']+)'", text) or re.search(r"not in struct.*full_key: (\S+)", text)
    if unknown:
        wrong = unknown.group(1)
        return f"{wrong}: no such key{nearest(wrong, _all_keys())}; hourglass train --cfg job shows all"
    return re.sub(r"\s*(full_key|object_type|reference_type)[:=]\s*\S+", "", text)


def _all_keys() -> list[str]:
    """Dotted keys of every choice of every group."""
    import yaml

    root = conf_dir()

    def keys(path: Path, package: str) -> list[str]:
        text = path.read_text(encoding="utf-8")
        stated = re.match(r"# @package (\S+)", text)  # where Hydra puts it, if not below its group
        package = stated.group(1) if stated else package
        prefix = "" if package == "_global_" else f"{package}."
        dotted = [key for key in _dotted(yaml.safe_load(text)) if not key.startswith(("hydra", "defaults", "_"))]
        return [f"{prefix}{key}" for key in dotted]

    found = keys(root / "config.yaml", "_global_")
    for group, names in choices().items():
        for name in names if group != "experiment" else ():
            found += keys(root / group / f"{name}.yaml", group)
    return sorted(set(found))


def _dotted(node: Any) -> list[str]:
    """Every key of a nested mapping, branches and leaves, joined by dots."""
    found: list[str] = []
    for key, value in node.items() if isinstance(node, dict) else ():
        found += [str(key), *(f"{key}.{below}" for below in _dotted(value))]
    return found


def chosen(config: Mapping[str, Any], runtime_choices: Mapping[str, Any]) -> dict[str, str]:
    """The choice in every group of ours, as text: `none`, `l1`, `l1,contractive`."""
    single = {group: str(choice) for group, choice in runtime_choices.items() if "/" not in group and choice}
    # Of a group with several choices Hydra keeps no record; each of them put one named part into the configuration.
    several = {
        group: ",".join(str(key) for key, part in config[group].items() if isinstance(part, Mapping)) or "none"
        for group in ("noise", "regularizer")
    }
    return {**single, **several}
