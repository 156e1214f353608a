"""The groups of choices: where the yaml files are, what they offer, and what was chosen of them.

Ours come first, in `conf/` of this installation. A person's own stand beside them, in the same layout:

    HOURGLASS_CONF=DIR:DIR    these folders; empty: none
    otherwise                 conf/ in the current folder, if it has the folder of a group

A choice of theirs is one more, never another one under a name that there is: that is refused, since one of the two
would be taken in silence.
"""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hourglass.system.errors import HourglassError

HIDDEN_GROUPS = ("hydra",)

VARIABLE = "HOURGLASS_CONF"


def conf_dir() -> Path:
    """The folder of the yaml files: inside the installed package, or at the top of the repository."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def own_dirs() -> tuple[Path, ...]:
    """The folders of a person's own choices, absolute.

    Raises:
        HourglassError: one that `HOURGLASS_CONF` names isn't there, or has no folder of a group.
    """
    named = os.environ.get(VARIABLE)
    if named is None:
        here = Path("conf")  # made absolute once it is there: the current folder itself may be gone
        return (here.absolute(),) if _has_groups(here) and not _is_ours(here) else ()
    found = [Path(name).expanduser().absolute() for name in named.split(os.pathsep) if name.strip()]
    for folder in found:
        if not folder.is_dir():
            raise HourglassError(f"{VARIABLE} must name folders, and there is no {folder}")
        if not _has_groups(folder):
            raise HourglassError(
                f"{VARIABLE}: {folder} has no folder of a group with a yaml file in it, as noise/NAME.yaml; groups:"
                f" {', '.join(_files(conf_dir()))}"
            )
    return tuple(folder for folder in dict.fromkeys(found) if not _is_ours(folder))


def _has_groups(folder: Path) -> bool:
    return folder.is_dir() and any(any((folder / group).glob("*.yaml")) for group in _files(conf_dir()))


def _is_ours(folder: Path) -> bool:
    """Whether it is what this installation has, or what the repository of another one has."""
    return folder.samefile(conf_dir()) or (folder / "hydra" / "sweeper" / "hourglass_optuna.yaml").exists()


def choice_files() -> dict[str, dict[str, Path]]:
    """Every group, its choices and their files: ours, then a person's own.

    Raises:
        HourglassError: two have one name; and see `own_dirs`.
    """
    found = {group: dict(files) for group, files in _files(conf_dir()).items()}
    for folder in own_dirs():
        for group, files in _read(folder).items():
            known = found.setdefault(group, {})
            for name, path in files.items():
                if name in known:
                    whose = "Hourglass has" if is_ours(known[name]) else f"{known[name]} is"
                    raise HourglassError(
                        f"{path}: {whose} {group}={name} already: give yours another name ({VARIABLE}=, empty, leaves"
                        " the folder alone)"
                    )
                known[name] = path
    return found


def is_ours(file: Path) -> bool:
    """Whether a choice is one of this installation."""
    return file.is_relative_to(conf_dir())


@cache
def _files(folder: Path) -> dict[str, dict[str, Path]]:
    """Those of our own folder, which stays as it is."""
    return _read(folder)


def _read(folder: Path) -> dict[str, dict[str, Path]]:
    groups = sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in HIDDEN_GROUPS)
    found = {path.name: {file.stem: file for file in sorted(path.glob("*.yaml"))} for path in groups}
    return {group: files for group, files in found.items() if files}


def choices() -> dict[str, dict[str, str]]:
    """Every group, its choices and their one-line descriptions, read from the first line of each yaml file."""
    return {
        group: {name: _description(path) for name, path in files.items()} for group, files in choice_files().items()
    }


def _description(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("# @"):  # Hydra's own directive
                continue
            return line[1:].strip() if line.startswith("#") else ""
    return ""


def help_of_train() -> str:
    """What Hydra prints for `hourglass train --help`, of the same text, without its half second of importing."""
    import yaml

    config = yaml.safe_load((conf_dir() / "config.yaml").read_text(encoding="utf-8"))
    template: str = config["hydra"]["help"]["template"]
    listed = "".join(f"{group}: {', '.join(sorted(files))}\n" for group, files in choice_files().items())
    return template.replace("$APP_CONFIG_GROUPS", listed)


@cache
def top_keys() -> tuple[str, ...]:
    """The keys at the top of every configuration: those of `config.yaml`, and the groups that don't stand elsewhere."""
    import yaml

    own = yaml.safe_load((conf_dir() / "config.yaml").read_text(encoding="utf-8"))
    of_model = {"bottleneck", "prior", "flow"}  # parts of the model
    elsewhere = {"defaults", "hydra", "experiment"} | of_model
    return tuple(sorted({*own, *_files(conf_dir())} - elsewhere))


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
