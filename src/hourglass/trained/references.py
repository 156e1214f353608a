"""How a person names a run, and where it is then looked for.

12ab34, quickstart        a run of the store, by its id, the beginning of it, or its name
./FOLDER, FOLDER          a folder that `hourglass push` wrote; without a path to it, where no run is called so
hf:USER/REPO              the same on the Hugging Face Hub
"""

from pathlib import Path

from hourglass.system.errors import HourglassError
from hourglass.tracking import Run, resolve_uri
from hourglass.tracking.shared import DESCRIPTION, SharedRun
from hourglass.trained.hub import SCHEME, Repository

__all__ = ["found"]


def found(reference: str, uri: str | None) -> Run:
    """The run of a reference.

    Args:
        reference: see above.
        uri: of the store; None: see `resolve_uri`.

    Raises:
        HourglassError: there is none, or several; the message says which.
    """
    if reference.startswith(SCHEME):
        return SharedRun(Repository.of(reference).download(), name=reference)
    folder = Path(reference).expanduser()
    if reference.startswith((".", "~", "/")):
        return SharedRun(folder)
    try:
        return Run.find(reference, resolve_uri(uri))
    except HourglassError:
        if (folder / DESCRIPTION).is_file():
            return SharedRun(folder)
        raise
