"""Targets that are not the samples: from a file, activations and arrays to the test, a loaded model and a stack."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import hourglass
from hourglass.configuration.composition import compose_config
from hourglass.data import npz
from hourglass.measures.linear_floor import reduced_rank_regression
from hourglass.pipeline.compose import compose
from hourglass.pipeline.evaluate import evaluate
from hourglass.pipeline.train import Result, train
from hourglass.system.errors import HourglassError

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(200, 6)).astype(np.float32)
T = (5 + 3 * np.maximum(X @ RANDOM.normal(size=(6, 9)), 0)).astype(np.float32)
SPLITS: dict[str, Any] = {
    "test_share": 0.1,
    "validation_size": 0.1,
    "validation": "split",
    "split_seed": 0,
    "train_size": None,
    "test_size": None,
    "order_seed": 0,
    "resident": "auto",
}
LINEAR = ("model.output_activation=linear", "loss=mse", "trainer.accelerator=cpu", "training.epochs=2")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.npz"
    np.savez(path, x=X, colour=T)
    return path


@pytest.fixture(scope="module")
def run(file: Path) -> Result:
    words = ["data=npz", f"data.path={file}", "data.target=colour", "data.scaling=standard", "model.code_size=3"]
    uri = f"tracking.uri=sqlite:///{file.parent}/mlflow.db"
    config, choices = compose_config([*words, *LINEAR, "model.activation=relu", "noise=gaussian", uri])
    return train(config, choices=choices, folder=file.parent)


def test_targets_go_row_by_row_with_their_samples(file: Path) -> None:
    data = npz(path=str(file), target="colour", scaling="standard", **SPLITS)
    assert data.targets is not None
    assert (data.shape, data.wanted.shape) == ((6,), (9,))
    for name in ("train", "validation", "test"):
        x, t = (getattr(each, name).x for each in (data, data.targets))
        own = data.scaling.undo(x).float().numpy()  # type: ignore[union-attr]
        rows = [int(np.abs(X - each).sum(1).argmin()) for each in own]
        np.testing.assert_allclose(data.targets.scaling.undo(t).numpy(), T[rows], rtol=1e-4)  # type: ignore[union-attr]
    assert data.digest != npz(path=str(file), scaling="standard", **SPLITS).digest


def test_a_run_is_measured_against_its_targets(run: Result) -> None:
    """`linear_mse` is the error of an independent reduced-rank regression."""
    data, learner = run.parts.data, run.parts.learner
    t = data.wanted.test.x
    with torch.no_grad(), learner.noise.seeded(0):
        seen = learner.noise(data.test.x)
        found = (run.parts.model.eval()(seen).reconstruction - t).square().mean().item()
    assert run.metrics["test/mse"] == pytest.approx(found, rel=1e-5)
    explained = 1 - found / (t - t.mean(0)).square().mean().item()
    assert run.metrics["test/explained_variance"] == pytest.approx(explained, rel=1e-4)
    assert "test/psnr_gain" not in run.metrics
    assert "test/copy_ratio" not in run.metrics
    assert {"test/linear_mse", "fit/train_mse", "fit/val_mse"} <= set(run.metrics)


def test_the_floor_is_reduced_rank_regression() -> None:
    x, t = (each.astype(np.float64) for each in (X, T))
    floor = reduced_rank_regression(iter([(torch.from_numpy(T), torch.from_numpy(X))]))
    cx, ct = x - x.mean(0), t - t.mean(0)
    fitted = cx @ np.linalg.lstsq(cx, ct, rcond=None)[0]
    _, _, rows = np.linalg.svd(fitted, full_matrices=False)
    expected = t.mean(0) + fitted @ rows[:3].T @ rows[:3]
    found = floor.reconstruct(torch.from_numpy(X), 3, shape=(9,)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_a_loaded_model_answers_in_the_units_of_the_targets(run: Result, file: Path) -> None:
    uri = f"sqlite:///{file.parent}/mlflow.db"
    model = hourglass.load(run.run.id, uri=uri)
    data = run.parts.data
    with torch.no_grad():
        expected = run.parts.model.cpu().eval()(data.scaling.apply(torch.from_numpy(X[:5]).double())).reconstruction  # type: ignore[union-attr]
        found = model(X[:5]).reconstruction
    torch.testing.assert_close(found, data.wanted.scaling.undo(expected))  # type: ignore[union-attr]
    torch.testing.assert_close(model.decode(model.encode(X[:5])), found)
    measured = evaluate(run.run.id, ["noise=none"], uri=uri)[1]
    clean = (run.parts.model(data.test.x).reconstruction - data.wanted.test.x).square().mean().item()
    assert measured["test/mse"] == pytest.approx(clean, rel=1e-5)
    with pytest.raises(
        HourglassError, match=r"has no targets of its own, run .* was trained on targets of shape \(9,\)"
    ):
        evaluate(run.run.id, ["data.target=null"], uri=uri)


def test_transcoders_read_a_second_folder(tmp_path: Path) -> None:
    for folder, rows in (("before", X), ("after", T)):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "0.npy", rows[:90])
        np.save(tmp_path / folder / "1.npy", rows[90:])
    words = ["data=activations", f"data.path={tmp_path}/before", f"data.target={tmp_path}/after", "data.block=8"]
    code = ["model=dictionary", "bottleneck=top_k", "model.bottleneck.k=2", "model.code_size=16", "data.mixed=2"]
    parts = compose(compose_config([*words, *code, "data.norm=none", "regularizer=[revival,matryoshka]"])[0])
    learner = parts.learner
    chunk = next(iter(learner.train_dataloader()))  # type: ignore[attr-defined]
    rows = [int(np.abs(X - each).sum(1).argmin()) for each in chunk.x.numpy()]
    np.testing.assert_array_equal(chunk.target.numpy(), T[rows])
    learner.configure_optimizers()
    terms = learner.own_steps(chunk)  # type: ignore[attr-defined]
    assert {"reconstruction", "revival", "matryoshka"} <= set(terms)
    assert parts.model.target_units.mean.mean() > 5  # type: ignore[union-attr, operator]
    np.save(tmp_path / "after" / "1.npy", T[91:])
    with pytest.raises(HourglassError, match=r"^data\.target must hold shards of as many rows"):
        compose(compose_config([*words, *code])[0])


@pytest.mark.long
def test_grey_images_become_colour() -> None:
    grey = RANDOM.integers(0, 256, size=(40, 1, 8, 8), dtype=np.uint8)
    colour = np.repeat(grey, 3, axis=1)
    fitted = hourglass.fit(grey, target=colour, model="conv", depth=1, code_size=64, epochs=1, tracking="none")
    assert fitted.reconstruct(grey[:2]).shape == (2, 3, 8, 8)
    assert {"reconstructions"} <= set(fitted.figures)
    swept = hourglass.sweep(
        grey, target=colour, model="conv", depth=1, code_size=[2, 64], epochs=1, callback="quick", tracking="none"
    )
    assert list(swept.status) == ["FINISHED"] * 2
    assert swept["test/mse"][1] == fitted.metrics["test/mse"]
    learner = hourglass.module(grey, target=colour, model="conv", depth=1)
    assert learner.data.targets.shape == (3, 8, 8)  # type: ignore[union-attr]
    with pytest.raises(HourglassError, match="target must hold one for each of 40 samples, got 39"):
        hourglass.sweep(grey, target=colour[:39], tracking="none")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("model=pca", "training=closed_form", "model.code_size=2"), "model: PCA reconstructs its input"),
        (("training=layerwise", "model=multilayer", *LINEAR[:2]), "Layerwise learns from samples alone"),
        (("model.tied=true", *LINEAR), "model.tied must be false for targets of 9 values and inputs of 6, got true"),
        (("data.target=grey",), r"target=grey needs an array grey beside x"),
    ],
)
def test_what_can_not_be_is_refused_in_one_line(words: tuple[str, ...], message: str, file: Path) -> None:
    with pytest.raises(HourglassError, match=message) as caught:
        compose(compose_config(["data=npz", f"data.path={file}", "data.target=colour", *words])[0])
    assert "\n" not in str(caught.value)


def test_arrays_need_a_target_for_each_sample() -> None:
    with pytest.raises(HourglassError, match="target must hold one for each of 200 samples, got 199"):
        hourglass.fit(X, target=T[:-1], tracking="none")
    with pytest.raises(HourglassError, match="target goes with x alone"):
        hourglass.fit(X, target=T, validation=X[:20], tracking="none")
