"""The file of a claim: what it may hold, and what is said of a mistake in it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hourglass.claims import read
from hourglass.system.errors import HourglassError

GOOD: dict[str, Any] = {
    "claim": "A hidden layer is no better\nthan PCA.",
    "source": "documents",
    "words": ["data=digits"],
    "arms": {
        "net": ["model=vanilla"],
        "plain": None,
        "noisy": {"of": "net", "evaluate": ["noise=gaussian"]},
        "own": {"of": "net", "measure": {"_target_": "own.size", "times": 2}},
        "bytes": {"measure": {"_target_": "own.bytes"}},
    },
    "expect": ["plain < net", 'own["size"] > 1'],
}


def written(folder: Path, **changed: object) -> Path:
    path = folder / "some.yaml"
    path.write_text(yaml.safe_dump({key: each for key, each in {**GOOD, **changed}.items() if each != "gone"}))
    return path


def test_a_file_becomes_a_claim(tmp_path: Path) -> None:
    claim = read(written(tmp_path, seeds=[3, 5, 8]))
    assert claim.name == "some"
    assert claim.claim == "A hidden layer is no better than PCA."
    assert (claim.seeds, claim.metric) == ((3, 5, 8), "test/mse")
    assert [each.text for each in claim.expect] == ["plain < net", 'own["size"] > 1']
    assert claim.arms["noisy"].evaluate == ("noise=gaussian",)
    assert read(written(tmp_path)).seeds == (0, 1, 2, 3, 4)


def test_a_hurried_claim_takes_no_longer_than_it_says_anywhere(tmp_path: Path) -> None:
    arms = {"once": ["model=pca", "training.epochs=1"], "long": ["model=vanilla", "training.epochs=30"], "net": []}
    claim = read(written(tmp_path, arms=arms, expect="long < net")).hurried()
    assert claim.words == ("data=digits", "training.epochs=2")
    assert {name: arm.words for name, arm in claim.arms.items()} == {
        "once": ("model=pca", "training.epochs=1"),
        "long": ("model=vanilla",),
        "net": (),
    }
    own = read(written(tmp_path, arms=arms, expect="long < net", quick=["model=multilayer", "data.train_size=100"]))
    assert own.hurried().arms["long"].words == ("training.epochs=30",)
    assert own.hurried().words == ("data=digits", "model=multilayer", "data.train_size=100")
    assert len(own.hurried().seeds) == 3
    small = ["data=digits", "data.train_size=50", "training.epochs=9"]
    own = read(written(tmp_path, words=small, quick=["training.epochs=3", "data.train_size=100"]))
    assert own.hurried().words == ("data=digits", "data.train_size=50", "training.epochs=3")


def test_what_cannot_be_tested_needs_a_reason_only(tmp_path: Path) -> None:
    claim = read(written(tmp_path, arms="gone", expect="gone", why_not="It is a definition."))
    assert (claim.arms, claim.why_not) == ({}, "It is a definition.")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"claim": "gone"}, "claim must be text"),
        ({"expects": "a < b"}, "expects: no such key; nearest: expect"),
        ({"arms": {}}, "arms must hold at least one arm"),
        ({"expect": "gone"}, "expect must be given"),
        ({"expect": "net < none"}, "expect: net < none: none is no arm"),
        ({"words": "data=digits"}, "words must be a list of words"),
        ({"words": ["data"]}, "words: data must be KEY=VALUE"),
        ({"words": ["seed=3"]}, "words: seed=3: seeds, names and the study are the claim's own"),
        ({"seeds": 2}, "seeds must be a number from 3"),
        ({"seeds": [1, 1, 2]}, "seeds must be a number from 3"),
        ({"seeds": [1, 2, -3]}, "seed must be a whole number"),
        ({"arms": {"a b": []}}, "arms.a b: a name must be made of letters"),
        ({"arms": {"a": {"of": "b"}}}, "arms.a must have one of evaluate and measure"),
        ({"arms": {"a": {"evaluate": []}}}, "arms.a.of must name the arm"),
        ({"arms": {"a": {"of": "a", "evaluate": []}, "b": []}}, "arms.a.of must be an arm that is trained, one of b"),
        ({"arms": {"a": {"measure": "own.size"}}}, "arms.a.measure must have a _target_"),
        ({"arms": {"a": 3}}, "arms.a must be a list of words"),
        ({"also": "fit/dead_units"}, "also must be a list of metrics"),
        ({"also": [3]}, "also must be a list of metrics"),
    ],
)
def test_a_mistake_is_one_line_with_the_file(tmp_path: Path, changed: dict[str, object], said: str) -> None:
    path = written(tmp_path, **changed)
    with pytest.raises(HourglassError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: {said}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe", b"- 1", b""])
def test_what_is_no_claim_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.yaml"
    path.write_bytes(content)
    with pytest.raises(HourglassError, match=r"some\.yaml"):
        read(path)
    with pytest.raises(HourglassError, match="No such file"):
        read(tmp_path / "other.yaml")
