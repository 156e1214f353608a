"""Closed form: a model that is solved gets the run that a trained one gets."""

from pathlib import Path

import pytest
import torch

import hourglass
from hourglass.commands.train import resumed
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import Parts, compose
from hourglass.pipeline.train import train
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run

SOLVED = (
    "data=digits",
    "model=pca",
    "model.code_size=8",
    "training=closed_form",
    "loss=mse",
    "trainer.accelerator=cpu",
)


def run_training(folder: Path, *overrides: str, resume: str | None = None) -> tuple[Run, Parts]:
    whole, choices = compose_config([*SOLVED, f"tracking.uri=sqlite:///{folder}/mlflow.db", *overrides])
    if resume is not None:
        whole.resume = resume
        whole = resumed(whole, [f"resume={resume}"])
    result = train(whole, choices=choices, folder=folder)
    return result.run, result.parts


def test_a_solved_model_leaves_a_run_like_any_other(tmp_path: Path) -> None:
    run, parts = run_training(tmp_path)
    assert run.status == "FINISHED"
    metrics = run.metrics
    assert metrics["test/mse_over_linear"] == pytest.approx(1, rel=1e-4)  # it is the floor itself
    assert metrics["time/fit_seconds"] > 0
    assert metrics["time/steps_per_second"] == pytest.approx(1 / metrics["time/fit_seconds"])
    assert [step for step, _ in run.history("val/mse")] == [1]
    assert {"test/mse", "test/psnr", "test/ssim", "test/knn_accuracy", "test/explained_variance"} <= set(metrics)
    for path in ("weights.safetensors", "checkpoints/last.ckpt", "config.yaml"):
        assert run.artifact(path).stat().st_size > 0
    # By hand: what the leading directions of the covariance leave over.
    x, test = (parts.data.scaled(split.x).flatten(1).double() for split in (parts.data.train, parts.data.test))
    directions = torch.linalg.svd(x - x.mean(0), full_matrices=False)[2][:8]
    centred = test - x.mean(0)
    rest = centred - centred @ directions.T @ directions
    assert metrics["test/mse"] == pytest.approx(rest.square().mean().item(), rel=1e-4)

    loaded = hourglass.load(run.id, uri=run.uri)
    samples = parts.data.scaled(parts.data.test.x)
    torch.testing.assert_close(loaded(samples).reconstruction, parts.model(samples).reconstruction)


@pytest.mark.parametrize("model", ["identity", "mean"])
def test_controls(model: str, tmp_path: Path) -> None:
    words = [word for word in SOLVED if not word.startswith("model")]
    config, choices = compose_config(
        [
            *words,
            f"model={model}",
            f"tracking.uri=sqlite:///{tmp_path}/mlflow.db",
            "callback=[quick,pictures,baselines]",
        ]
    )
    result = train(config, choices=choices, folder=tmp_path)
    data = result.parts.data
    x, test = data.scaled(data.train.x), data.scaled(data.test.x)
    expected = 0.0 if model == "identity" else (test - x.mean(0)).square().mean().item()
    assert result.metrics["test/mse"] == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_it_is_solved_from_clean_samples_measured_under_noise_and_resumed(tmp_path: Path) -> None:
    quiet = ("callback=quick",)
    clean, solved = run_training(tmp_path, *quiet)
    noisy, also = run_training(tmp_path, *quiet, "noise=masking")
    x = solved.data.scaled(solved.data.test.x)
    torch.testing.assert_close(solved.model(x).reconstruction, also.model(x).reconstruction)
    assert noisy.metrics["test/mse"] > clean.metrics["test/mse"]

    again, _ = run_training(tmp_path, resume=clean.id)  # there is nothing left to do, and nothing gets lost
    for key in ("test/mse", "time/fit_seconds"):
        assert again.metrics[key] == clean.metrics[key]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.epochs=2"], r"training\.epochs must be 1, got 2"),
        (["regularizer=l1"], r"a closed form knows no penalties: set regularizer=none"),
        (["model=vanilla"], r"model has no closed form, its weights need gradients: set training=backprop"),
        (["training=backprop"], r"model has no weights that gradients could train: set training=closed_form"),
    ],
)
def test_refused(overrides: list[str], message: str) -> None:
    keys = {word.split("=")[0] for word in overrides}
    words = [word for word in SOLVED if word.split("=")[0] not in keys]
    with pytest.raises(HourglassError, match=message):
        compose(compose_config([*words, *overrides])[0])


def test_too_few_samples_are_refused_before_anything_is_solved() -> None:
    config, _ = compose_config(["data=digits", "model=pca", "model.code_size=32", "data.train_size=10"])
    with pytest.raises(HourglassError, match=r"^data=digits must leave this model 32 training samples or more, got 10"):
        compose(config)
