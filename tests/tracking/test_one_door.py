"""One door to MLflow for metrics: `Run.log_metrics`, whoever measured them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import hourglass
from hourglass.tracking import Run, RunLogger

PACKAGE = Path(hourglass.__file__).parent
DOORS = {"log_metrics", "log_end_values"}
"""Those of a run; the second is the first at the step of the end."""
POINTS = {"log_metric", "log_batch"}
"""MLflow's functions that record a point."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in PACKAGE.rglob("*.py"):
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text(encoding="utf-8"))


def test_nothing_else_records_points_or_knows_mlflow() -> None:
    imports, clients, writers, callers = set(), set(), set(), set()
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imports |= {name for each in node.names if each.name.partition(".")[0] == "mlflow"}
            elif isinstance(node, ast.ImportFrom):
                imports |= {name} if (node.module or "").partition(".")[0] == "mlflow" else set()
            elif isinstance(node, ast.Attribute) and node.attr == "MlflowClient":
                clients.add(name)
            elif isinstance(node, ast.Attribute) and node.attr in POINTS:
                writers.add(name)
            elif isinstance(node, ast.Attribute) and node.attr in DOORS:
                callers.add(ast.unparse(node.value))
    assert imports
    assert {name.partition("/")[0] for name in imports} == {"tracking"}
    assert clients == {"tracking/store.py"}
    assert writers == {"tracking/points.py", "tracking/run.py"}  # the run's own: params and tags
    runs = {"self", "run", "self.run", "self.run(trainer)", "study.run", "parent"}
    assert callers == {*runs, "logger"}  # Lightning's name for ours, and for those of a person's own trainer


def test_points_of_a_logger_and_of_callbacks_wait_and_are_written_together(run: Run) -> None:
    RunLogger(run=run).log_metrics({"train/loss": 1.0, "epoch": 3}, step=7)
    run.log_metrics({"test/mse": 0.5}, step=7)
    assert run.metrics == {}
    RunLogger(run=run).finalize("success")
    assert run.metrics == {"train/loss": 1.0, "test/mse": 0.5}
    assert run.history("train/loss") == [(7, 1.0)]
    assert run.history("test/mse") == [(7, 0.5)]
