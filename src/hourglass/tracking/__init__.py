"""Tracking: every run leaves its configuration, curves, pictures, weights and true status in MLflow.

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
    from hourglass.tracking.processes import reap
    from hourglass.tracking.retries import TrackingUnavailable
    from hourglass.tracking.run import Run
    from hourglass.tracking.search import search_runs
    from hourglass.tracking.store import prepare, resolve_uri

_HOME = {
    "Run": "run",
    "RunLogger": "logger",
    "TrackingUnavailable": "retries",
    "flatten": "flattening",
    "log_model": "model",
    "prepare": "store",
    "reap": "processes",
    "resolve_uri": "store",
    "search_runs": "search",
    "serve": "dashboard",
}

__all__ = [
    "Run",
    "RunLogger",
    "TrackingUnavailable",
    "flatten",
    "log_model",
    "prepare",
    "reap",
    "resolve_uri",
    "search_runs",
    "serve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hourglass.tracking' has no attribute {name!r}")
    return getattr(import_module(f"hourglass.tracking.{_HOME[name]}"), name)
