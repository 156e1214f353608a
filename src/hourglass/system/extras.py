"""Packages that only some uses need, and that are installed on request: `pip install 'hourglass[NAME]'`."""

from collections.abc import Sequence
from importlib.util import find_spec

from hourglass.system.errors import HourglassError


def needed(what: str, *, extra: str, packages: Sequence[str]) -> None:
    """Raise HourglassError, in one line with the command that helps, where a package is missing.

    Args:
        what: needs them.
        extra: that brings them.
        packages: by the names under which they are imported.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise HourglassError(f"{what} needs {', '.join(missing)}: pip install 'hourglass[{extra}]'")
