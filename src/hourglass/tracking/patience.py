"""Waiting for a store that is locked or out of reach, without losing anything and not for ever."""

import time
from collections.abc import Callable
from typing import TypeVar

from hourglass.errors import HourglassError

T = TypeVar("T")

PATIENCE = 120.0  # seconds that a store may be away before a run gives up on it


class TrackingUnavailable(HourglassError):  # noqa: N818 - says what is wrong
    """The tracking store cannot be used: not reachable, not a database, locked for too long."""


def patiently(call: Callable[[], T], uri: str, patience: float = PATIENCE) -> T:
    """``call()``, tried again with growing pauses while the store is locked or out of reach.

    Args:
        patience: seconds after which it gives up; 0 tries once.

    Raises:
        TrackingUnavailable: still failing after ``patience`` seconds. Any other error passes through at once.
    """
    deadline, pause = time.monotonic() + patience, 0.1
    while True:
        try:
            return call()
        except Exception as error:
            if not is_transient(error):
                raise
            if time.monotonic() + pause > deadline:
                raise TrackingUnavailable(f"tracking.uri={uri} does not answer: {one_line(error)}") from error
        time.sleep(pause)
        pause = min(2 * pause, 5.0)


def is_transient(error: BaseException) -> bool:
    """Whether trying again can help: a locked database, a lost connection, an overloaded server."""
    from requests.exceptions import ConnectionError as Lost
    from requests.exceptions import Timeout

    text = str(error)  # MLflow reports a lost connection as an internal error, so only its text tells
    return (
        isinstance(error, (ConnectionError, TimeoutError, Lost, Timeout))
        or getattr(error, "error_code", None) in ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
        or "database is locked" in text
        or "failed with exception" in text
        or "failed with error code 50" in text
    )


def one_line(error: BaseException) -> str:
    """The first line of an error's message, or its class if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
