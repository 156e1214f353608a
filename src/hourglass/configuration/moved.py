"""Names that earlier versions recorded, and those that they have now: what was trained once stays of use.

A run keeps its whole configuration, with the classes and functions that it is made of. Where one of them moves, or a
key, its old name goes into a table below, and nowhere else.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

MOVED = {
    "hourglass.recording.Recorder": "hourglass.pipeline.recorder.Recorder",
}
"""What a `_target_` was called, and what it is called now."""

SCHEDULES: dict[str, dict[str, Any]] = {
    "constant": {
        "_target_": "torch.optim.lr_scheduler.ConstantLR",
        "_partial_": True,
        "factor": 1.0,
        "total_iters": 1,
        "every": "epoch",
    },
    "cosine": {
        "_target_": "torch.optim.lr_scheduler.CosineAnnealingLR",
        "_partial_": True,
        "T_max": None,
        "eta_min": 0.0,
        "every": "step",
    },
}
"""The values of `training.schedule`, and the group that each is now."""

ADDED: dict[str, Any] = {
    "condition": {"_target_": "hourglass.models.Unconditional"},
    "sampler": {"_target_": "hourglass.samplers.NoSampler"},
    "schedule": SCHEDULES["constant"],
}
"""Groups that records of earlier versions lack, and what stands for what those did."""

LATER: dict[str, dict[str, Any]] = {
    "hourglass.bottlenecks.Binary": {"deviation": None},
    "hourglass.bottlenecks.Categorical": {"deviation": None},
    "hourglass.bottlenecks.FiniteScalar": {"deviation": None},
}
"""Keys that a class got later and whose default is not what it did before, with the values that are."""

CALLBACKS = {
    "image_count": "pictures.count",
    "image_every": "pictures.every",
    "code_map": "pictures.code_map",
    "probe_samples": "usefulness.probe_samples",
    "likelihood_draws": "usefulness.likelihood_draws",
    "likelihood_samples": "usefulness.likelihood_samples",
    "baseline_samples": "baselines.samples",
    "checkpoint_every": "checkpoints.every",
}
"""Keys of `tracking` that callbacks have now, below `callback`."""

SWITCHES = {
    "images": ("pictures",),
    "usefulness": ("floor", "usefulness", "properties"),
    "baseline_samples": ("baselines",),
}
"""Keys of `tracking` that left callbacks out, where they were false or null, and those callbacks."""


def advice(key: str) -> str | None:
    """What to write instead of a key that there was; None where there was none of that name."""
    if key == "training.schedule":
        return f"{key} has moved: write schedule=..., one of {', '.join(SCHEDULES)} as before, or another of the group"
    group, _, name = key.partition(".")
    if group != "tracking" or name not in {*CALLBACKS, *SWITCHES}:
        return None
    said = [f"callback.{CALLBACKS[name]}=..."] if name in CALLBACKS else []
    if name in SWITCHES:
        said.append(f"{' '.join(f'~callback.{each}' for each in SWITCHES[name])} (or callback=quick) to leave it out")
    return f"{key} has moved: write {', or '.join(said)}"


def modern(config: Mapping[Any, Any]) -> dict[Any, Any]:
    """A recorded configuration, plain values of any kind, in the names of today."""
    found = {**deepcopy(ADDED), **{key: _renamed(value) for key, value in config.items()}}
    training = found.get("training")
    if isinstance(training, dict) and training.get("schedule") in SCHEDULES:
        found["schedule"] = deepcopy(SCHEDULES[training.pop("schedule")])
    if not isinstance(found.get("callback"), dict):
        tracking = found.get("tracking")
        found["callback"] = _callbacks(tracking) if isinstance(tracking, dict) else {}
    return found


def _renamed(node: Any) -> Any:
    if isinstance(node, dict):
        later = LATER.get(str(node.get("_target_")), {})
        return {**later, **{key: _renamed(value) for key, value in node.items()}, **_target(node)}
    if isinstance(node, list):
        return [_renamed(value) for value in node]
    return node


def _target(node: dict[Any, Any]) -> dict[str, str]:
    target = node.get("_target_")
    return {"_target_": MOVED[target]} if isinstance(target, str) and target in MOVED else {}


def _callbacks(tracking: dict[Any, Any]) -> dict[str, Any]:
    """The group `callback` that the keys of `tracking` stand for, which are taken out of it."""
    names = ("progress", "pictures", "floor", "usefulness", "properties", "baselines", "health", "checkpoints")
    callbacks: dict[str, Any] = {name: {"_target_": f"hourglass.callbacks.{name.capitalize()}"} for name in names}
    callbacks["baselines"]["picture"] = bool(tracking.get("images", True))
    for key, left_out in SWITCHES.items():
        if key in tracking and not tracking[key]:
            for name in left_out:
                callbacks.pop(name)
    for key, place in CALLBACKS.items():
        name, _, setting = place.partition(".")
        if key in tracking and name in callbacks:
            callbacks[name][setting] = tracking[key]
    for key in {*CALLBACKS, *SWITCHES}:
        tracking.pop(key, None)
    return callbacks
