"""Every verdict at its threshold, and on real trainings that deserve it."""

import math
from pathlib import Path

import pytest

from hourglass.configuration.composition import compose_config
from hourglass.measures import health
from hourglass.measures.health import OK, diverged, tag, told, verdicts
from hourglass.pipeline.train import Result, train
from hourglass.system.errors import Diverged
from hourglass.tracking import Run, search_runs

HEALTHY = {
    "test/ssim": 0.9,
    "test/explained_variance": 0.9,
    "test/psnr_gain": 3.0,
    "test/mse_over_linear": 0.7,
    "test/code_collapsed_units": 0.0,
    "model/code_size": 32.0,
    "fit/dead_units": 0.0,
    "fit/train_mse": 0.010,
    "fit/val_mse": 0.011,
    "fit/best_epoch": 10.0,
    "fit/epochs": 10.0,
}
SETTLED = [1.0, 0.5, 0.3, 0.25, 0.22, 0.21, 0.205, 0.201, 0.2, 0.1999]


def judged(losses: list[float] = SETTLED, **changed: float) -> list[str]:
    metrics = HEALTHY | {name.replace("__", "/"): value for name, value in changed.items()}
    return verdicts(metrics, floor="PCA", losses=losses)


def test_a_healthy_run_has_none() -> None:
    assert judged() == []
    assert tag([]) == OK
    assert told(OK) == "nothing found"
    assert verdicts({}, floor="", losses=[]) == []  # what was not measured says nothing
    assert verdicts(dict.fromkeys(HEALTHY, math.nan), floor="", losses=[math.nan]) == []


def test_the_mean_image() -> None:
    assert judged(test__explained_variance=-0.001) == ["worse than the mean image"]
    assert judged(test__explained_variance=0.009) == ["no better than the mean image"]
    assert judged(test__explained_variance=0.011) == []
    rows = {key: value for key, value in HEALTHY.items() if key != "test/ssim"} | {"test/explained_variance": -1.0}
    assert verdicts(rows, floor="PCA", losses=SETTLED) == ["worse than the mean sample"]


def test_doing_nothing() -> None:
    assert judged(test__psnr_gain=-3.0) == ["worse than doing nothing: -3.0 dB against the noisy input"]
    assert judged(test__psnr_gain=0.1) == []


def test_the_linear_floor() -> None:
    assert judged(test__mse_over_linear=1.06) == ["loses to the linear floor: 1.06 times the error of PCA"]
    assert judged(test__mse_over_linear=1.04) == []


def test_dead_units() -> None:
    assert judged(fit__dead_units=12.0) == ["12 of 32 units dead"]


def test_a_collapsed_posterior() -> None:
    assert judged(test__code_collapsed_units=10.0) == ["posterior collapsed: 10 units below .01 nats"]
    assert judged(test__code_collapsed_units=1.0) == ["posterior collapsed: 1 unit below .01 nats"]


def test_a_gap() -> None:
    assert judged(fit__val_mse=0.013) == ["gap: 1.30 times the training error on validation"]
    assert judged(fit__val_mse=0.0124) == []
    assert judged(fit__val_mse=1e-15, fit__train_mse=0.0, test__explained_variance=1.0) == []  # rounding


def test_a_training_that_ended_too_early() -> None:
    falling = [1.0 - 0.05 * epoch for epoch in range(10)]
    assert judged(falling) == ["best epoch is the last: train longer"]
    assert judged(falling, fit__best_epoch=9.0) == []
    assert judged([5.0]) == []  # one epoch has nothing to compare with
    assert judged([1.0, 0.5], fit__best_epoch=2.0, fit__epochs=2.0) == ["best epoch is the last: train longer"]
    # Of 20 epochs the last two together.
    assert judged([1.0] * 18 + [0.995, 0.988]) == ["best epoch is the last: train longer"]


def test_several_are_told_together() -> None:
    found = judged(test__explained_variance=-0.5, fit__dead_units=12.0)
    assert tag(found) == told(tag(found)) == "worse than the mean image; 12 of 32 units dead"


# -- on real trainings -----------------------------------------------------------------------------------------------


def trained(folder: Path, *words: str) -> Result:
    given = ["data=digits", "trainer.accelerator=cpu", "~callback.pictures", "optimizer.lr=0.01", "seed=0"]
    config, choices = compose_config([*given, f"tracking.uri=sqlite:///{folder}/mlflow.db", *words])
    return train(config, choices=choices, folder=folder)


