"""Names that earlier versions recorded, and those that they have now: what was trained once stays of use.

A run keeps its whole configuration, with the classes and functions that it is made of. Where one of them moves, its
old name goes into the table below, and nowhere else.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

MOVED = {
    "hourglass.recording.Recorder": "hourglass.pipeline.recorder.Recorder",
}
"""What a `_target_` was called, and what it is called now."""

ADDED: dict[str, Any] = {"sampler": {"_target_": "hourglass.samplers.NoSampler"}}
"""Groups that records of earlier versions lack, and what stands for what those did."""


def modern(config: Mapping[Any, Any]) -> dict[Any, Any]:
    """A recorded configuration, plain values of any kind, in the names of today."""
    return {**deepcopy(ADDED), **{key: _renamed(value) for key, value in config.items()}}


def _renamed(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _renamed(value) for key, value in node.items()} | _target(node)
    if isinstance(node, list):
        return [_renamed(value) for value in node]
    return node


def _target(node: dict[Any, Any]) -> dict[str, str]:
    target = node.get("_target_")
    return {"_target_": MOVED[target]} if isinstance(target, str) and target in MOVED else {}
