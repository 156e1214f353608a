"""The classifier whose features samples are compared in, and what a run measures in them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.measures.features import FEATURES, classifier
from hourglass.measures.generation import compare
from hourglass.pipeline.evaluate import evaluate
from hourglass.pipeline.train import Result, train
from hourglass.system.errors import HourglassError


def data(*words: str) -> Any:
    return build(compose_config(words)[0].data)


def test_it_knows_the_classes_and_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path))
    digits = data("data=digits", "data.test_share=0.4")
    torch.manual_seed(3)
    state = torch.get_rng_state()
    found = classifier(digits)
    assert torch.get_rng_state().equal(state)
    assert found.accuracy > 0.9
    x = digits.scaled(digits.test.x)
    assert found.of(x).shape == (len(x), FEATURES)
    assert (found.classes(x) == digits.test.y).double().mean().item() == pytest.approx(found.accuracy)
    (file,) = (tmp_path / "features-1").iterdir()
    written = file.stat().st_mtime_ns
    again = classifier(digits)
    assert file.stat().st_mtime_ns == written
    torch.testing.assert_close(again.of(x), found.of(x), rtol=0, atol=0)
    file.write_bytes(b"damaged")
    torch.testing.assert_close(classifier(digits).of(x), found.of(x))
    # Noise is far from digits, digits aren't far from each other.
    half = len(x) // 2
    near = compare(found.of(x[:half]), found.of(x[half:]))
    far = compare(found.of(x[:half]), found.of(torch.rand_like(x[half:])))
    assert far["frechet"] > 5 * near["frechet"]
    assert far["kernel"] > 10 * abs(near["kernel"])
    assert far["precision"] < near["precision"] - 0.3


def test_of_a_table_it_is_a_dense_net() -> None:
    wine = data("data=wine", "data.scaling=standard")
    assert classifier(wine).accuracy > 0.8
    with pytest.raises(ValueError, match="features are those of a classifier, and data=purchases has no classes"):
        classifier(data("data=purchases", "data.rows=100"))


def trained(folder: Path, *words: str) -> Result:
    few = ["data=digits", "data.test_share=0.3", "training.epochs=1", "callback=[quick,generation]"]
    store = f"tracking.uri=sqlite:///{folder}/mlflow.db"
    config, chosen = compose_config([*few, "trainer.accelerator=cpu", store, *words])
    return train(config, choices=chosen, folder=folder)


def test_a_run_measures_samples_reconstructions_and_training_data(tmp_path: Path) -> None:
    result = trained(tmp_path, "model=pca", "model.code_size=16", "training=closed_form", "sampler=mixture")
    found = {name.removeprefix("test/"): value for name, value in result.metrics.items()}
    for what in ("samples", "reconstructions", "train"):
        for name in ("frechet", "kernel", "precision", "recall"):
            assert f"{what}_{name}" in found
    assert found["feature_accuracy"] > 0.9
    assert 0 < found["train_frechet"] < found["samples_frechet"]
    assert found["reconstructions_frechet"] < found["samples_frechet"]
    assert found["samples_precision"] < found["train_precision"]
    assert 0.5 < found["samples_novelty"] < 3
    _, again = evaluate(result.run.id, [], uri=result.run.uri)
    for name in ("samples_frechet", "samples_novelty", "reconstructions_kernel"):
        assert again[f"test/{name}"] == pytest.approx(found[name], rel=1e-3)
    # Without a prior there is nothing to draw, and the rest is measured.
    plain = trained(tmp_path, "bottleneck=linear").metrics
    assert "test/samples_frechet" not in plain
    assert plain["test/train_frechet"] == pytest.approx(found["train_frechet"])


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HourglassError, match=r"^callback\.generation needs classes, .* got data=purchases without$"):
        trained(tmp_path, "data=purchases", "data.rows=100")
    with pytest.raises(HourglassError, match=r"^callback\.generation needs 100 training and test samples, got .* 5$"):
        trained(tmp_path, "data.test_size=5")
    with pytest.raises(HourglassError, match=r"^callback\.generation\.samples must be at least 100, got 9$"):
        trained(tmp_path, "callback.generation.samples=9")
