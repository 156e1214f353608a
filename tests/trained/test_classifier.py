"""The classifier of a run, used in Python."""

from pathlib import Path

import pytest
import torch

import hourglass
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.train import Result, train
from hourglass.system.errors import HourglassError

SMALL = (
    "data=wine",
    "model.code_size=6",
    "model.output_activation=linear",
    "training.epochs=30",
    "training.batch_size=16",
    "optimizer.lr=0.01",
    "trainer.accelerator=cpu",
    "callback=quick",
)


def run_training(folder: Path, *overrides: str) -> Result:
    config, choices = compose_config([*SMALL, f"tracking.uri=sqlite:///{folder}/mlflow.db", *overrides])
    return train(config, choices=choices, folder=folder)


def test_a_loaded_classifier_says_what_the_run_measured(tmp_path: Path) -> None:
    result = run_training(
        tmp_path, "training=finetune", "training.frozen=false", "training.head_widths=[8]", "name=classes"
    )
    data, learner = result.parts.data, result.parts.learner.eval()
    classifier = hourglass.load_classifier("classes", uri=result.run.uri)
    assert not classifier.training
    rows = data.unscaled(data.test.x)  # percent, milligrams, ...
    assert rows.max() > 100
    logits, p = classifier(rows), classifier.probabilities(rows)
    torch.testing.assert_close(logits, learner.classifier(learner.model.encode(data.test.x)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(p, logits.exp() / logits.exp().sum(1, keepdim=True))
    assert p.shape == (len(data.test), 3)
    accuracy = (logits.argmax(1) == data.test.y).float().mean().item()
    assert accuracy == pytest.approx(result.run.metrics["test/accuracy"])
    assert accuracy > 0.8
    # and `load` gives the autoencoder, whose encoder it is
    torch.testing.assert_close(
        hourglass.load("classes", uri=result.run.uri).encode(rows), classifier.autoencoder.encode(rows)
    )


def test_a_run_that_trained_none_is_refused(tmp_path: Path) -> None:
    result = run_training(tmp_path, "training.epochs=1", "name=plain")
    with pytest.raises(
        HourglassError,
        match=rf"^run plain \({result.run.id}\) trained no classifier, which takes training=finetune,"
        r" got hourglass\.training\.Backprop$",
    ):
        hourglass.load_classifier("plain", uri=result.run.uri)
