"""What Hourglass knows of Hydra, and of OmegaConf below it, that neither promises: each item with its reason.

Everything else is Hydra's documented interface, for applications and for plugins. What is here is exercised by
`tests/configuration/test_hydra_internals.py`, so that an upgrade which changes it fails there. Importing this module
imports neither: `hourglass --help` answers at once.
"""

import os
import pickle
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
    from hydra.core.override_parser.types import Override
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext
    from omegaconf import DictConfig

__all__ = ["BasicSweeper", "BasicSweeperConf"]

# Its classes

_PLACE = "hydra._internal.core_plugins.basic_sweeper"


def __getattr__(name: str) -> Any:
    """`BasicSweeper` makes the combinations of values, and its `validate_batch_is_legal` composes each job."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACE), name)


def apply_overrides(overrides: "Sequence[Override]", config: "DictConfig") -> None:
    """Set values on a composed configuration as composing it anew would, which takes a quarter of a second."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    ConfigLoaderImpl._apply_overrides_to_config(list(overrides), config)


def overrides_dirname(overrides: "Sequence[Override]", naming: Any) -> str:
    """`hydra.job.override_dirname` of these, by the settings in `hydra.job.config.override_dirname`."""
    from hydra._internal.config_loader_impl import get_overrides_dirname

    name: str = get_overrides_dirname(
        list(overrides), kv_sep=naming.kv_sep, item_sep=naming.item_sep, exclude_keys=naming.exclude_keys
    )
    return name


def job_return(*, value: Any, **fields: Any) -> "JobReturn":
    """How a job ended, as a launcher tells it: Hydra sets the value itself where its own function ran the job."""
    from hydra.core.utils import JobReturn

    return JobReturn(**fields, _return_value=value)


_ALONE = threading.RLock()


@contextmanager
def set_aside() -> Iterator[None]:
    """Within, Hydra is as in a fresh process, whatever application runs around it; afterwards it is as it was.

    Hydra's state is that of the process: another thread waits here until this one has left.
    """
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.singleton import Singleton
    from hydra.core.utils import JobRuntime
    from hydra.version import VersionBase

    changed: tuple[type, ...] = (GlobalHydra, HydraConfig, JobRuntime, VersionBase)
    held: dict[type, Any] = Singleton._instances
    with _ALONE:
        kept = {kind: held.pop(kind) for kind in changed if kind in held}
        try:
            yield
        finally:
            for kind in changed:
                held.pop(kind, None)
            held.update(kept)


_FILES: dict[tuple[str, str, str, int, int], bytes] = {}
"""Yaml files as Hydra has read them, by who asks for what, and the file's time and size."""


@contextmanager
def files_read_once() -> Iterator[None]:
    """Within, Hydra reads a yaml file of this process again only where it has changed: a third of composing."""
    from hydra._internal.core_plugins.file_config_source import FileConfigSource

    read = FileConfigSource.load_config

    def load_config(source: Any, config_path: str) -> Any:
        path = os.path.realpath(os.path.join(source.path, source._normalize_file_name(config_path)))  # noqa: PTH118
        try:
            state = os.stat(path)  # noqa: PTH116 - as Hydra itself names it
        except OSError:
            return read(source, config_path)
        key = (source.provider, source.path, path, state.st_mtime_ns, state.st_size)
        if key not in _FILES:
            _FILES[key] = pickle.dumps(read(source, config_path))
        return pickle.loads(_FILES[key])  # noqa: S301 - our own bytes, of this process

    FileConfigSource.load_config = load_config  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        FileConfigSource.load_config = read  # type: ignore[method-assign]


def context_of(loader: Any, config: "DictConfig") -> "HydraContext":
    """What Hydra hands to sweepers and launchers, with the callbacks that a configuration names."""
    from hydra._internal.callbacks import Callbacks
    from hydra.types import HydraContext

    return HydraContext(config_loader=loader, callbacks=Callbacks(config))


def completions(loader: Any, line: str) -> list[str]:
    """What the last word of `-m KEY=VALUE ... WORD` can become."""
    from hydra._internal.core_plugins.bash_completion import BashCompletion

    return list(BashCompletion(loader)._query(config_name="config", line=line))


# Its configuration

UNNAMED_GROUPS = ("env",)
"""Keys of Hydra's own part that its class doesn't name."""


def full_key(node: Any) -> str:
    """Where a node stands in its configuration, as `model.bottleneck` or `trainer.callbacks[0]`."""
    from omegaconf import ListConfig

    parent = node._get_parent()
    if isinstance(parent, ListConfig):
        return f"{full_key(parent)}[{node._key()}]"
    return str(node._get_full_key(None))


def written_below(node: Any, key: Any) -> Any:
    """The mapping under a key as it is written; None where that is another value, null or refers to one."""
    from omegaconf import DictConfig

    child = node._get_node(key)
    return child if isinstance(child, DictConfig) and not child._is_none() and not child._is_interpolation() else None


# Its messages, of which blanks and new lines have become one blank each

NO_CHOICE = re.compile(r"Could not find '([^']+)/([^'/]+)' Available options in '[^']+': (.*) Config search")
"""Of a group: its name, the choice, those that there are."""
SEVERAL_VALUES = re.compile(r"Ambiguous value for argument '([^=]+)=(.*?)' 1\. ")
"""Where there is room for one: the key, the values."""
KEY_IS_THERE = re.compile(r"An item is already at '([^']+)'")
"""What + would add."""
NO_KEY = re.compile(r"Could not override '([^']+)'|not in struct.*full_key: (\S+)")
"""What is to be changed isn't there."""
NODE_AT_FAULT = re.compile(r"full_key: (\S+)")
"""Which node could not be made to an object."""
DETAILS = re.compile(r"\s*(full_key|object_type|reference_type)[:=]\s*\S+")
"""What OmegaConf adds for those who write programs."""
BEFORE_UNREADABLE, AFTER_UNREADABLE = re.compile("^[A-Za-z]+Exception: "), " See https"
"""Around the reason why its grammar can't read a word."""
