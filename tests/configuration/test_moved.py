"""What earlier versions recorded, in the names of today; and the words that they were typed with."""

from importlib import import_module
from typing import Any

import pytest

from hourglass.configuration.moved import MOVED, SCHEDULES, advice, modern

TRACKING: dict[str, Any] = {
    "_target_": "hourglass.recording.Recorder",
    "uri": None,
    "log_every_n_steps": 50,
    "images": True,
    "image_count": 7,
    "image_every": None,
    "code_map": "tsne",
    "usefulness": True,
    "probe_samples": 100,
    "likelihood_draws": 5,
    "likelihood_samples": 50,
    "baseline_samples": 20,
    "checkpoint_every": 2,
}


@pytest.mark.parametrize("target", MOVED.values())
def test_what_has_moved_is_there(target: str) -> None:
    module, _, name = target.rpartition(".")
    assert hasattr(import_module(module), name)


def test_a_class_that_moved_is_found_wherever_it_stands() -> None:
    old = "hourglass.recording.Recorder"
    found = modern({"a": [{"_target_": old, "b": {"_target_": old}}], "tracking": {}})
    assert found["a"] == [{"_target_": MOVED[old], "b": {"_target_": MOVED[old]}}]


def test_a_key_that_came_later_is_what_the_class_did_before() -> None:
    binary = {"_target_": "hourglass.bottlenecks.Binary", "_partial_": True}
    found = modern({"model": {"bottleneck": binary}, "tracking": {}})
    assert found["model"]["bottleneck"] == {**binary, "deviation": None}
    now = {**binary, "deviation": 2.0}
    assert modern({"model": {"bottleneck": now}, "tracking": {}})["model"]["bottleneck"] == now


def test_keys_of_tracking_become_callbacks() -> None:
    found = modern({"tracking": dict(TRACKING)})
    assert found["tracking"] == {
        "_target_": "hourglass.pipeline.recorder.Recorder",
        "uri": None,
        "log_every_n_steps": 50,
    }
    assert list(found["callback"]) == [
        *("progress", "pictures", "floor", "usefulness", "properties", "baselines", "health", "checkpoints")
    ]
    settings = {name: {k: v for k, v in node.items() if k != "_target_"} for name, node in found["callback"].items()}
    assert settings["pictures"] == {"count": 7, "every": None, "code_map": "tsne"}
    assert settings["usefulness"] == {"probe_samples": 100, "likelihood_draws": 5, "likelihood_samples": 50}
    assert settings["baselines"] == {"samples": 20, "picture": True}
    assert settings["checkpoints"] == {"every": 2}


def test_what_was_left_out_stays_so() -> None:
    found = modern({"tracking": {**TRACKING, "images": False, "usefulness": False, "baseline_samples": None}})
    assert list(found["callback"]) == ["progress", "health", "checkpoints"]
    found = modern({"tracking": {**TRACKING, "images": False}})
    assert "pictures" not in found["callback"]
    assert found["callback"]["baselines"]["picture"] is False


def test_a_record_of_today_stays_as_it_is() -> None:
    config = {
        "tracking": {"uri": None},
        "callback": {"mine": {"_target_": "mypkg.Watch"}},
        "sampler": {"_target_": "x"},
        "schedule": {"_target_": "y"},
        "condition": {"_target_": "z"},
    }
    assert modern(config) == config


@pytest.mark.parametrize("name", ["constant", "cosine"])
def test_the_schedule_of_a_training_is_a_group_now(name: str) -> None:
    found = modern({"training": {"_target_": "x", "schedule": name, "epochs": 3}})
    assert found["schedule"] == SCHEDULES[name]
    assert found["training"] == {"_target_": "x", "epochs": 3}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("tracking.images", "~callback.pictures (or callback=quick) to leave it out"),
        ("tracking.usefulness", "~callback.floor ~callback.usefulness ~callback.properties"),
        ("tracking.code_map", "write callback.pictures.code_map=..."),
        ("training.schedule", "write schedule=..., one of constant, cosine as before"),
        ("tracking.baseline_samples", "write callback.baselines.samples=..., or ~callback.baselines"),
    ],
)
def test_old_words_are_told_the_new_ones(key: str, said: str) -> None:
    told = advice(key)
    assert told is not None
    assert told.startswith(f"{key} has moved: ")
    assert said in told


@pytest.mark.parametrize("key", ["tracking.uri", "model.images", "images"])
def test_other_words_have_not_moved(key: str) -> None:
    assert advice(key) is None
