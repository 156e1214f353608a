"""The whole pipeline in one process: real data, real MLflow on real sqlite."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import hourglass
from hourglass.configuration.composition import compose_config
from hourglass.measures.health import told
from hourglass.pipeline.train import Result, train, train_once

WORDS = [
    "data=digits",
    "model.code_size=16",
    "noise=masking",
    "regularizer=[l1,l2]",
    "training.epochs=3",
    "training.batch_size=100",
    "tracking.log_every_n_steps=5",
    "study=a question",
]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("train")
    config, choices = compose_config([*WORDS, f"tracking.uri=sqlite:///{folder}/mlflow.db"])
    return train(config, choices=choices, folder=folder)


def test_what_has_been_trained_is_found(tmp_path: Path) -> None:
    quick = ("training.epochs=1", "callback=quick")
    words = ["data=digits", "model.code_size=8", *quick, f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"]
    first, again, other = (train_once([*words, *more], folder=tmp_path) for more in ([], [], ["seed=1"]))
    assert first.id == again.id != other.id
    assert again.metrics == first.metrics
    # A run that measured less, as a trial of a search, does not answer for one that is to be measured by more.
    whole, found = (train_once([*words, "callback=[quick,floor]"], folder=tmp_path) for _ in range(2))
    assert whole.id == found.id != first.id
    assert "test/linear_mse" in whole.metrics


def test_what_has_been_trained_on_a_file_that_has_changed_since_is_found_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.npy"
    words = ["data=npy", f"data.path={path}", "model.code_size=2", "training.epochs=1", "callback=quick"]
    words += [f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"]
    draw = np.random.default_rng(0)
    np.save(path, draw.random((60, 5), dtype=np.float32))
    first = train_once(words, folder=tmp_path)
    assert train_once(words, folder=tmp_path).id == first.id
    assert "has changed" not in caplog.text
    np.save(path, draw.random((60, 5), dtype=np.float32))
    assert train_once(words, folder=tmp_path).id == first.id
    assert f"data.path={path} has changed since runs that are taken were trained on it" in caplog.text
    assert train_once([*words, "sweep.rerun=true"], folder=tmp_path).id != first.id


def test_status_and_metrics(result: Result) -> None:
    assert result.run.status == "FINISHED"
    quality = ["mse", "bce", "bce_excess", "psnr", "ssim", "explained_variance", "psnr_input", "psnr_gain"]
    sparsity = ["code_l0", "code_l1", "code_hoyer", "code_active_fraction", "code_active_units"]
    terms = ["loss", "reconstruction", "l1", "l2"]
    expected = {f"train/{name}" for name in terms}
    expected |= {f"{stage}/{name}" for stage in ("val", "test") for name in [*terms, *quality, *sparsity]}
    expected |= {"test/knn_accuracy", "test/linear_accuracy", "test/mse_over_linear"}
    expected |= {"time/steps_per_second", "time/fit_seconds", "model/parameters"}
    assert expected <= set(result.metrics)
    assert result.metrics["model/parameters"] == 64 * 16 + 16 + 16 * 64 + 64


def test_the_terms_sum_to_the_loss(result: Result) -> None:
    for stage in ("train", "val", "test"):
        parts = sum(result.metrics[f"{stage}/{name}"] for name in ("reconstruction", "l1_weighted", "l2_weighted"))
        assert result.metrics[f"{stage}/loss"] == pytest.approx(parts, rel=1e-5)


def test_points_are_optimizer_steps(result: Result) -> None:
    steps_of_an_epoch = -(-len(result.parts.data.train) // 100)
    assert [step for step, _ in result.run.history("val/mse")] == [steps_of_an_epoch * n for n in (1, 2, 3)]
    points = [step for step, _ in result.run.history("train/loss")]
    assert points[:2] == [5, 10]
    assert points[-1] == 3 * steps_of_an_epoch


def test_tags_say_what_was_chosen(result: Result) -> None:
    tags = result.run.tags
    assert {name: tags[name] for name in ("model", "data", "noise", "regularizer", "study", "kind")} == {
        "model": "vanilla",
        "data": "digits",
        "noise": "masking",
        "regularizer": "l1,l2",
        "study": "a question",
        "kind": "training",
    }
    assert len(tags["machine.config_hash"]) == 16
    assert tags["hourglass_version"]


def test_params_are_the_whole_configuration(result: Result) -> None:
    params = result.run.params
    assert params["model.code_size"] == "16"
    assert params["noise.masking.share"] == "0.5"
    assert params["regularizer.l2.weight"] == "0.0001"
    assert params["trainer.precision"] == "32-true"
    assert not any("${" in value for value in params.values())


def test_artifacts(result: Result) -> None:
    run = result.run
    assert run.read_config()["model"]["code_size"] == 16
    for path in ("weights.safetensors", "checkpoints/last.ckpt"):
        assert run.artifact(path).stat().st_size > 0
    images = sorted(path.name for path in run.artifact("images").iterdir())
    for key in ("reconstructions", "final~reconstructions", "final~code_map", "final~filters"):
        assert any(name.startswith(key) and name.endswith(".png") for name in images), (key, images)
    # The final picture stands at a single step, so that a grid of runs shows them side by side.
    assert len({name for name in images if name.startswith("final~reconstructions") and name.endswith(".png")}) == 1


def test_its_page_says_what_came_of_it(result: Result) -> None:
    run = result.run
    note = run.tags["mlflow.note.content"]
    assert note.startswith(f"**{told(run.tags['health'])}**: test MSE **{run.metrics['test/mse']:.5f}**, PSNR **")
    assert f"![reconstructions](get-artifact?path=pictures%2Freconstructions.png&run_uuid={run.id})" in note
    assert Image.open(run.artifact("pictures/reconstructions.png")).width <= 860
    assert "linear probe" in note


def test_what_is_measured_once_is_at_step_0_and_draws_as_bars(result: Result) -> None:
    measured = [key for key in result.run.metrics if key.startswith(("test/", "fit/"))]
    assert {"test/mse", "test/psnr", "fit/dead_units", "test/linear_mse"} <= set(measured)
    assert {len(result.run.history(key)) for key in measured} == {1}
    assert {step for key in measured for step, _ in result.run.history(key)} == {0}


def test_the_data_set_is_recorded(result: Result) -> None:
    (recorded,) = result.run._client.get_run(result.run.id).inputs.dataset_inputs
    assert recorded.dataset.name == "digits"
    assert result.parts.data.digest.startswith(recorded.dataset.digest)
    assert json.loads(recorded.dataset.profile) == result.parts.data.sizes


def test_load_gives_the_model_that_was_measured(result: Result) -> None:
    model = hourglass.load(result.run.id, uri=result.run.uri)
    data = result.parts.data
    x = data.scaled(data.test.x)
    with torch.no_grad():
        assert torch.equal(model(x).reconstruction, result.parts.model(x).reconstruction)
        assert torch.equal(model.decode(model.encode(x)), model(x).reconstruction)


def test_the_same_configuration_gives_the_same_numbers(result: Result, tmp_path: Path) -> None:
    config, choices = compose_config([*WORDS, f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"])
    again = train(config, choices=choices, folder=tmp_path)
    timed = {"time/steps_per_second", "time/fit_seconds"}
    assert {k: v for k, v in again.metrics.items() if k not in timed} == {
        k: v for k, v in result.metrics.items() if k not in timed
    }
    assert again.run.tags["machine.config_hash"] == result.run.tags["machine.config_hash"]


def test_held_out_rows_outside_the_unit_interval_are_no_obstacle(tmp_path: Path) -> None:
    # Scaled by the training rows' smallest and largest value, other rows can leave [0, 1], where BCE is not defined.
    table = torch.linspace(0, 1, 300 * 4).view(300, 4)[torch.randperm(300, generator=torch.Generator().manual_seed(0))]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(",".join(f"{value:.6f}" for value in row) for row in table.tolist()))
    words = ["data=csv", f"data.path={path}", "model.code_size=2", "training.epochs=1"]
    config, choices = compose_config([*words, f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"])
    result = train(config, choices=choices, folder=tmp_path)
    low, high = result.parts.data.full_range
    assert low < 0.0 or high > 1.0
    assert result.run.status == "FINISHED"
    assert result.metrics["test/reconstruction"] == pytest.approx(result.metrics["test/mse"], rel=1e-5)
