"""What earlier versions recorded loads, gives the same numbers, is evaluated and goes on (see `recorded/record.py`)."""

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

import hourglass
from hourglass.configuration.composition import compose_config
from hourglass.data import Dataset
from hourglass.pipeline.evaluate import evaluate
from hourglass.pipeline.train import train
from hourglass.tracking import Run, initialise_store
from recorded.record import HELD, KINDS, SMALL

NAMES = sorted(path.name for path in HELD.iterdir())


class Old:
    """A recorded run in a store of its own, as it would be found there."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.uri = f"sqlite:///{folder}/mlflow.db"
        self.said: dict[str, Any] = json.loads((HELD / name / "run.json").read_text(encoding="utf-8"))
        initialise_store(self.uri)
        client = MlflowClient(self.uri)
        experiment = client.create_experiment("hourglass", artifact_location=str(folder / "mlartifacts"))
        tags = self.said["tags"]
        self.id: str = client.create_run(experiment, tags=tags, run_name=tags["mlflow.runName"]).info.run_id
        for key, value in self.said["params"].items():
            client.log_param(self.id, key, value)
        for key, value in self.said["metrics"].items():
            client.log_metric(self.id, key, value)
        for file in sorted((HELD / name).rglob("*")):
            if file.is_file() and file.name != "run.json":
                inside = str(file.parent.relative_to(HELD / name))
                client.log_artifact(self.id, str(file), None if inside == "." else inside)
        Run.join(self.id, uri=self.uri).log_dataset("digits", self.said["digest"], {"train": 200})
        client.set_terminated(self.id)

    def words(self) -> list[str]:
        return [*SMALL, *KINDS[self.name], f"tracking.uri={self.uri}"]


@pytest.fixture(params=NAMES)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Old:
    return Old(request.param, tmp_path)


def data_of(old: Old) -> Dataset:
    from hourglass.pipeline.compose import compose

    return compose(compose_config(old.words())[0]).data


@pytest.mark.long
def test_an_old_run_loads_is_evaluated_and_goes_on(old: Old, tmp_path: Path) -> None:
    model, data = hourglass.load(old.id, uri=old.uri), data_of(old)
    x = data.scaled(data.test.x)
    if "noise" not in " ".join(KINDS[old.name]):  # else the test's input was corrupted
        error = (model(x).reconstruction - x).square().mean().item()
        assert error == pytest.approx(old.said["metrics"]["test/mse"], rel=1e-4)
    assert model.encode(x).shape == (len(x), int(old.said["params"]["model.code_size"]))

    _, measured = evaluate(old.id, [], uri=old.uri)
    compared = {"test/mse", "test/reconstruction", "test/accuracy"} & measured.keys() & old.said["metrics"].keys()
    assert compared
    for name in compared:
        assert measured[name] == pytest.approx(old.said["metrics"][name], rel=1e-4)

    config, choices = compose_config([*old.words(), f"resume={old.id}", "training.epochs=3"])
    result = train(config, choices=choices, folder=tmp_path)
    assert result.run.id == old.id
    assert result.parts.learner.steps_done == 3 * -(-len(data.train.x) // 50)


def test_an_old_classifier_answers_as_it_did(tmp_path: Path) -> None:
    old = Old("classifier", tmp_path)
    data = data_of(old)
    assert data.test.y is not None
    classifier = hourglass.load_classifier(old.id, uri=old.uri)
    right = classifier(data.scaled(data.test.x)).argmax(1).eq(data.test.y).float().mean().item()
    assert right == pytest.approx(old.said["metrics"]["test/accuracy"])
