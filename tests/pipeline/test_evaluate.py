"""Trained models measured anew: on other data, under other noise, and rows of another table in the run's scaling."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import hourglass
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import compose
from hourglass.pipeline.evaluate import evaluate
from hourglass.pipeline.train import Result, train
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run


def trained_in(folder: Path, *overrides: str) -> Result:
    whole, choices = compose_config(
        ["trainer.accelerator=cpu", "~callback.pictures", f"tracking.uri=sqlite:///{folder}/mlflow.db", *overrides]
    )
    return train(whole, choices=choices, folder=folder)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def images(home: Path) -> Result:
    return trained_in(
        home,
        "data=digits",
        "training.epochs=2",
        "optimizer.lr=0.01",
        "noise=masking",
        "model.code_size=5",
        "name=images",
    )


def uri_of(result: Result) -> str:
    return result.run.uri


def test_evaluation_on_the_same_data_and_noise_gives_the_same_numbers(images: Result) -> None:
    run, metrics = evaluate("images", [], uri=uri_of(images))
    measured = "test/"
    before = {key: value for key, value in images.run.metrics.items() if key.startswith(measured)}
    assert before.keys() >= {"test/mse", "test/bce", "test/psnr_gain", "test/knn_accuracy", "test/mse_over_linear"}
    assert metrics == before
    assert run.status == "FINISHED"


def test_an_evaluation_is_a_child_of_its_run_and_says_what_was_changed(images: Result) -> None:
    run, metrics = evaluate("images", ["noise=gaussian", "noise.gaussian.sigma=0.25"], uri=uri_of(images))
    found = Run.find(run.id, uri_of(images))
    assert found.tags["mlflow.parentRunId"] == images.run.id
    assert found.tags["evaluation_of"] == images.run.id
    assert found.tags["kind"] == "evaluation"
    assert found.tags["noise"] == "gaussian"
    assert found.tags["data"] == "digits"
    assert found.params["noise.gaussian.sigma"] == "0.25"
    assert not any(key.startswith("noise.masking") for key in found.params)
    assert found.metrics == metrics
    assert not any(key.startswith(("train/", "val/")) for key in metrics)
    # and the run that was measured is what it was
    assert images.run.tags["noise"] == "masking"
    assert images.run.status == "FINISHED"


def test_an_evaluation_measures_under_the_noise_it_is_given(images: Result) -> None:
    data = images.parts.data
    x = data.scaled(data.test.x)
    model = hourglass.load("images", uri=uri_of(images))

    _, clean = evaluate("images", ["noise=none"], uri=uri_of(images))
    assert clean["test/mse"] == pytest.approx((model(x).reconstruction - x).square().mean().item(), rel=1e-5)
    assert "test/psnr_input" not in clean

    # Every pixel masked: the model sees black only.
    _, black = evaluate("images", ["noise.masking.share=1.0"], uri=uri_of(images))
    expected = (model(torch.zeros_like(x)).reconstruction - x).square().mean().item()
    assert black["test/mse"] == pytest.approx(expected, rel=1e-5)
    assert black["test/psnr_input"] == pytest.approx(-10 * np.log10(x.square().mean().item()), rel=1e-5)


def test_an_evaluation_on_other_data(images: Result, home: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, size=(50, 8, 8), dtype=np.uint8)
    np.savez(home / "other.npz", x=x)
    given = ["data=npz", f"data.path={home}/other.npz", "data.test_share=0.5", "noise=none"]
    run, metrics = evaluate("images", given, uri=uri_of(images))
    assert run.tags["data"] == "npz"
    assert "test/knn_accuracy" not in metrics  # no labels
    tested = compose(compose_config(given)[0]).data.test.x
    model = hourglass.load("images", uri=uri_of(images))
    expected = (model(tested / 255).reconstruction - tested / 255).square().mean().item()
    assert metrics["test/mse"] == pytest.approx(expected, rel=1e-5)


def test_the_values_of_the_runs_own_data_can_be_changed(images: Result) -> None:
    run, _ = evaluate("images", ["data.test_size=20", "noise.seed=1"], uri=uri_of(images))
    assert run.params["data.test_size"] == "20"
    assert run.params["noise.seed"] == "1"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=conv"], r"^model=conv: evaluate takes data=\.\.\., noise=\.\.\. and their values"),
        (["training.epochs=3"], r"^training\.epochs=3: evaluate takes"),
        (["noise"], r"^noise: evaluate takes"),
        (["noise.masking.shre=0.1"], r"^noise\.masking\.shre: no such key .*; nearest: noise\.masking\.share"),
        (["noise.masking.share=1.5"], r"^noise\.masking\.share must be from 0 to 1, got 1\.5"),
        (["noise=maskin"], r"^noise=maskin: no such choice; nearest: masking"),
        (
            ["data=purchases", "data.rows=300"],
            r"^data=purchases has samples of shape \(18,\), the model .* \(1, 8, 8\)",
        ),
    ],
    ids=str,
)
def test_evaluations_that_are_refused_leave_no_run(images: Result, overrides: list[str], message: str) -> None:
    def count() -> int:
        from mlflow import MlflowClient

        client = MlflowClient(uri_of(images))
        return len(client.search_runs([each.experiment_id for each in client.search_experiments()]))

    before = count()
    with pytest.raises(HourglassError, match=message):
        evaluate("images", overrides, uri=uri_of(images))
    assert count() == before


# -- one's own files -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def floats(home: Path, images: Result) -> Result:  # noqa: ARG001 - the store is made by the first
    """A model of 50 images of two channels, floats in [0, 1], without pictures."""
    x = np.random.default_rng(0).uniform(0.001, 0.999, (50, 2, 8, 8)).astype(np.float32)
    np.savez(home / "floats.npz", x=x, y=np.arange(50) % 3)
    words = ["data=npz", f"data.path={home}/floats.npz", "noise=gaussian", "training.epochs=1", "name=floats"]
    return trained_in(home, *words, "noise.gaussian.sigma=0.1")


def given(home: Path, x: np.ndarray) -> list[str]:
    np.savez(home / "given.npz", x=x)
    return ["data=npz", f"data.path={home}/given.npz"]


def test_two_channels_and_no_pictures(floats: Result) -> None:
    run, metrics = evaluate("floats", [], uri=uri_of(floats))
    assert metrics["test/mse"] == floats.run.metrics["test/mse"]
    assert Run.find(run.id, uri_of(floats)).tags.get("mlflow.loggedImages") is None


def test_a_run_without_pictures_is_evaluated_without(images: Result) -> None:
    from mlflow import MlflowClient

    run, _ = evaluate("images", ["noise=gaussian"], uri=uri_of(images))
    assert [each.path for each in MlflowClient(uri_of(images)).list_artifacts(run.id)] == []


def test_all_of_an_own_file_is_measured(floats: Result, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "hourglass")
    x = np.random.default_rng(1).random((30, 2, 8, 8), dtype=np.float32)
    words = given(home, x)
    run, metrics = evaluate("floats", [*words, "noise=none"], uri=uri_of(floats))
    assert "data=npz: all 30 samples are measured" in caplog.messages
    model = hourglass.load("floats", uri=uri_of(floats))
    expected = (model(x).reconstruction - torch.from_numpy(x)).square().mean().item()
    assert metrics["test/mse"] == pytest.approx(expected, rel=1e-5)
    assert run.params["data.test_share"] == "1.0"
    assert "test/anomaly_auroc" in metrics
    run, _ = evaluate("floats", [*words, "data.test_share=0.5"], uri=uri_of(floats))
    assert "data=npz: its test part, 15 samples, are measured" in caplog.messages
    _, sized = evaluate("floats", [*words[1:], "noise=none"], uri=uri_of(floats))  # the run's source, another file
    assert sized["test/mse"] == metrics["test/mse"]


@pytest.mark.long
def test_of_the_file_that_the_run_was_trained_on_its_own_test_part_is(
    floats: Result, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "hourglass")
    (home / "copy.npz").write_bytes((home / "floats.npz").read_bytes())
    for path in ("floats.npz", "copy.npz"):
        caplog.clear()
        _, metrics = evaluate("floats", ["data=npz", f"data.path={home}/{path}"], uri=uri_of(floats))
        assert metrics["test/mse"] == floats.run.metrics["test/mse"]
        assert "test/anomaly_auroc" not in metrics
        assert "data=npz is what the run was trained on: its own test part is measured" in caplog.messages
    evaluate("floats", ["data.test_share=1.0"], uri=uri_of(floats))
    assert caplog.messages[-2].startswith(
        "data=npz is what the run was trained on, split otherwise: it may have learned"
    )


@pytest.mark.long
def test_data_of_another_range(floats: Result, home: Path) -> None:
    x = np.random.default_rng(1).random((30, 2, 8, 8), dtype=np.float32)
    _, expected = evaluate("floats", [*given(home, x), "noise=none"], uri=uri_of(floats))
    for other, words in ((x * 255, "range=0,255"), (x * 2 - 1, "range=-1,1")):
        with pytest.raises(
            HourglassError,
            match=r"^data=npz holds values from \S+ to \S+, the model was trained on data from 0\.001\d* to",
        ):
            evaluate("floats", given(home, other), uri=uri_of(floats))
        _, scaled = evaluate("floats", [*given(home, other), "noise=none", words], uri=uri_of(floats))
        assert scaled["test/mse"] == pytest.approx(expected["test/mse"], rel=1e-4)
        assert scaled["test/psnr"] == pytest.approx(expected["test/psnr"], rel=1e-4)
    with pytest.raises(HourglassError, match=r"^data=npz holds values .* and the run's loss takes 0 to 1: clip them"):
        evaluate("floats", given(home, x * 1.05), uri=uri_of(floats))
    with pytest.raises(HourglassError, match=r"^range must be LOW,HIGH with LOW below HIGH"):
        evaluate("floats", [*given(home, x), "range=1"], uri=uri_of(floats))


def test_grey_levels_for_a_model_of_floats(home: Path, floats: Result) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    x = levels.astype(np.float32) / 255
    for low, high, name in ((-1.0, 1.0, "signed"), (0.0, 255.0, "wide")):
        np.savez(home / f"{name}.npz", x=x * (high - low) + low)
        words = ["data=npz", f"data.path={home}/{name}.npz", "model.output_activation=linear", "training.epochs=1"]
        made = trained_in(home, *words, f"name={name}", "callback=[quick,pictures,baselines]")
        _, metrics = evaluate(name, given(home, levels), uri=uri_of(floats))
        seen = torch.from_numpy(x * (high - low) + low)[:, None]
        error = made.parts.model.eval().cpu()(seen).reconstruction - seen
        assert metrics["test/mse"] == pytest.approx(error.square().mean().item(), rel=1e-3)
        width = made.parts.data.range[1] - made.parts.data.range[0]
        assert metrics["test/psnr"] == pytest.approx(10 * np.log10(width**2 / metrics["test/mse"]), rel=1e-3)


# -- classes by name -------------------------------------------------------------------------------------------------


NAMED: dict[str, Any] = {"code_size": 2, "epochs": 2, "callback": "quick", "tracking": None}


def named_rows() -> tuple[np.ndarray, np.ndarray]:
    """120 rows of three classes, the names of which are not in order."""
    numbers = np.arange(120) % 3
    x = np.random.default_rng(0).random((120, 4), dtype=np.float32)
    return x, np.array(["b", "c", "a"])[numbers]


def test_a_model_is_told_the_classes_that_it_knows_by_their_names() -> None:
    x, y = named_rows()
    overrides = {"trainer.accelerator": "cpu", "optimizer.lr": 0.1}
    fitted = hourglass.fit(x, y, model="vanilla", condition="labels", overrides=overrides, **NAMED)
    assert fitted.data.classes == ("a", "b", "c")
    some = y != "a"
    right = np.where(y[some] == "b", 1, 2)  # of themselves the names would be 0 and 1
    errors = [
        (fitted.reconstruct(x[some], told) - torch.from_numpy(x[some])).square().mean().item()
        for told in (right, right - 1)
    ]
    assert errors[0] != pytest.approx(errors[1], rel=1e-3)
    assert fitted.evaluate(x[some], y[some])["test/mse"] == pytest.approx(errors[0], rel=1e-5)
    message = r"^data=arrays must hold classes that the model was trained on, a, b, c, got fox, hen$"
    with pytest.raises(HourglassError, match=message):
        fitted.evaluate(x, np.where(y == "a", "fox", np.where(y == "b", "hen", y)))
    plain = hourglass.fit(x, y, model="vanilla", overrides=overrides, **NAMED)  # goes by none
    assert plain.evaluate(x, np.char.add(y, "?"))["test/mse"] > 0


def test_a_classifier_is_measured_on_some_of_its_classes() -> None:
    x, y = named_rows()
    numbers = np.searchsorted(["a", "b", "c"], y)
    for labels in (y, numbers):  # names, and numbers that have none
        words = {"trainer.accelerator": "cpu", "optimizer.lr": 0.1, "training.frozen": False}
        fitted = hourglass.fit(x, labels, model="vanilla", training="finetune", overrides=words, **NAMED)
        weights = fitted._trained.run.load_weights("classifier.safetensors")
        logits = fitted.encode(x) @ weights["0.weight"].T + weights["0.bias"]
        right = logits.argmax(1).numpy() == numbers
        for left_out in (0, 2):
            some = numbers != left_out
            found = fitted.evaluate(x[some], labels[some])
            assert found["test/accuracy"] == pytest.approx(right[some].mean())
    with pytest.raises(HourglassError, match=r"knows classes from 0 to 2, and data=arrays has labels up to 3$"):
        fitted.evaluate(x, numbers + 1)


@pytest.mark.long
def test_folders_of_pictures_are_classes_by_their_names(home: Path, images: Result) -> None:  # noqa: ARG001
    levels = np.random.default_rng(0).integers(0, 60, (90, 8, 8), dtype=np.uint8)
    levels += 97 * (np.arange(90, dtype=np.uint8) % 3)[:, None, None]
    for folder, names in (("pets", ["cat", "dog", "emu"]), ("some", [None, "dog", "emu"]), ("foxes", ["fox", "dog"])):
        for number, picture in enumerate(levels):
            if name := names[number % 3 % len(names)]:
                path = home / folder / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(path)
    words = ["data=image_folder", f"data.path={home}/pets", "data.size=8", "data.colour=false", "optimizer.lr=0.01"]
    words += ["callback=[quick,pictures]", "training=finetune", "training.frozen=false", "training.batch_size=16"]
    made = trained_in(home, *words, "training.epochs=30", "name=pets")
    assert made.run.metrics["test/accuracy"] > 0.9
    _, metrics = evaluate("pets", [str(home / "some")], uri=uri_of(made))  # of themselves dog and emu are 0 and 1
    right = hourglass.load_classifier("pets", uri=uri_of(made))(levels).argmax(1).numpy() == np.arange(90) % 3
    assert metrics["test/accuracy"] == pytest.approx(right[np.arange(90) % 3 > 0].mean())
    with pytest.raises(HourglassError, match=r"must hold classes .* trained on, cat, dog, emu, got fox$"):
        evaluate("pets", [str(home / "foxes")], uri=uri_of(made))


# -- rows of tables --------------------------------------------------------------------------------------------------


def write_table(path: Path, *rows: tuple[float, float]) -> str:
    np.savetxt(path, np.array(rows), delimiter=",", header="metres,grams", comments="")
    return str(path)


@pytest.fixture(scope="module")
def table(home: Path) -> Result:
    """The mean of a table whose rows are (0, 0) or (10, 100): the scaling divides by 10 and by 100."""
    path = write_table(home / "one.csv", *[(0.0, 0.0), (10.0, 100.0)] * 50)
    return trained_in(
        home, "model=mean", "data=csv", f"data.path={path}", "name=table", "callback=[quick,pictures,baselines]"
    )


def test_rows_of_another_table_are_scaled_as_the_runs_own(table: Result, home: Path) -> None:
    path = write_table(home / "other.csv", *[(20.0, 250.0)] * 20, (-30.0, 0.0))
    given = ["data=csv", f"data.path={path}", "data.test_size=2", "data.split_seed=1"]
    run, metrics = evaluate("table", given, uri=uri_of(table))
    assert compose_config(given)[0].data.scaling == "minmax"  # of its own training rows these would be 1 and 0
    # (20, 250) is (2, 2.5) in the run's scaling; p, the share of (10, 100) in its training rows, is the mean of both.
    p = table.parts.data.train.x.mean().item()
    assert metrics["test/mse"] == pytest.approx(((2 - p) ** 2 + (2.5 - p) ** 2) / 2, rel=1e-5)
    assert run.params["data.path"] == path
    assert metrics["test/anomaly_auroc"] == 1


def test_the_runs_own_table_is_not_scaled_anew_when_other_rows_are_trained_on(
    table: Result, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [(0.0, 0.0), (10.0, 100.0)] * 50
    path = write_table(home / "one.csv", *rows)
    assert path == table.run.params["data.path"]
    _, same = evaluate("table", [], uri=uri_of(table))
    assert same["test/mse"] == table.run.metrics["test/mse"]
    assert not any("have changed" in message for message in caplog.messages)
    write_table(home / "one.csv", *[(a, 2 * b) for a, b in rows])  # the file has changed since
    _, changed = evaluate("table", [], uri=uri_of(table))
    p, high = table.parts.data.train.x.mean().item(), table.parts.data.test.x.mean().item()
    assert any("have changed since the run was trained" in message for message in caplog.messages)
    expected = (high * ((1 - p) ** 2 + (2 - p) ** 2) + (1 - high) * 2 * p**2) / 2
    assert changed["test/mse"] == pytest.approx(expected, rel=1e-5)


def test_rows_of_another_unit_are_refused(table: Result, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "hourglass")
    path = write_table(home / "unit.csv", *[(1.0, 100_000.0)] * 20)
    with pytest.raises(
        HourglassError, match=r"^data=csv holds column grams with half of its values at 100000 or above"
    ):
        evaluate("table", ["data=csv", f"data.path={path}"], uri=uri_of(table))
    evaluate("table", ["data=csv", f"data.path={path}", "range=any"], uri=uri_of(table))
    path = write_table(home / "extreme.csv", *[(1.0, 10.0)] * 20, (1.0, 1e6))
    evaluate("table", ["data=csv", f"data.path={path}"], uri=uri_of(table))
    assert any("holds column grams with one of its values at 1e+06 or above" in message for message in caplog.messages)


def test_rows_for_a_model_of_unscaled_rows_stay_as_they_are(home: Path, table: Result) -> None:  # noqa: ARG001
    path = write_table(home / "small.csv", *[(0.25, 0.5), (0.75, 0.5)] * 30)
    given = ["data=csv", f"data.path={path}", "data.scaling=none", "callback=[quick,pictures,baselines]"]
    plain = trained_in(home, "model=mean", *given, "name=plain")
    constant = write_table(home / "constant.csv", *[(0.5, 0.25)] * 40)
    _, metrics = evaluate("plain", ["data=csv", f"data.path={constant}"], uri=uri_of(plain))
    m = plain.parts.data.train.x[:, 0].mean().item()
    assert metrics["test/mse"] == pytest.approx(((0.5 - m) ** 2 + 0.25**2) / 2, rel=1e-5)


def test_another_scaling_than_the_runs_is_refused(table: Result) -> None:
    for given in (["data.scaling=standard"], ["data=wine", "data.scaling=none"]):
        with pytest.raises(HourglassError, match=r"evaluate scales rows as the run's own were, data\.scaling=minmax$"):
            evaluate("table", given, uri=uri_of(table))
