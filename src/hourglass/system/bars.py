"""Progress bars of this process alone: text on a terminal, a widget in a notebook.

By default tqdm makes a lock that several processes could share: a semaphore, which is left behind where a process is
killed, and another process that watches over it.
"""

import sys
import threading
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from typing import Any

from tqdm import tqdm
from typing_extensions import override

_LOCK = threading.RLock()


class Bar(tqdm):  # type: ignore[type-arg]
    """See `tqdm.tqdm`."""


Bar.set_lock(_LOCK)


def progress_bar(iterable: Iterable[Any] | None = None, **settings: Any) -> "tqdm[Any]":
    """A bar where one can be shown, that moves in its place; elsewhere one that is disabled and shows nothing.

    Args:
        iterable: what it goes along with; None: it is moved by hand.
        settings: see `tqdm.tqdm`.
    """
    kind = _widget() if in_notebook() else Bar
    # None: as the output says; a widget asks for no terminal.
    return kind(iterable, disable=None, **settings)


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in shell.config


@cache
def _widget() -> "type[tqdm[Any]]":
    """The bar of a notebook; without ipywidgets that of a terminal, which a notebook isn't."""
    if find_spec("ipywidgets") is None:
        return Bar
    from tqdm.notebook import tqdm as notebook_tqdm

    class Widget(notebook_tqdm):  # type: ignore[type-arg]
        """See `tqdm.notebook.tqdm`."""

        @override
        def display(self, *args: Any, **settings: Any) -> None:
            if self.total:  # theirs keeps it as it was at first, and scaled where what is counted is not
                self.container.children[1].max = self.total
            super().display(*args, **settings)

    Widget.set_lock(_LOCK)
    return Widget
