"""Passwords in addresses, `http://NAME:PASSWORD@HOST`: who needs one gets it, and nothing that is written holds it.

The last @ ends a password, so it may hold any sign, written as it is or as `%40`. What is shown and what is recorded
has `***` in its place. So has the configuration of a command, which Hydra writes into files and sends to other
processes; the whole address then stands in MLFLOW_TRACKING_URI of this process and of those that it starts, where
`whole` finds it again.
"""

import base64
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import quote, unquote

from hourglass.system.environment import restored

MASK = "***"
VARIABLE = "MLFLOW_TRACKING_URI"

_WORD = re.compile(r"(\+{0,2}tracking\.uri=)(.*)", re.DOTALL)


def redacted(uri: str) -> str:
    """An address without its password; also one that is none, as where the scheme is wrong or forgotten."""
    if re.match("[^:/@]*://", uri):
        return re.sub(r"^([^:/@]*://[^:/@]*:).*@", rf"\1{MASK}@", uri, flags=re.DOTALL)
    return re.sub(r"^([^:/@]*:).*@", rf"\1{MASK}@", uri, flags=re.DOTALL)


def without_passwords(text: str) -> str:
    """A text, such as a traceback, without the passwords of the addresses in it."""
    return re.sub(r"(://[^\s:/@]*:)\S*@", rf"\1{MASK}@", text)


def escaped(uri: str) -> str:
    """An address whose name and password are written as the standard wants it, `%40` for @."""
    found = _parts(uri)
    return uri if found is None else found.written("utf-8")


def for_requests(uri: str) -> str:
    """The same for `requests`, which sends what is in an address as Latin-1, where servers read UTF-8."""
    found = _parts(uri)
    return uri if found is None else found.written("latin-1")


def whole(uri: str) -> str | None:
    """The address, with its password where that was taken out; None where nobody here knows it."""
    if f":{MASK}@" not in uri:
        return escaped(uri)
    known = escaped(os.environ.get(VARIABLE, "")).rstrip("/")
    return known if redacted(known) == uri.rstrip("/") else None


def apart(uri: str) -> tuple[str, dict[str, str]]:
    """The address of a server without name and password, and the header of HTTP that says them."""
    found = _parts(uri)
    if found is None:
        return uri, {}
    said = base64.b64encode(f"{found.name}:{found.password}".encode()).decode()
    return f"{found.scheme}://{found.place}", {"Authorization": f"Basic {said}"}


class _Parts(NamedTuple):
    scheme: str
    name: str
    password: str
    place: str

    def written(self, coding: str) -> str:
        name, password = (quote(each.encode().decode(coding), safe="") for each in (self.name, self.password))
        return f"{self.scheme}://{name}:{password}@{self.place}"


def _parts(uri: str) -> _Parts | None:
    """An address taken apart; None where it holds no password."""
    scheme, _, rest = uri.partition("://")
    login, _, place = rest.rpartition("@")
    name, colon, password = login.partition(":")
    return _Parts(scheme, unquote(name), unquote(password), place) if colon and "/" not in name else None


@contextmanager
def kept_out(words: Sequence[str]) -> Iterator[list[str]]:
    """The words of a command without the password that `tracking.uri=` may hold, which is known within all the same."""
    with restored(VARIABLE):
        yield [_kept_out(word) for word in words]


def _kept_out(word: str) -> str:
    found = _WORD.fullmatch(word)
    if found is None:
        return word
    key, value = found.groups()
    if value[:1] in ("'", '"') and value[-1:] == value[:1]:
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    return word if redacted(value) == value else f"{key}'{keep(value)}'"


def keep(uri: str) -> str:
    """Keep an address for `whole`; returns it without its password."""
    uri = escaped(uri)
    if f":{MASK}@" not in uri:
        os.environ[VARIABLE] = uri
    return redacted(uri)
