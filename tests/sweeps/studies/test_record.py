"""A real study and what its run shows: real Hydra, real processes, real MLflow on real sqlite."""

import csv
import io
import json
import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hourglass.commands.main import main
from hourglass.sweeps.slots import PRELOAD
from hourglass.sweeps.studies import StudyRecorder, recorder
from hourglass.sweeps.studies.record import Request, read, record, record_refused
from hourglass.tracking import Run, search_runs

WORDS = [
    *("train", "-m", "data=digits", "data.train_size=200", "training.epochs=1"),
    *("callback=quick", "sweep.workers=2"),
    *("model.code_size=2,9", "model.depth=0,1"),
]


class Study:
    """The run of a finished study of 2 x 2 jobs."""

    def __init__(self, folder: Path) -> None:
        self.uri = f"sqlite:///{folder}/mlflow.db"
        (found,) = search_runs(self.uri, None, "tags.kind = 'study'")
        self.run = Run.find(found.info.run_id, self.uri)

    @property
    def children(self) -> list[Any]:
        return search_runs(self.uri, None, "tags.kind = 'training'")

    def pictures(self) -> list[tuple[str, int, tuple[int, int]]]:
        """Name, step and size of each."""
        from mlflow import MlflowClient

        client = MlflowClient(self.uri)
        files = [file.path for file in client.list_artifacts(self.run.id, "images") if file.path.endswith(".png")]
        found = []
        for path in files:
            name, _, step, *_ = Path(path).name.split("+")
            found.append((name.replace("~", "/"), int(step), Image.open(self.run.artifact(path)).size))
        return sorted(found)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """In this process, so that all tests share one fork server; drawn at the first job's end and at the last one's."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", sys.argv)
        patch.setattr(recorder, "PAUSE", 0.0)
        assert main(WORDS) == 0
    yield Study(folder)
    root.handlers[:], level = before
    root.setLevel(level)


def test_the_study_names_its_best_run_and_lists_its_jobs(study: Study) -> None:
    errors = {child.info.run_id: child.data.metrics["test/mse"] for child in study.children}
    best = min(errors, key=errors.__getitem__)
    assert study.run.tags["best_run"] == best
    history = study.run.history("study/best_test_mse")
    assert len(history) == 2  # one while they ran
    assert history[-1] == (4, pytest.approx(errors[best]))
    lines = list(csv.DictReader(io.StringIO(study.run.artifact("study/jobs.csv").read_text(encoding="utf-8"))))
    points = {(line["model.code_size"], line["model.depth"]) for line in lines}
    assert points == {("2", "0"), ("2", "1"), ("9", "0"), ("9", "1")}
    assert list(lines[0])[:4] == ["model.code_size", "model.depth", "status", "test/mse"]
    assert [float(line["test/mse"]) for line in lines] == sorted(errors.values())
    assert {line["run_id"]: float(line["test/mse"]) for line in lines} == errors
    assert {line["status"] for line in lines} == {"FINISHED"}
    assert all(float(line["seconds"]) > 0 for line in lines)
    assert study.pictures() == []  # as the jobs themselves: callback=quick


def test_the_pictures_come_at_a_step_and_once_more_at_step_0(study: Study, tmp_path: Path) -> None:
    for _ in range(2):  # the final ones are replaced
        found = record(Request(study.run.id, study.uri, pictures=True, folder=str(tmp_path)))
    assert found.missing == ""
    assert f"run {study.run.tags['best_run']}" in found.best
    pictures = study.pictures()
    names = ("curves", "heat_map", "mosaic")
    assert [(name, step) for name, step, _ in pictures] == [
        *((f"final/{name}", 0) for name in names),
        *((f"study/{name}", 4) for name in names for _ in range(2)),
    ]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [f"{name}.png" for name in names]
    assert {Path(path).name for path in found.files} == {f"{name}.png" for name in names}
    assert all(Image.open(study.run.artifact(f"pictures/{name}.png")).width <= 860 for name in names)
    assert all(300 < width < 1700 and 200 < height < 1200 for _, _, (width, height) in pictures)
    note = study.run.tags["mlflow.note.content"]
    best = study.run.tags["best_run"]
    assert note.startswith("**Best: code size ")
    assert f"](#/experiments/{study.run.experiment_id}/runs/{best})" in note.splitlines()[0]
    assert note.splitlines()[0].endswith("; 4 of 4 jobs finished.")
    for name in names:
        assert f"![{name}](get-artifact?path=pictures%2F{name}.png&run_uuid={study.run.id})" in note
    assert "report.html" in note  # which the sweep left
    assert "hourglass train -m data=digits data.train_size=200" in note


def test_a_job_that_is_refused_is_a_line_of_its_study_until_it_runs(study: Study) -> None:
    point = {"model.code_size": "9", "model.depth": "-1"}
    record_refused(study.run, {"a key": (point, "depth must be at least 0, got -1")})
    record_refused(study.run, {"another": ({**point, "model.code_size": "2"}, "see http://me:secret@there")})
    study.run.log_text("<html></html>", "report.html")
    record(Request(study.run.id, study.uri, pictures=False))
    rows = [row for row in read(study.run.id, uri=study.uri).ranked if row.status == "REFUSED"]
    assert [(row.point["model.code_size"], row.failure) for row in rows] == [
        ("2", "see http://me:***@there"),
        ("9", "depth must be at least 0, got -1"),
    ]
    note = study.run.tags["mlflow.note.content"]
    assert "4 of 6 jobs finished, 2 refused" in note
    assert "- refused: model.code_size=9 model.depth=-1: depth must be at least 0, got -1" in note
    assert f"runs/{study.run.id}/artifacts/report.html)" in note
    done = study.children[0].data.tags["machine.config_hash"]
    study.run.log_text(json.dumps({done: {"point": point, "reason": "mended since"}}), "study/refused.json")
    assert {row.status for row in read(study.run.id, uri=study.uri).rows} == {"FINISHED"}


def test_a_run_that_is_still_going_is_shown_as_that(study: Study) -> None:
    going = next(child for child in study.children if child.data.params["model.code_size"] == "9")
    run = Run.join(going.info.run_id, uri=study.uri)
    try:
        table = read(study.run.id, uri=study.uri)
    finally:
        run.finish()
    assert table.values == {"model.code_size": ["2", "9"], "model.depth": ["0", "1"]}
    depth = going.data.params["model.depth"]
    assert table.states(table.shown)["9", depth] == {"RUNNING": 1}
    assert len(table.finished) == 3


def test_a_drawing_that_fails_costs_a_warning(study: Study, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = next(Path(study.uri.removeprefix("sqlite:///")).parent.glob(f"mlartifacts/*/{study.run.id}"))
    files.rename(tmp_path / "away")
    files.write_text("where the files of the run would go")
    try:
        with (
            caplog.at_level(logging.WARNING, logger="hourglass"),
            StudyRecorder(run=study.run, pictures=True, preload=PRELOAD) as by,
        ):
            by.refresh()
    finally:
        files.unlink()
        shutil.move(tmp_path / "away", files)
    (warning,) = [each.getMessage() for each in caplog.records if each.name == "hourglass"]
    assert warning.startswith(f"the study {study.run.id} is not drawn: ")
    assert "\n" not in warning


def test_after_an_error_nothing_is_drawn(study: Study, caplog: pytest.LogCaptureFixture) -> None:
    points = len(study.run.history("study/best_test_mse"))

    def interrupted() -> None:
        with StudyRecorder(run=study.run, pictures=True, preload=PRELOAD) as by:
            by.refresh()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(study.run.history("study/best_test_mse")) == points
    assert not caplog.records


def test_a_damaged_job_is_left_out_of_the_pictures_and_named(study: Study) -> None:
    victims = {
        child.data.params["model.code_size"]: child
        for child in study.children
        if child.data.params["model.depth"] == "0"
    }
    folder = next(Path(study.uri.removeprefix("sqlite:///")).parent.glob(f"mlartifacts/*/{victims['2'].info.run_id}"))
    other = folder.with_name(victims["9"].info.run_id)
    whole = {
        path: path.read_bytes() for path in (folder / "artifacts/weights.safetensors", other / "artifacts/config.yaml")
    }
    try:
        for path, content in whole.items():
            path.write_bytes(content[: len(content) // 3])
        found = record(Request(study.run.id, study.uri, pictures=True))
        assert found.missing == ""
        assert len(found.damaged) == 2
        for victim in victims.values():
            (line,) = [line for line in found.damaged if victim.info.run_id in line]
            assert line.startswith(f"model.code_size={victim.data.params['model.code_size']} model.depth=0, run ")
            assert "is left out: " in line
    finally:
        for path, content in whole.items():
            path.write_bytes(content)
    assert record(Request(study.run.id, study.uri, pictures=True)).damaged == ()
