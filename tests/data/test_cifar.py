"""CIFAR-10: torchvision's layout, and pickles that are read only when they are what was published."""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from hourglass.data import DataCorruptError, DataUnavailableError, Splitting
from hourglass.data.cifar import CIFAR10, TRAIN_FILES, photographs
from hourglass.data.downloads import from_archive
from hourglass.data.fetch import Collection

SPLITTING = Splitting(
    validation_size=4,
    validation="split",
    split_seed=0,
    train_size=None,
    test_size=None,
    order_seed=0,
    resident="auto",
    test_share=None,
)


class Python2Pickler(pickle._Pickler):  # type: ignore[name-defined, misc]
    """Writes text and bytes as Python 2 did, which made the published files: one type for both."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_string(self, value: str | bytes) -> None:
        content = value.encode("latin1") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + len(content).to_bytes(4, "little") + content)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def pickled(value: object) -> bytes:
    stream = io.BytesIO()
    Python2Pickler(stream, protocol=2).dump(value)
    return stream.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def batch(number: int) -> dict[str, Any]:
    data = np.random.default_rng(number).integers(0, 256, (10, 3072), dtype=np.uint8)
    return {"batch_label": f"batch {number}", "data": data, "labels": [(number + at) % 10 for at in range(10)]}


FILES = {name: pickled(batch(number)) for number, name in enumerate((*TRAIN_FILES, "test_batch"))}
FILES["batches.meta"] = pickled({"label_names": ["airplane"]})


def written(root: Path, files: dict[str, bytes]) -> Collection:
    """The files under `root` as torchvision keeps them, and the collection that has their digests."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return replace(CIFAR10, digests={name: hashlib.md5(content).hexdigest() for name, content in files.items()})


def test_a_folder_of_torchvision_is_read(tmp_path: Path) -> None:
    data = photographs("cifar10", written(tmp_path, FILES), str(tmp_path), SPLITTING)
    assert (data.name, data.shape, data.sizes) == ("cifar10", (3, 32, 32), {"train": 46, "validation": 4, "test": 10})
    assert data.train.x.dtype == torch.uint8
    expected = batch(5)
    # A row holds 1,024 reds, 1,024 greens, 1,024 blues, each row by row.
    assert data.test.x[3, 1, 2, 5].item() == expected["data"][3, 1024 + 2 * 32 + 5]
    assert data.test.y is not None
    assert data.test.y.tolist() == expected["labels"]
    # every training image is one of the five files', with its label
    assert data.train.y is not None
    held = {row.tobytes(): (number + at) % 10 for number in range(5) for at, row in enumerate(batch(number)["data"])}
    for image, label in zip(data.train.x, data.train.y.tolist(), strict=True):
        assert held[image.numpy().tobytes()] == label


@pytest.mark.slow
def test_torchvision_reads_the_same(tmp_path: Path) -> None:
    """The generated folder is one that torchvision takes too."""
    torchvision = pytest.importorskip("torchvision")
    written(tmp_path, FILES)

    class Generated(torchvision.datasets.CIFAR10):  # type: ignore[misc]
        def _check_integrity(self) -> bool:
            return True

        meta = {  # noqa: RUF012
            **torchvision.datasets.CIFAR10.meta,
            "md5": hashlib.md5(FILES["batches.meta"]).hexdigest(),
        }

    theirs = Generated(str(tmp_path), train=False)
    ours = photographs("cifar10", replace(CIFAR10, digests=digests()), str(tmp_path), SPLITTING).test
    assert np.array_equal(theirs.data.transpose(0, 3, 1, 2), ours.x.numpy())
    assert ours.y is not None
    assert theirs.targets == ours.y.tolist()


def digests() -> dict[str, str]:
    return {name: hashlib.md5(content).hexdigest() for name, content in FILES.items()}


class Malicious:
    """What a pickle can be: a call of anything."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.victim,)


def test_a_file_that_is_not_the_published_one_is_not_opened(tmp_path: Path) -> None:
    collection = written(tmp_path / "root", FILES)
    path = tmp_path / "root" / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(pickle.dumps(Malicious(tmp_path / "harmed")))
    with pytest.raises(DataCorruptError, match=r"data_batch_3 must have MD5 [0-9a-f]{32}, got [0-9a-f]{32}"):
        photographs("cifar10", collection, str(tmp_path / "root"), SPLITTING)
    assert not (tmp_path / "harmed").exists()


def test_a_pickle_that_calls_anything_is_refused_even_with_the_right_digest(tmp_path: Path) -> None:
    harmful = FILES | {"data_batch_3": pickle.dumps(Malicious(tmp_path / "harmed"))}
    collection = written(tmp_path / "root", harmful)
    with pytest.raises(DataCorruptError, match=r"data_batch_3 can't be read .*: it wants pathlib\S*, which no array"):
        photographs("cifar10", collection, str(tmp_path / "root"), SPLITTING)
    assert not (tmp_path / "harmed").exists()
    pickle.loads(harmful["data_batch_3"])  # what an ordinary reader would have done
    assert (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no pickle", "can't be read as a CIFAR-10 batch"),
        (pickled({"data": np.zeros((2, 3072), np.uint8)}), "can't be read as a CIFAR-10 batch: 'labels'"),
        (
            pickled({"data": np.zeros((2, 3), np.uint8), "labels": [0, 1]}),
            r"must hold data \(N, 3072\) uint8, got \(2, 3\)",
        ),
        (pickled({"data": [1, 2], "labels": [0, 1]}), r"must hold data \(N, 3072\) uint8, got \[1, 2\]"),
        (pickled({"data": np.zeros((2, 3072), np.uint8), "labels": [0]}), "must hold 2 labels from 0 to 9"),
        (pickled({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 10]}), "must hold 2 labels from 0 to 9"),
    ],
)
def test_what_is_no_batch_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    collection = written(tmp_path, FILES | {"test_batch": content})
    with pytest.raises(DataCorruptError, match=f"test_batch {message}"):
        photographs("cifar10", collection, str(tmp_path), SPLITTING)


# -- fetching ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """A real web server on this machine that holds the archive."""
    folder = tmp_path / "www"
    folder.mkdir()
    with tarfile.open(folder / "cifar.tar.gz", "w:gz") as archive:
        for name, content in FILES.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/cifar.tar.gz"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_archive_fills_the_data_folder(tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "cache"))
    sha256 = hashlib.sha256((tmp_path / "www" / "cifar.tar.gz").read_bytes()).hexdigest()
    carriers = [("the mirror", partial(from_archive, mirror, sha256))]
    here = replace(CIFAR10, digests=digests(), carriers=carriers)
    assert photographs("cifar10", here, None, SPLITTING).sizes["test"] == 10
    folder = tmp_path / "cache" / "cifar-10-batches-py"
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"} == FILES
    assert photographs("cifar10", replace(here, carriers=[]), None, SPLITTING).sizes["test"] == 10  # now without


def test_another_archive_is_not_opened_and_the_error_says_what_was_tried(
    tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "cache"))
    carriers = [
        ("the mirror", partial(from_archive, mirror, "0" * 64)),
        ("nowhere", partial(from_archive, "http://127.0.0.1:9/cifar.tar.gz", "0" * 64)),
    ]
    with pytest.raises(DataUnavailableError) as caught:
        photographs("cifar10", replace(CIFAR10, carriers=carriers), None, SPLITTING)
    for part in ("the mirror: cifar.tar.gz must have SHA-256 000", "nowhere: ", "data=patches data.colour=true"):
        assert part in str(caught.value)
