"""What the sub-folders of a folder of images say: which class an image is of, and which split it belongs to.

classes   cat/1.png  dog/2.png                 or no sub-folders at all
splits    train/cat/1.png  test/dog/2.png      or train/1.png  test/2.png
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FOLDERS = ("auto", "splits", "classes")
#: Names of a split's folder.
SPLITS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}


class Layout(NamedTuple):
    """What the sub-folders of a folder are."""

    parts: dict[str, list[int]]
    """The files of each split, as positions in the list of all files; all are train's where there are no splits."""
    labels: npt.NDArray[np.int64] | None
    """The class of every file, (N,)."""
    splits: bool
    """Whether the folder itself says which is which."""
    classes: tuple[str, ...] | None
    """The names of the classes, in alphabetical order: class 0 is the first."""

    @property
    def slices(self) -> dict[str, slice]:
        """Where each split stands when they follow each other."""
        ends = list(accumulate(map(len, self.parts.values()), initial=0))
        return {name: slice(*span) for name, span in zip(self.parts, pairwise(ends), strict=True)}

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it, a line each."""
        if not self.splits:
            return ()
        sizes = ", ".join(f"{len(part)} {name}" for name, part in self.parts.items())
        return (f"the sub-folders are the splits: {sizes} (data.folders=classes would make classes of them)",)


def layout_of(folder: Path, files: Sequence[str], folders: str) -> Layout:
    """What the sub-folders of `folder` are, with `files` relative to it. folders, and errors: see `image_folder`."""
    _check_filled(folder, files)
    tops = [file.partition("/")[0] if "/" in file else "" for file in files]
    split = [SPLITS.get(top.lower()) for top in tops]
    named, others = (
        {top for top, of in zip(tops, split, strict=True) if (of is None) == bare} for bare in (False, True)
    )
    if folders == "classes" or (folders == "auto" and not named):
        labels, names = _classes(folder, files)
        return Layout({"train": list(range(len(files)))}, labels, splits=False, classes=names)
    if others:
        beside = ", ".join(sorted(others - {""})) or "images"
        raise ValueError(
            f"folders must be classes, or path hold splits alone, got {', '.join(sorted(named))} beside {beside}"
        )
    if "train" not in split:
        raise ValueError(f"path must hold a folder train beside {', '.join(sorted(named))}, got none in {folder}")
    for kind in set(split):
        if len(several := sorted({top for top, of in zip(tops, split, strict=True) if of == kind})) > 1:
            raise ValueError(f"path must hold one of {' and '.join(several)}, got both in {folder}")
    parts = {kind: [at for at, of in enumerate(split) if of == kind] for kind in ("train", "validation", "test")}
    parts = {kind: part for kind, part in parts.items() if part}
    below = [file.partition("/")[2] for file in files]
    labels, names = _classes(folder, below)
    if labels is not None:
        for kind, part in parts.items():
            if strange := set(labels[part]) - set(labels[parts["train"]]):
                name = below[int(np.flatnonzero(labels == min(strange))[0])].partition("/")[0]
                raise ValueError(
                    f"path must hold the classes of {kind} in train too, got {name} in {kind} alone of {folder}"
                )
    return Layout(parts, labels, splits=True, classes=names)


def _classes(folder: Path, files: Sequence[str]) -> tuple[npt.NDArray[np.int64], tuple[str, ...]] | tuple[None, None]:
    """The class of every file, (N,), by its top folder, and their names; nothing where files lie in none."""
    tops = [file.partition("/")[0] if "/" in file else "" for file in files]
    if not any(tops):
        return None, None
    if not all(tops):
        loose = files[tops.index("")]
        raise ValueError(f"path must hold images either in sub-folders or directly, got both: {loose} in {folder}")
    names, labels = np.unique(tops, return_inverse=True)
    return labels.astype(np.int64), tuple(names.tolist())


def _check_filled(folder: Path, files: Sequence[str]) -> None:
    """Raise ValueError for a sub-folder without images, which would be no class: it may have been meant as one."""
    names = {file.partition("/")[0] for file in files if "/" in file}
    bare = {each.name for each in folder.iterdir() if each.is_dir() and each.name[0] != "."}.difference(names)
    if names and bare:
        raise ValueError(
            f"path must hold images in every sub-folder, got none in {', '.join(sorted(bare))} of {folder}"
        )
