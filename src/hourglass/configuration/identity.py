"""What tells one training from another: a hash of all that is computed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

UNNAMED = ("tracking", "callback", "name", "resume", "study", "sweep")
"""Keys at the top of a configuration that say nothing of what is computed, but how and where it is recorded."""


def config_hash(config: Mapping[str, Any]) -> str:
    """A name for what was computed: 16 hex digits over the resolved configuration, without where it is recorded."""
    relevant = {key: value for key, value in config.items() if key not in UNNAMED}
    if others := callbacks_of_others(config):
        relevant["callback"] = others
    if order := noise_order(config):
        relevant["noise order"] = order
    return hashlib.sha256(json.dumps(relevant, sort_keys=True, default=str).encode()).hexdigest()[:16]


def callbacks_of_others(config: Mapping[str, Any]) -> dict[str, Any]:
    """The callbacks that a person chose besides ours, by name: they may change what is computed, ours never do."""
    chosen = config.get("callback") or {}
    return {
        name: node
        for name, node in chosen.items()
        if isinstance(node, Mapping) and not str(node.get("_target_", "hourglass.")).startswith("hourglass.")
    }


def noise_order(config: Mapping[str, Any]) -> list[str]:
    """The names of several noise processes in the order in which they are applied, which sorted keys don't tell.

    Empty for a single one or none, whose runs keep the hash that they were recorded with.
    """
    noise = config.get("noise")
    names = [name for name, node in noise.items() if isinstance(node, Mapping)] if isinstance(noise, Mapping) else []
    return names if len(names) > 1 else []
