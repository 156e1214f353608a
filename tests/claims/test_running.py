"""Claims from files to a page, with real trainings on real data."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml

from hourglass.commands.main import main
from hourglass.tracking import search_runs
from hourglass.tracking.store import open_client

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


@pytest.mark.long
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
    # On other data a model is measured as its training was, and no further.
    assert not any("test/knn_accuracy" in run.data.metrics for run in runs["evaluation"])
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


@pytest.mark.long
def test_a_function_that_is_written_anew_measures_anew(place: Path) -> None:
    write("value", arms={"a": {"measure": {"_target_": "own_measures.constant", "value": 5}}}, expect='a["value"] > 4')
    path = place / "own_measures.py"
    written = path.read_text()

    def values() -> list[float]:
        assert main(["claim", "value.yaml", *rerun]) == 0
        found = search_runs(f"sqlite:///{place}/mlflow.db", None, "tags.kind = 'measurement'")
        return sorted(run.data.metrics["value"] for run in found)

    rerun: list[str] = []
    once = values()
    assert values() == once
    path.write_text(written.replace('"value": value + seed', '"value": value + seed + 100'))
    anew = values()
    assert len(anew) == 2 * len(once)
    assert anew[-1] == once[-1] + 100
    path.write_text(written)
    assert values() == anew  # what it was is known
    rerun = ["sweep.rerun=true"]
    assert values() == sorted([*anew, *once])


@pytest.mark.long
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


@pytest.mark.long
def test_probes_that_two_claims_ask_of_one_training_are_both_made(place: Path) -> None:
    arms = {"small": ["model.code_size=2"]}

    def ask(name: str, probe: str) -> None:
        callbacks = ["callback=[quick,usefulness]", f"callback.usefulness.probes=[{probe}]"]
        metric = f"test/{probe}_accuracy"
        write(name, arms=arms, words=[*WORDS[:2], *callbacks, *WORDS[3:]], seeds=3, metric=metric, expect="small > 0.2")

    ask("near", "knn")
    ask("straight", "linear")
    assert main(["claim", "near.yaml", "straight.yaml", "into=page.md"]) == 0
    found = search_runs(f"sqlite:///{place}/mlflow.db", None, "tags.kind = 'training'")
    assert len(found) == 3
    assert {run.data.params["callback.usefulness.probes"] for run in found} == {"[knn, linear]"}
    assert all("test/mlp_accuracy" not in run.data.metrics for run in found)
    # One of them is found again; a probe that nobody asked for is not there, and makes a training.
    ask("curved", "mlp")
    for name, trainings in (("near", 3), ("curved", 6)):
        assert main(["claim", f"{name}.yaml", "into=page.md"]) == 0
        assert len(search_runs(f"sqlite:///{place}/mlflow.db", None, "tags.kind = 'training'")) == trainings


@pytest.mark.long
def test_a_claim_that_asks_for_one_more_measurement_is_measured(place: Path) -> None:
    arms = {"small": ["model.code_size=2"]}
    asked = [
        ("callback=quick", [], "small > 0"),
        ("callback=[quick,floor]", [], 'small["test/linear_mse"] > 0'),
        ("callback=[quick,usefulness]", ["callback.usefulness.probes=[knn]"], 'small["test/knn_accuracy"] > 0.2'),
        # Another value of a key is another measurement.
        (
            "callback=[quick,usefulness]",
            ["callback.usefulness.probes=[knn]", "callback.usefulness.probe_samples=100"],
            'small["test/knn_accuracy"] > 0.2',
        ),
    ]
    for studies, (chosen, keys, expect) in enumerate(asked, start=1):
        write("grows", arms=arms, words=[*WORDS[:2], chosen, *keys, *WORDS[3:]], seeds=3, expect=expect)
        for _ in range(2):  # and is found after that
            assert main(["claim", "grows.yaml"]) == 0
            uri = f"sqlite:///{place}/mlflow.db"
            assert len(search_runs(uri, None, "tags.kind = 'training'")) == 3 * studies
            assert len(search_runs(uri, None, "tags.kind = 'study'")) == studies
    # What was cut off is trained in the study that it belonged to.
    latest = search_runs(uri, None, "tags.kind = 'training'")[0]
    open_client(uri).update_run(latest.info.run_id, status="KILLED")
    assert main(["claim", "grows.yaml"]) == 0
    assert len(search_runs(uri, None, "tags.kind = 'training'")) == 3 * studies + 1
    assert len(search_runs(uri, None, "tags.kind = 'study'")) == studies


def test_one_training_can_not_be_measured_in_two_ways(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    probed = ["callback=[quick,usefulness]", "callback.usefulness.probe_samples=500"]
    for name, words in (("many", probed[:1]), ("few", probed)):
        write(name, arms={"a": []}, words=[*WORDS[:2], *words, *WORDS[3:]], seeds=3, expect="a > 0")
    assert main(["claim", "many.yaml", "few.yaml"]) == 2
    assert (
        "many, arm a, and few, arm a, are the same training, measured in two ways:"
        " callback.usefulness.probe_samples is 10000 and 500"
    ) in capsys.readouterr().err
    assert not (place / "mlflow.db").exists()


@pytest.mark.long
def test_a_claim_about_a_file_that_has_changed_since_says_so(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = ["data=npy", "data.path=x.npy", *WORDS[1:]]
    write("mine", arms={"a": ["model.code_size=2"]}, words=words, seeds=3, expect="a > 0")
    for seed, warnings in ((0, 0), (0, 0), (1, 1)):
        np.save("x.npy", np.random.default_rng(seed).random((60, 5), dtype=np.float32))
        assert main(["claim", "mine.yaml"]) == 0
        assert caplog.text.count("data.path=x.npy has changed since") == warnings
    assert len(search_runs(f"sqlite:///{place}/mlflow.db", None, "tags.kind = 'training'")) == 3


@pytest.mark.long
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
