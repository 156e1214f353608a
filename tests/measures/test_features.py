"""The classifier whose features samples are compared in, and what a run measures in them."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.measures import features
from hourglass.measures.features import FEATURES, classifier
from hourglass.measures.generation import compare
from hourglass.pipeline.compose import compose
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


def test_the_page_states_its_recipe() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    start = page.index("The classifier's recipe")
    text = " ".join(page[start : page.index("`experiment=feature_classifier`", start)].split())
    narrow, wide = features._CHANNELS
    for said in (
        f"of {narrow} and {wide} channels",
        f"at least {features._CONVOLVED} pixels a side",
        f"one hidden layer of {features._HIDDEN}",
        f"{FEATURES} units, the features",
        f"the first {features.LEARNED:,} of the training set",
        f"its rate from {features._RATE} down to 0",
        f"batches of {features._BATCH}",
        f"{features._SAMPLES_SEEN // features._BATCH} steps, {features._SAMPLES_SEEN:,} samples in all",
        f"{features._PASSES} passes of fewer samples, but at least {features._LEAST} steps",
        f"from seed {features._SEED}",
    ):
        assert said in text
    (told,) = re.findall(r"([\d.]+) % of `digits`", text)
    assert classifier(data("data=digits")).accuracy == pytest.approx(float(told) / 100, abs=0.03)  # of 180


def test_its_recipe_in_words_makes_the_same_net() -> None:
    parts = compose(compose_config(["experiment=feature_classifier", "data=digits", "data.train_size=500"])[0])
    learner: Any = parts.learner
    said = [*parts.model.encoder, parts.model.bottleneck.activation, *learner.classifier]
    assert list(map(repr, said)) == list(map(repr, features._net(parts.data.shape, 10)[1:]))
    config, _ = compose_config(["experiment=feature_classifier"])
    assert config.data.train_size == features.LEARNED
    assert config.data.train_size * config.training.epochs == features._SAMPLES_SEEN
    assert (config.training.batch_size, config.optimizer.lr) == (features._BATCH, features._RATE)
    assert config.schedule._target_.endswith("CosineAnnealingLR")


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
