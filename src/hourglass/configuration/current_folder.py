"""Code in the current folder: importable where a person names it, and only then.

The installed command doesn't look for modules where it is called, as `python script.py` does beside the script. It does
once a `_target_` that a person answers for (their words, their yaml, a package in `HOURGLASS_TRUST`) names a module
that is found nowhere else:

    mypkg.exposure.Exposure    mypkg is not installed, and here is a folder mypkg/ or a file mypkg.py

Then the folder goes to the end of `sys.path`: a file in it takes the place of no module that is installed. It is not
there from the start, since libraries try to import what need not be installed, which a stranger's file could then be.
"""

import importlib
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType


def import_top(name: str) -> ModuleType:
    """A module by its name without dots, installed or in the current folder.

    Raises:
        ModuleNotFoundError: there is none.
        Exception: whatever the module raises.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        for folder in _folders():
            if PathFinder.find_spec(name, [folder]) is not None:
                sys.path.append(folder)
                return importlib.import_module(name)
        raise


def _folders() -> list[str]:
    """The current folder, and where the command was given, if Hydra has changed it since (`hydra.job.chdir`)."""
    found = [str(Path.cwd())]
    if (known := sys.modules.get("hydra.core.hydra_config")) and known.HydraConfig.initialized():
        found.append(str(known.HydraConfig.get().runtime.cwd))
    return [folder for folder in dict.fromkeys(found) if folder not in sys.path]
