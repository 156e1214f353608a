"""Waiting for a store that is locked, full or out of reach, without losing anything and not for ever.

Every call to a store goes through `RetryingClient` and so waits up to `HOURGLASS_STORE_TIMEOUT` seconds (120 if
that is not set) for the store to come back; `at_most` shortens that for what must not take long. The time is the
store's, not each call's anew: of the calls that a process makes while its store is away, all together wait so long.
A single try, which may wait for a lock or an answer in its turn, ends with the waiting (`longest_try`).

The loop is our own: tenacity, which nothing installs here, repeats one call by itself. Here the end of the waiting is
shared by all calls and known to the try under way, and both would have to be written beside it.
"""

import errno
import logging
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Any, NamedTuple, TypeVar

from hourglass.system import process
from hourglass.system.errors import HourglassError
from hourglass.system.passwords import redacted, without_passwords
from hourglass.tracking import mlflow_internals
from hourglass.tracking.mlflow_internals import REQUEST_TIMEOUT

T = TypeVar("T")

log = logging.getLogger("hourglass")

BRIEFLY = 10.0  # seconds that what must end waits for its store
_LONGEST_PAUSE = 5.0  # seconds between two tries
_SHORTEST_TRY = 2.0  # seconds that a try may take where no time is left: a store that is back may be busy
_SAME_ABSENCE = 15.0  # seconds between two failed tries of a store that was away all the time
_SINCE_THEN = 5.0  # seconds for which a failed try speaks for those of others, as of other members of a stack
_TIMEOUT = ("HOURGLASS_STORE_TIMEOUT", "HOURGLASS_PATIENCE")  # and its earlier name
_deadline = ContextVar("deadline", default=math.inf)
_away: "dict[str, _Absence]" = {}


class _Absence(NamedTuple):
    """A store is away."""

    since: float
    seen: float
    """When a try last failed."""


class TrackingUnavailable(HourglassError):  # noqa: N818 - says what is wrong
    """The tracking store cannot be used: not reachable, not a database, locked or full for too long."""


class Gone(TrackingUnavailable):
    """A store that was there is not: it may come back, so it is waited for."""


class RetryingClient:
    """An `MlflowClient` each of whose calls waits while the store is away.

    A call whose answer was lost is made again. That is harmless where MLflow keeps the same thing once, as points,
    params and tags; a run is made by `search.create_run`, which sees to it.

    Args:
        once: the `MlflowClient`, whose calls are tried once.
        uri: of its store, for error messages.
        identify: which store it is that answers now, raising `Gone` if none does. A file that was deleted takes what
            is written by those who have it open, and loses it.
        reopen: is given the client when another store has taken the place.
    """

    def __init__(
        self,
        once: Any,
        uri: str,
        identify: Callable[[], object] = lambda: None,
        reopen: Callable[[Any], object] = lambda _: None,
    ) -> None:
        self.once = once
        self._uri = uri
        self._identify = identify
        self._reopen = reopen
        self._known = identify()

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **keywords: self.retried(lambda client: getattr(client, name)(*arguments, **keywords))

    def retried(self, call: Callable[[Any], T], *, again: bool = True) -> T:
        """`call(once)`, waiting while the store is away; without `again` it is tried once."""
        return retried(partial(self.tried, call), self._uri, again=again)

    def tried(self, call: Callable[[Any], T]) -> T:
        """`call(once)`; an answer does not count that came from a file which is gone."""
        before = self._identify()
        if before != self._known:
            self._reopen(self.once)
            self._known = before
        answer = call(self.once)
        if self._identify() != before:
            raise Gone("another file has taken its place")
        return answer


@cache
def import_mlflow() -> Any:
    """MLflow, told to leave the waiting to us, and to send no reports to its makers."""
    for name, value in mlflow_internals.CLIENT_SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow

    for name in mlflow_internals.LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return mlflow


