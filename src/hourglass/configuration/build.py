"""From a node of the configuration to the object that it describes.

The constructors are the schema: `build` checks the values against their type hints before it calls them (`schema`), so
that a mistake is one line that names the full key.
"""

import re
from collections.abc import Mapping
from typing import Any

from hourglass.configuration.hydra_internals import NODE_AT_FAULT, full_key
from hourglass.configuration.kinds import check_kind
from hourglass.configuration.schema import MissingKey, check, is_own, misfit
from hourglass.system.errors import HourglassError
from hourglass.system.torch_internals import TRACE


def build(config: Any, kind: type = object, /, **arguments: Any) -> Any:
    """Instantiate a node of the configuration with Hydra; a mistake in it becomes a `HourglassError`.

    Args:
        config: the node.
        kind: what it must make.
        arguments: passed to the node's own target as they are, not through the configuration.
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
        made = hydra.utils.instantiate(config, _partial_=True, _convert_="all")(**arguments)
        check_kind(key, config._target_, made, kind)
        return made
    except InstantiationException as error:
        found = NODE_AT_FAULT.search(str(error))
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
    message = " ".join(str(error).split()).partition(TRACE)[0]  # without torch's own traceback
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
