"""The groups of `conf/`: where the yaml files are, what they offer, and what was chosen of them."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

HIDDEN_GROUPS = ("hydra",)


def conf_dir() -> Path:
    """The folder of the yaml files: inside the installed package, or at the top of the repository."""
    package = Path(__file__).resolve().parents[1]
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


@cache
def top_keys() -> tuple[str, ...]:
    """The keys at the top of every configuration: those of `config.yaml`, and the groups that don't stand elsewhere."""
    import yaml

    own = yaml.safe_load((conf_dir() / "config.yaml").read_text(encoding="utf-8"))
    elsewhere = {"defaults", "hydra", "experiment", "bottleneck"}  # a bottleneck is a part of the model
    return tuple(sorted({*own, *choices()} - elsewhere))


def chosen(config: Mapping[str, Any], runtime_choices: Mapping[str, Any]) -> dict[str, str]:
    """The choice in every group of ours, as text: `none`, `l1`, `l1,contractive`."""
    single = {
        group: str(choice)
        for group, choice in runtime_choices.items()
        if "/" not in group and choice and group != "callback"  # what watches tells no run from another
    }
    # Of a group with several choices Hydra keeps no record; each of them put one named part into the configuration.
    several = {
        group: ",".join(str(key) for key, part in config[group].items() if isinstance(part, Mapping)) or "none"
        for group in ("noise", "regularizer")
    }
    return {**single, **several}
