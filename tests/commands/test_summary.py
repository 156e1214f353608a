"""The last lines of a training: what is shown of the metrics, and a command that works where it is read."""

import sys
from pathlib import Path

import pytest

from hourglass.commands.summary import _dashboard, table
from hourglass.tracking import resolve_uri


def test_a_table_shows_what_was_measured_in_its_unit() -> None:
    shown = table({"test/mse": 0.0123456, "test/psnr": 19.085, "val/mse": 9.0}, stage="test")
    assert shown == "  mean squared error  0.01235\n  PSNR                19.09 dB"


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
