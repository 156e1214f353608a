"""Tracking: every run leaves its configuration, curves, pictures, weights and true status in MLflow.

How a metric gets there: by one door, `Run.log_metrics(values, step)`. A value is a number, its step the optimizer steps
that were made before (of a study's run the jobs that have ended); name, step and value make a point. The learner logs
through Lightning's `self.logger`, whose `RunLogger` hands values on to that door; callbacks and sweeps call it on the
run that they were given. Behind it points wait in memory (`points`): they are written together when 500 wait or 5 s
have passed, by `Run.flush` before each checkpoint, and when the run ends. While the store is away they stay in memory.

This package is the only place that imports MLflow, and importing it does not: MLflow takes seconds, so each
name below is loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hourglass.tracking.dashboard import serve
    from hourglass.tracking.flattening import flatten
    from hourglass.tracking.logger import RunLogger
    from hourglass.tracking.model import log_model
    from hourglass.tracking.processes import mark_dead_runs
    from hourglass.tracking.retries import TrackingUnavailable
    from hourglass.tracking.run import Run
    from hourglass.tracking.search import search_runs
    from hourglass.tracking.store import initialise_store, resolve_uri

_HOME = {
    "Run": "run",
    "RunLogger": "logger",
    "TrackingUnavailable": "retries",
    "flatten": "flattening",
    "log_model": "model",
    "initialise_store": "store",
    "mark_dead_runs": "processes",
    "resolve_uri": "store",
    "search_runs": "search",
    "serve": "dashboard",
}

__all__ = [
    "Run",
    "RunLogger",
    "TrackingUnavailable",
    "flatten",
    "initialise_store",
    "log_model",
    "mark_dead_runs",
    "resolve_uri",
    "search_runs",
    "serve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hourglass.tracking' has no attribute {name!r}")
    return getattr(import_module(f"hourglass.tracking.{_HOME[name]}"), name)
