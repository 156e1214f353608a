"""A person's own choices (`configuration.groups.own_dirs`) are searched wherever Hydra composes ours, and after them.

Hydra imports this module with every command, so nothing slow is imported here. It asks every application of this
Python; those that aren't ours are left alone.
"""

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin
from typing_extensions import override

from hourglass.configuration.groups import choice_files, conf_dir, own_dirs
from hourglass.system.errors import HourglassError


class OwnChoices(SearchPathPlugin):
    """Adds the folders to Hydra's search path."""

    @override
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra; raises HourglassError where a choice has the name of another."""
        if not any(part.path == str(conf_dir()) for part in search_path.get_path()):
            return
        choice_files()  # which compares their names
        for folder in own_dirs():
            _check_parts_of_hydra(folder)
            search_path.append("own", str(folder))


def _check_parts_of_hydra(folder: Path) -> None:
    """Launchers and sweepers stand in Hydra's store, which is searched last: a file of the same name would win."""
    for group in sorted(path for path in (folder / "hydra").glob("*") if path.is_dir()):
        known = ConfigStore.instance().list(f"hydra/{group.name}") if _in_store(group.name) else []
        for file in sorted(group.glob("*.yaml")):
            if file.name in known:
                raise HourglassError(
                    f"{file}: there is hydra/{group.name}={file.stem} already: give yours another name"
                )


def _in_store(group: str) -> bool:
    return group in ConfigStore.instance().repo.get("hydra", {})
