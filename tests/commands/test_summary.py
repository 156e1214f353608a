"""The last lines of a training: what is shown of the metrics, and a command that works where it is read."""

import sys
from pathlib import Path

import pytest

from hourglass.commands.summary import _dashboard, summary, table
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.train import train
from hourglass.tracking import resolve_uri


def test_a_table_shows_what_was_measured_in_its_unit() -> None:
    shown = table({"test/mse": 0.0123456, "test/psnr": 19.085, "val/mse": 9.0}, stage="test")
    assert shown == "  mean squared error  0.01235\n  PSNR                19.09 dB"


def test_a_number_stands_beside_what_it_needs_to_be_read() -> None:
    """A probe beside its samples, SSIM beside its window, a selected code beside the same as it was trained."""
    metrics = {"test/linear_samples": 55000.0, "test/linear_accuracy": 0.9123, "test/linear_accuracy_pixels": 0.9}
    metrics |= {"test/ssim": 0.9012, "test/mse_as_trained": 0.0151, "test/mse": 0.0316, "test/mse_over_linear": 2.0}
    assert table(metrics, stage="test").splitlines() == [
        "  mean squared error                         0.03160",
        "    over the best linear code of equal size  2.00",
        "    of the code as in training               0.01510",
        "  SSIM, 11 x 11 Gaussian window              0.901",
        "  linear probe accuracy                      91.2%",
        "    learned from                             55,000 training samples",
        "    on the inputs themselves                 90.0%",
    ]


def test_winner_take_all_says_its_error_with_and_without_the_sparsity_it_was_trained_with(tmp_path: Path) -> None:
    words = ["data=digits", "data.train_size=200", "bottleneck=winner_take_all", "training.epochs=2", "callback=quick"]
    words += ["optimizer.lr=0.01", "trainer.accelerator=cpu", f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"]
    config, choices = compose_config(words)
    result = train(config, choices=choices, folder=tmp_path)
    whole, selected = (result.metrics[f"test/{name}"] for name in ("mse", "mse_as_trained"))
    assert whole != pytest.approx(selected, rel=0.05)
    said = summary(result, folder=tmp_path).splitlines()
    assert any(line.split() == ["mean", "squared", "error", f"{whole:.5f}"] for line in said)
    assert any(line.split() == f"of the code as in training {selected:.5f}".split() for line in said)
    note = result.run.tags["mlflow.note.content"]
    assert f"| test MSE | {whole:.5f} |\n| test MSE of the code as in training | {selected:.5f} |" in note
    # The verdicts are a line of their own, as the tag has them.
    assert result.run.tags["health"] != "ok"
    assert f"health     {result.run.tags['health']}" in said
    result.run.set_tags({"health": "ok"})
    assert "health     nothing found" in summary(result, folder=tmp_path).splitlines()


def test_infinity_is_shown_as_such() -> None:
    kept = sys.float_info.max  # what MLflow's databases make of it
    assert table({"test/psnr": kept}, stage="test") == "  PSNR  inf dB"
    assert table({"test/psnr": -kept}, stage="test") == "  PSNR  -inf dB"
    assert table({"test/psnr": float("inf")}, stage="test") == "  PSNR  inf dB"


def test_the_dashboard_command_can_be_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", folder)
    assert _dashboard(resolve_uri(None)) == "hourglass ui"
    assert _dashboard("sqlite:////elsewhere.db") == "hourglass ui uri=sqlite:////elsewhere.db"
    monkeypatch.setenv("PATH", "/nowhere")
    command, _ = _dashboard(resolve_uri(None)).split()
    assert (tmp_path / command).resolve() == Path(folder, "hourglass").resolve()
