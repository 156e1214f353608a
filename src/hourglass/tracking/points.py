"""The points of a run on their way to the store: (metric, value, step, time).

They are collected in memory and written together, because a call costs a database transaction whether it carries
one point or a thousand. A write that fails because the store is locked or out of reach leaves its points in
memory and is tried again; writing a point twice is harmless, since its name, step, time and value identify it.
"""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from hourglass.tracking.mlflow_internals import METRICS_PER_BATCH
from hourglass.tracking.retries import RetryingClient, TrackingUnavailable, store_timeout

POINTS_PER_WRITE = 500
SECONDS_PER_WRITE = 5.0
_SECONDS_BETWEEN_TRIES = 10.0  # while the store is away: an attempt may take seconds of the training's time


class Points:
    """A buffer in front of one run's metrics.

    Args:
        client: of the store.
        run_id: whose points they are.
    """

    def __init__(self, *, client: RetryingClient, run_id: str) -> None:
        self._client = client
        self._run_id = run_id
        self._waiting: list[Any] = []
        self._known: set[tuple[str, int, float]] = set()
        self._tried_at = time.monotonic()
        self._away_since: float | None = None

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Adds one point per metric; writes all when 500 wait or 5 s have passed.

        Raises:
            TrackingUnavailable: the store has been away for longer than `store_timeout()`.
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points = [Metric(key, float(value), now, step) for key, value in values.items()]
        self._waiting += [each for each in points if (each.key, each.step, each.value) not in self._known]
        since = time.monotonic() - self._tried_at
        if self._away_since is None:
            due = len(self._waiting) >= POINTS_PER_WRITE or since >= SECONDS_PER_WRITE
        else:
            due = since >= _SECONDS_BETWEEN_TRIES
        if due:
            self._write_or_wait()

    def leave_out(self, known: set[tuple[str, int, float]]) -> None:
        """Don't write points (metric, step, value) that the run has: a resumed training makes the last ones again."""
        self._known = known

    def write(self, *, again: bool = True) -> None:
        """Writes all points, waiting for the store; without `again` each call to it is tried once.

        Raises:
            TrackingUnavailable: the store stayed away; the points are kept.
        """
        try:
            while self._waiting:
                batch = self._waiting[:METRICS_PER_BATCH]
                self._client.retried(partial(self._send, batch), again=again)
                del self._waiting[: len(batch)]
            self._away_since = None
        finally:
            self._tried_at = time.monotonic()

    def _send(self, batch: list[Any], client: Any) -> None:
        client.log_batch(self._run_id, metrics=batch)

    def _write_or_wait(self) -> None:
        try:
            self.write(again=False)
        except TrackingUnavailable:
            self._away_since = self._away_since or time.monotonic()
            if time.monotonic() - self._away_since > store_timeout():
                raise
