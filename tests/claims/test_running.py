"""Claims from files to a page, with real trainings on real data."""

import csv
from pathlib import Path

import pytest
import yaml

from hourglass.commands.main import main
from hourglass.tracking import search_runs

OWN = """
def size(model, data, *, seed, times):
    return {"size": times * model.code_size + len(data.test) * 0}


def constant(*, seed, value):
    return {"value": value + seed}


def nothing(model, data, *, seed):
    return {}
"""
WORDS = ["data=digits", "training.epochs=2", "callback=quick", "trainer=fast", "model=vanilla"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_measures.py").write_text(OWN)
    return tmp_path


def write(name: str, **content: object) -> None:
    Path(f"{name}.yaml").write_text(yaml.safe_dump({"claim": "Larger codes lose less.", "words": WORDS, **content}))


def test_a_claim_is_trained_measured_and_judged_once(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        "sizes",
        arms={
            "small": ["model.code_size=2"],
            "large": ["model.code_size=16"],
            "noisy": {"of": "large", "evaluate": ["noise=masking"]},
            "size": {"of": "small", "measure": {"_target_": "own_measures.size", "times": 3}},
            "bytes": {"measure": {"_target_": "own_measures.constant", "value": 5}},
        },
        seeds=3,
        expect=["large < small", "large < noisy", '5.5 < size["size"] < 6.5', 'bytes["value"] > 4'],
    )
    write("known", why_not="It is a definition.")
    assert main(["claim", ".", "into=page.md", "sweep.workers=1"]) == 0
    said = capsys.readouterr().out
    assert "NOT TESTED  known" in said
    runs = {
        kind: search_runs(f"sqlite:///{place}/mlflow.db", None, f"tags.kind = '{kind}'")
        for kind in ("training", "evaluation", "measurement", "study")
    }
    assert {kind: len(found) for kind, found in runs.items()} == {
        **{"training": 6, "evaluation": 3, "measurement": 6, "study": 1}
    }
    page = Path("page.md").read_text()
    assert "| It is a definition." not in page.split("## sizes")[1]
    assert Path("page/sizes.png").stat().st_size > 5_000
    rows = list(csv.DictReader(Path("page/results.csv").read_text().splitlines()))
    assert {(row["arm"], row["metric"]) for row in rows} == {
        *((arm, "test/mse") for arm in ("small", "large", "noisy")),
        ("size", "size"),
        ("bytes", "value"),
    }
    assert [float(row["value"]) for row in rows if row["arm"] == "bytes"] == [5, 6, 7]
    # The same again is read, not trained, and says the same.
    assert main(["claim", "sizes.yaml", "known.yaml", "into=again.md"]) == 0
    again = search_runs(f"sqlite:///{place}/mlflow.db", None, "")
    assert len(again) == 16
    assert Path("again/results.csv").read_text() == Path("page/results.csv").read_text()


def test_claims_that_share_a_training_get_the_measurements_of_each(place: Path) -> None:
    arms = {"small": ["model.code_size=2"], "large": ["model.code_size=16"]}
    write("error", arms=arms, seeds=3, expect="large < small")
    probed = [*WORDS[:2], "callback=[quick,floor]", *WORDS[3:]]
    share = 'large["test/mse_over_linear"] < small["test/mse_over_linear"]'
    write("over", arms=arms, words=probed, seeds=3, expect=share)
    assert main(["claim", ".", "into=page.md"]) == 0
    uri = f"sqlite:///{place}/mlflow.db"
    assert len(search_runs(uri, None, "tags.kind = 'training'")) == 6
    # What was recorded without a measurement that another claim asks for is trained again, and found after that.
    write("likeness", arms=arms, words=[*WORDS[:2], "callback=[quick,properties]", *WORDS[3:]], seeds=3, expect=share)
    for _ in range(2):
        main(["claim", "likeness.yaml", "into=page.md"])
        assert len(search_runs(uri, None, "tags.kind = 'training'")) == 12


@pytest.mark.usefixtures("place")
def test_an_arm_that_fails_leaves_the_others_their_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    arms = {"a": ["model.code_size=2"], "b": {"of": "a", "measure": {"_target_": "own_measures.nothing"}}}
    write("broken", arms=arms, seeds=3, expect="a < b")
    write("refused", arms={"a": ["model.code_size=2"], "b": ["model.code_size=-1"]}, seeds=3, expect="a < b")
    write("fine", arms={"a": ["model.code_size=2"]}, seeds=3, expect="a > 0")
    assert main(["claim", "broken.yaml", "refused.yaml", "fine.yaml"]) == 1
    said = capsys.readouterr().out
    assert "CONFIRMED   fine" in said
    assert "own_measures.nothing must return numbers by name, got {}" in said
    assert "arm b, seed 0: model.code_size must be at least 1, got -1" in said


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["claim"], "required: FILE.yaml"),
        (["claim", "none.yaml"], "none.yaml: No such file"),
        (["claim", "quick=true"], "at least one file"),
        (["claim", "some.yaml", "quick=yes"], "quick must be one of true, false, got yes"),
        (["claim", "some.yaml", "into=page.html"], "into must be a .md file, got page.html"),
        (["claim", "some.yaml", "qick"], "claim takes files and KEY=VALUE words, got qick"),
        (["claim", "some.yaml", "trainr=fast"], "trainr: no such key"),
        (["claim", "wrong.yaml"], "wrong.yaml, arm a: model=none: no such choice"),
        (["claim", "some.yaml", "some.yaml"], "names of their own, got some.yaml twice"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_recorded(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write("some", arms={"a": []}, expect="a > 0")
    write("wrong", arms={"a": ["model=none"]}, expect="a > 0")
    assert main(words) == 2
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1
    assert not Path("mlflow.db").exists()