def store_timeout() -> float:
    """Seconds that a store may be away before a run gives up on it.

    Raises:
        HourglassError: HOURGLASS_STORE_TIMEOUT is no number of seconds.
    """
    name = next((name for name in _TIMEOUT if name in os.environ), _TIMEOUT[0])
    text = os.environ.get(name, "120")
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise HourglassError(f"{name} must be a number of seconds, 0 or more, got {text!r}")
    return float(text)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Within, all waiting together ends after so many seconds; each call is tried at least once."""
    token = _deadline.set(min(_deadline.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def longest_try(most: float) -> float:
    """Seconds that the try under way may wait for a lock or an answer.

    No longer than its call, and never so little that a store which is only busy can't answer.
    """
    return min(most, max(_SHORTEST_TRY, _deadline.get() - time.monotonic()))


def retried(call: Callable[[], T], uri: str, *, again: bool = True) -> T:
    """`call()`, tried again with growing pauses while the store is locked, full or out of reach.

    Args:
        call: what is tried.
        uri: of the store.
        again: whether it is tried again.

    Raises:
        TrackingUnavailable: still failing when the store has been away for `store_timeout()` seconds. Any other error
            passes through at once.
    """
    began, pause = time.monotonic(), 0.1
    known = _away.get(uri)
    since = known.since if known and began - known.seen < _SAME_ABSENCE else began
    hurry = not again and known is not None and began - known.seen < _SINCE_THEN
    told = failed = False
    with at_most(0.0 if hurry else since + store_timeout() - began):
        while True:
            try:
                with process.whole(), _requests_limited():
                    result = call()
            except Exception as error:
                if is_useless(error):
                    raise TrackingUnavailable(
                        f"tracking.uri={redacted(uri)} cannot be used: {one_line(error)}"
                    ) from error
                if not is_transient(error):
                    raise
                failed = True
                _away[uri] = _Absence(since, time.monotonic())
                left = _deadline.get() - time.monotonic()
                if left <= 0 or not again:
                    raise TrackingUnavailable(
                        f"tracking.uri={redacted(uri)} cannot be used: {one_line(error)}"
                    ) from error
                if not told and pause >= 1.0:
                    log.warning("tracking.uri=%s: %s; waiting %.0f s at most", redacted(uri), one_line(error), left)
                    told = True
            else:
                if failed or not again:  # other successes prove nothing: a locked database can be read
                    _away.pop(uri, None)
                if told:
                    log.warning("tracking.uri=%s is back after %.0f s", redacted(uri), time.monotonic() - began)
                return result
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)


@contextmanager
def _requests_limited() -> Iterator[None]:
    """Within, a server is not waited for longer than the call waits."""
    most = os.environ.get(REQUEST_TIMEOUT, "")
    if not most.isdecimal():  # MLflow is not in use, or says what is wrong with it
        yield
        return
    os.environ[REQUEST_TIMEOUT] = f"{longest_try(float(most)):.0f}"
    try:
        yield
    finally:
        os.environ[REQUEST_TIMEOUT] = most


def is_useless(error: BaseException) -> bool:
    """Whether this is not the store that was meant, so that waiting is no use."""
    return any(sign in str(error) for sign in _USELESS)


_USELESS = ("no such table", "no such column", *mlflow_internals.REFUSED, mlflow_internals.NO_RUN)


def is_transient(error: BaseException) -> bool:
    """Whether trying again can help: a locked database, a full disk, a lost connection, an overloaded server."""
    from requests.exceptions import ConnectionError as Lost
    from requests.exceptions import Timeout

    text = str(error)
    if isinstance(error, TrackingUnavailable):
        return isinstance(error, Gone)
    if is_useless(error):  # which MLflow calls "temporary" too
        return False
    answer = getattr(error, "response", None)
    return (
        isinstance(error, (ConnectionError, TimeoutError, Lost, Timeout, *_database_errors()))
        or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT))
        or getattr(error, "error_code", None) in mlflow_internals.UNAVAILABLE
        or getattr(answer, "status_code", None) in (429, 500, 502, 503, 504)
        or any(sign in text for sign in _SIGNS)
    )


def _database_errors() -> tuple[type[Exception], ...]:
    """A database's own trouble, where one is in use: SQLAlchemy is slow to import, and needless with a server."""
    loaded = sys.modules.get("sqlalchemy.exc")
    return () if loaded is None else (loaded.OperationalError,)


_SIGNS = (
    "database is locked",
    "database or disk is full",
    "attempt to write a readonly database",
    "unable to open database file",
    "database disk image is malformed",
    "file is not a database",
    "disk I/O error",  # what SQLite says where a full disk keeps it from its shared memory
    "No space left on device",
    *mlflow_internals.SAME_DATA,
    *mlflow_internals.LOST,
)


def one_line(error: BaseException) -> str:
    """The first line of an error's message, without what SQLAlchemy puts before it; or the error's class."""
    said = without_passwords(str(error)).strip()
    for prefix in mlflow_internals.SQL_PREFIXES:
        said = re.sub(prefix, "", said)
    return said.partition("\n")[0] or type(error).__name__
