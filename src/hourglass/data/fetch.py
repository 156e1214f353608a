"""Published files, fetched once, verified always.

A collection is a set of files known by name and by the published digest of their decompressed bytes. To load it is

    one's own root, if given:  its files, or an error
    the data folder:           its files, where digest(file) is the published one
    else, for what is missing: the first carrier whose bytes have the published digest

so no byte is ever used that isn't the published one, whoever brought it. Hashing MNIST's 55 MB takes 0.07 s
at each start: a marker "was verified once" would save that and miss a disk that fails. The data folder is
`$HOURGLASS_CACHE`, by default `~/.cache/hourglass`, laid out as torchvision does:
`<folder>/MNIST/raw/train-images-idx3-ubyte`.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock

from hourglass.data.downloads import FAILURES, from_folder
from hourglass.system.cache import cache_dir
from hourglass.system.files import draft, remove_drafts

log = logging.getLogger("hourglass")


class DataUnavailableError(ValueError):
    """A data set that is nowhere: names every attempt and why it failed."""


class DataCorruptError(ValueError):
    """A file that isn't what it should be: names the file, the expected and the found digest."""


@dataclass(frozen=True)
class Collection:
    """Files that belong together.

    name: the folder in which torchvision keeps them, `<root>/<name>/<subfolder>`.
    digests: file name -> hex digest of the decompressed file.
    carriers: what to try, in order: (how to call it in messages, file names -> contents).
    subfolder: of `name`, where the files lie; empty: `name` itself.
    algorithm: of the digests. md5 where nothing better was published: two files of one MD5 can be made, but
        not a second one for a file that somebody else made.
    instead: what to use where nothing can be fetched.
    """

    name: str
    digests: Mapping[str, str]
    carriers: Sequence[tuple[str, Callable[[Sequence[str]], dict[str, bytes]]]]
    subfolder: str = "raw"
    algorithm: Literal["sha256", "md5"] = "sha256"
    instead: str = "data=digits"


def load(collection: Collection, *, root: str | None) -> dict[str, bytes]:
    """The verified contents of the files of `collection`, by file name.

    root: a torchvision root of one's own, `<root>/<name>/<subfolder>`, only ever read; None is the data folder,
    completed when something is missing or damaged. Raises DataCorruptError for a damaged file under `root`,
    DataUnavailableError when files are missing there or when no carrier delivers.
    """
    if root is not None:
        return _load_own(collection, Path(str(root)).expanduser() / collection.name / collection.subfolder)
    folder = cache_dir() / collection.name / collection.subfolder
    held, _ = _verified(collection, folder)
    if len(held) == len(collection.digests):
        return held
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(cache_dir() / collection.name / ".lock"):
            return _fetch(collection, folder)
    except OSError as error:  # read-only, full, or no folder at all: a carrier's own failures don't come this far
        raise DataUnavailableError(
            f"{collection.name} can't be stored in {folder}: {error}. "
            f"Set HOURGLASS_CACHE to a folder that you may write, or use {collection.instead}, which needs no download"
        ) from error


def _load_own(collection: Collection, folder: Path) -> dict[str, bytes]:
    held, problems = _verified(collection, folder)
    for name, problem in problems.items():
        if not (folder / name).exists() and not (folder / f"{name}.gz").exists():
            raise DataUnavailableError(f"root must hold the files of {collection.name}, got {folder}: {problem}")
        raise DataCorruptError(f"{folder / name} can't be used: {problem}")
    return held


def _fetch(collection: Collection, folder: Path) -> dict[str, bytes]:
    """Complete `folder`, whose lock is held."""
    for name in collection.digests:
        remove_drafts(folder / name)
    # Look again: another process may have fetched everything while this one waited for the lock.
    held, problems = _verified(collection, folder)
    tried = [f"{folder}: {', '.join(problems.values())}"]
    for name, problem in problems.items():
        if (folder / name).exists():
            log.warning("%s can't be used and is fetched again: %s", folder / name, problem)
    for label, carry in collection.carriers:
        missing = [name for name in collection.digests if name not in held]
        if not missing:
            break
        log.info("fetching %s from %s", collection.name, label)
        try:
            brought = carry(missing)
        except FAILURES as error:
            tried.append(f"{label}: {error}")
            log.info("no %s from there: %s", collection.name, error)
            continue
        refused = []
        for name, content in brought.items():
            if refusal := _mismatch(content, name, collection):
                refused.append(refusal)
                log.warning("%s brought another file than the published one: %s", label, refusal)
            else:
                with draft(folder / name) as part:
                    part.write_bytes(content)
                held[name] = content
        tried.append(f"{label}: {', '.join(refused)}")
    if len(held) < len(collection.digests):
        attempts = "; ".join(f"({number}) {attempt}" for number, attempt in enumerate(tried, 1))
        raise DataUnavailableError(
            f"{collection.name} is not available. Tried {attempts}. "
            f"Use {collection.instead}, which needs no download, or put the files into {folder}"
        )
    return held


def _verified(collection: Collection, folder: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """The files of `folder` that are the published ones, and what is wrong with each of the others."""
    held, problems = {}, {}
    for name in collection.digests:
        try:
            content = from_folder(folder, [name])[name]
        except FAILURES as error:
            problems[name] = str(error)
            continue
        if problem := _mismatch(content, name, collection):
            problems[name] = problem
        else:
            held[name] = content
    return held, problems


def _mismatch(content: bytes, name: str, collection: Collection) -> str | None:
    expected, found = collection.digests[name], hashlib.new(collection.algorithm, content).hexdigest()
    label = {"sha256": "SHA-256", "md5": "MD5"}[collection.algorithm]
    return None if found == expected else f"{name} must have {label} {expected}, got {found}"
