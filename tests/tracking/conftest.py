"""Stores for the tests: making one takes seconds, so it is made once and its file is copied."""

import shutil
from pathlib import Path

import pytest

from hourglass.tracking import Run, initialise_store


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store, shared by the workers of the test run (``initialise_store`` makes it once)."""
    folder = tmp_path_factory.getbasetemp()
    if folder.name.startswith("popen-"):
        folder = folder.parent
    path = folder / "blank store" / "mlflow.db"
    initialise_store(f"sqlite:///{path}")
    return path


@pytest.fixture
def uri(blank: Path, tmp_path: Path) -> str:
    """A store of this test's own."""
    shutil.copy(blank, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def run(uri: str) -> Run:
    return Run.start(uri=uri, experiment="hourglass", name="first", tags={"model": "conv"}, params={"seed": "0"})
