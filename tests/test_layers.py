"""The floors of the house, `[tool.importlinter]` in pyproject.toml: nothing imports what stands above it."""

from pathlib import Path

import pytest
from importlinter.cli import lint_imports


def test_no_module_imports_what_stands_above_it(capfd: pytest.CaptureFixture[str]) -> None:
    code = lint_imports(config_filename=str(Path(__file__).parents[1] / "pyproject.toml"), no_cache=True)
    said = capfd.readouterr().out  # names both modules of an import that isn't allowed, and its line
    assert code == 0, said[said.rfind("Broken contracts") :]