def test_a_net_that_outputs_black_does_not_end_without_a_word(tmp_path: Path) -> None:
    words = ["noise=masking", "noise.masking.share=0.1", "loss=mse", "model.output_activation=relu"]
    words += ["regularizer=weight_l2", "regularizer.weight_l2.weight=1000", "training.epochs=4"]
    words += ["bottleneck=linear", "model.code_size=16"]
    run = trained(tmp_path, *words).run
    assert run.status == "FINISHED"
    said = run.tags["health"]
    for verdict in ("worse than the mean image", "worse than doing nothing: -", "loses to the linear floor: "):
        assert verdict in said


def test_a_trained_net_is_healthy_and_the_numbers_are_there(tmp_path: Path) -> None:
    words = ["model.code_size=32", "bottleneck=linear", "model.output_activation=linear", "loss=mse"]
    result = trained(tmp_path, *words, "training.epochs=40", "schedule=cosine", "callback=[quick,pictures,baselines]")
    metrics = result.metrics
    assert result.run.tags["health"] == OK
    assert metrics["fit/epochs"] == 40
    assert 1 <= metrics["fit/best_epoch"] <= 40
    assert metrics["fit/dead_units"] == 0
    losses = dict(enumerate((value for _, value in result.run.history("val/mse")), start=1))
    # Of the weights that were kept, on the whole validation set.
    assert metrics["fit/val_mse"] == pytest.approx(losses[int(metrics["fit/best_epoch"])], rel=1e-4)
    data, model = result.parts.data, result.parts.model
    x = data.scaled(data.train.x)
    assert metrics["fit/train_mse"] == pytest.approx((model(x).reconstruction - x).square().mean().item(), rel=1e-4)


def test_dead_are_units_that_no_training_sample_puts_on(tmp_path: Path) -> None:
    """A penalty that is far too strong; units that only the test set misses are no dead ones."""
    result = trained(
        tmp_path,
        "bottleneck=relu",
        "regularizer=l1",
        "regularizer.l1.weight=0.3",
        "training.epochs=4",
        "model.code_size=16",
    )
    data, model = result.parts.data, result.parts.model
    never = (model.encode(data.scaled(data.train.x)) == 0).all(0).sum().item()
    assert never > 0
    assert result.metrics["fit/dead_units"] == never
    assert f"{never} of 16 units dead" in result.run.tags["health"]


def test_a_posterior_that_says_nothing(tmp_path: Path) -> None:
    words = ["bottleneck=gaussian", "loss.reduction=sum", "model.bottleneck.beta=100", "training.epochs=20"]
    result = trained(tmp_path, *words, "model.code_size=8", "callback=[quick,pictures,baselines]")
    assert result.metrics["test/code_collapsed_units"] == 8
    assert result.metrics["test/kl"] < 0.08
    assert result.metrics["test/code_active_units"] == 0  # by the variance of the mean
    assert "posterior collapsed: 8 units below .01 nats" in result.run.tags["health"]


def test_a_training_that_diverged_says_where(tmp_path: Path) -> None:
    words = ["model.output_activation=linear", "bottleneck=linear", "loss=mse", "optimizer=sgd", "optimizer.lr=1e20"]
    with pytest.raises(Diverged) as caught:
        trained(tmp_path, *words, "training.epochs=2", "study=lost")
    error = caught.value
    (entity,) = search_runs(f"sqlite:///{tmp_path}/mlflow.db", None, "tags.study = 'lost'")
    run = Run.find(entity.info.run_id, f"sqlite:///{tmp_path}/mlflow.db")
    assert run.status == "FAILED"
    assert run.tags["health"] == diverged(name=error.name, value=error.value, step=error.step)
    assert run.tags["health"].startswith("diverged: train/")


def test_thresholds_are_what_their_reasons_say() -> None:
    assert health.LEAST_GAIN == 0
    assert health.MOST_OVER_LINEAR > 1.02  # a linear net trained by gradients
    assert health.ROUNDING < (1 / 255) ** 2 / 12 / 0.0673  # the variance of MNIST


def test_what_is_rounding_by_hand() -> None:
    assert health.is_rounding(1e-5, 1.0)
    assert not health.is_rounding(1.1e-5, 1.0)
    assert health.is_rounding(1e-8, 0.01)
    assert health.is_rounding(math.nan, 1.0)  # no yardstick either
    assert health.is_rounding(0.0, 0.0)
    # By the variance where the run knows it, here 1, else beside another error.
    assert health.leaves_rounding({"test/mse": 5e-6, "test/explained_variance": 1 - 5e-6}, beside=1e-6)
    assert not health.leaves_rounding({"test/mse": 5e-6, "test/explained_variance": 0.9}, beside=1.0)
    assert health.leaves_rounding({"test/mse": 5e-6}, beside=1.0)
    assert not health.leaves_rounding({"test/mse": 5e-6}, beside=0.4)
