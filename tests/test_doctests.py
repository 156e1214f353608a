"""Every example in a docstring gives what it says."""

import doctest
import importlib
from pathlib import Path

import pytest
import torch

import hourglass

PACKAGE = Path(hourglass.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if ">>>" in path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return ".".join((hourglass.__name__, *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_examples_of_a_module(path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = doctest.testmod(importlib.import_module(name_of(path)))
    assert found.attempted
    assert not found.failed


def test_there_are_some_of_every_kind() -> None:
    assert {path.parent.name for path in MODULES} >= {"models", "bottlenecks", "regularizers", "training"}
