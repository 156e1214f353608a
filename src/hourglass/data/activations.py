"""Stored activations of a network, in more files than the memory holds: what sparse autoencoders are trained on.

A shard is a .npy or .safetensors file of rows (n, D), one activation a row. Shards are cut into blocks of neighbouring
rows, and with a permutation of the blocks, drawn once from `split_seed`, the rows of test, validation and training
follow each other as `Splitting` says: so that tokens of one text, which lie beside each other, mostly fall into one
split. Batches are drawn in the same manner, a few blocks at a time (see `training.batches.permuted`).

A model sees x / s, with one s for all values, measured on the training rows (D values each):

    norm          s                   after it            used by
    none          1
    unit          E|x|                E|x| = 1
    unit_square   (E|x|^2)^(1/2)      E|x|^2 = 1          dictionary_learning; Gemma Scope (Lieberum et al., 2024, 3.1)
    root          E|x| D^(-1/2)       E|x| = D^(1/2)      SAELens (expected_average_only_in); Anthropic (April 2024)
    root_square   (E|x|^2 / D)^(1/2)  E|x|^2 = D

With `root_square` the mean squared error, over D values, is the squared error of a sample that dictionary_learning
trains on after its own norm: so weights of penalties mean the same. s is kept with the weights, and loaded models take
and give activations in the network's own units. One pass over all rows measures it, checks that they are finite and
takes their digest; what it found is kept in the data folder under the files' names, sizes and times. Nothing is copied.
"""

import fnmatch
import hashlib
import json
import math
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Unpack, cast

import numpy as np
import torch
from torch import Tensor

from hourglass.data.dataset import Blocks, Dataset, Scaling, Split
from hourglass.data.paired import paired
from hourglass.data.shards import READ_AT_ONCE, SUFFIXES, Shards, read_shard
from hourglass.data.splitting import SplitsAndTest, Splitting, existing_file
from hourglass.system.bars import progress_bar
from hourglass.system.cache import cache_dir, kept
from hourglass.system.checks import check_choice, check_count

NORMS = ("none", "unit", "unit_square", "root", "root_square")


def activations(
    *,
    path: str,
    norm: str,
    tensor: str | None,
    labels: str | None,
    test_shards: str | None,
    validation_shards: str | None,
    block: int,
    mixed: int,
    target: str | None = None,
    **splits: Unpack[SplitsAndTest],
) -> Dataset:
    """The shards in a folder, or one file: rows (D,) of float16, bfloat16, float32 or float64, read as float32.

    path: the folder, whose .npy and .safetensors files are the shards, in the order of their names, numbers in them by
        value; sub-folders are not searched.
    norm: by what all values are divided, see the module.
    tensor: its name in .safetensors files; None: the only one there.
    labels: a .npy file of whole numbers (N,), one for each row of all shards in order; None: no labels.
    test_shards, validation_shards: names of the shards that are set apart whole, with `*` for any letters, several
        between commas; None: `test_share`, `validation_size`.
    block: neighbouring rows that stay together when rows are shuffled, 1 or more.
    mixed: blocks that batches are drawn from at a time, 1 or more; together they should fit into memory.
    target: a second folder, of what a model is to make of the rows: as many in each shard, in the same order; None: the
        rows themselves.
    The other arguments: `Splitting`. Raises ValueError that names the file.
    """
    read = partial(
        _activations, norm=norm, tensor=tensor, block=block, mixed=mixed, test=test_shards, validation=validation_shards
    )
    data = read(path, labels=labels, splits=splits)
    if target is None:
        return data
    try:
        goals = read(target, labels=None, splits=splits)
    except ValueError as error:
        raise ValueError(f"target: {error}") from error
    lengths = [[len(shard) for shard in cast(Shards, each.train.x).parts] for each in (data, goals)]
    if data.sizes != goals.sizes or lengths[0] != lengths[1]:
        raise ValueError(f"target must hold shards of as many rows as those of path, in the same order, got {target}")
    return paired(data, goals, key=f"target={target}")


def _activations(
    path: str,
    *,
    norm: str,
    tensor: str | None,
    labels: str | None,
    test: str | None,
    validation: str | None,
    block: int,
    mixed: int,
    splits: SplitsAndTest,
) -> Dataset:
    """The rows of one folder."""
    splitting = Splitting(**splits)
    check_choice("norm", norm, NORMS)
    for key, value in (("block", block), ("mixed", mixed)):
        check_count(key, value)
    marks = None if labels is None else existing_file("labels", labels)
    files = _files(path, without=marks)
    shards = [read_shard(file, tensor=tensor) for file in files]
    for file, shard in zip(files, shards, strict=True):
        if shard.shape[1] != shards[0].shape[1]:
            raise ValueError(
                f"path must hold shards of equal width, got {shards[0].shape[1]} in {files[0].name}"
                f" and {shard.shape[1]} in {file.name}"
            )
    parts = _parts(files, {"test": test, "validation": validation})
    y = None if marks is None else _labels(marks, [len(shard) for shard in shards])
    given = {name: _shuffled(part, shards, y, block=block, splitting=splitting) for name, part in parts.items()}
    (train, held_out, tested), notes = splitting.in_order(given["train"], given.get("validation"), given.get("test"))
    found = _measured(
        files, tensor, y, (train, held_out, tested), (block, [sorted(part) for part in parts.values()], splits)
    )
    learned = found.parts[0] if len(train) else found.parts[2]
    scale = _scale(norm, learned, width=shards[0].shape[1])
    scaling = None if scale is None else _one_for_all(scale, shards[0].shape[1])
    bounds = [(part.low, part.high) for part in found.parts]
    scaled = [
        Split(x=cast(Tensor, cast(Shards, split.x).scaled_by(scaling, bound if len(split) else None)), y=split.y)
        for split, bound in zip((train, held_out, tested), bounds, strict=True)
    ]
    known = cast(Shards, scaled[0 if len(train) else 2].x)
    told = f"{sum(map(len, shards)):,} rows in {len(files)} shards"
    told += f", E|x| = {learned.norm:.4g}, E|x|^2 = {learned.square:.4g}"
    return Dataset(
        name="activations",
        train=scaled[0],
        validation=scaled[2] if held_out is tested else scaled[1],
        test=scaled[2],
        shape=(shards[0].shape[1],),
        range=cast(tuple[float, float], tuple(float(bound) for bound in known.aminmax())),
        digest=hashlib.sha256(f"{found.digest} {None if scaling is None else scale}".encode()).hexdigest(),
        order_seed=splitting.order_seed,
        resident=splitting.resident,
        columns=None,
        scaling=scaling,
        notes=(f"{told}, norm={norm}: {'as they are' if scale is None else f'divided by {scale:.4g}'}", *notes),
        blocks=Blocks(rows=block, mixed=mixed),
        statistics={"mean_norm": learned.norm, "mean_squared_norm": learned.square, "scale": scale or 1.0},
    )


class _Part(NamedTuple):
    """What was found in the rows of one split, before scaling."""

    norm: float
    square: float
    low: float
    high: float


class _Found(NamedTuple):
    parts: tuple[_Part, ...]
    digest: str


def _files(path: str, *, without: Path | None) -> list[Path]:
    place = Path(str(path)).expanduser()
    if place.is_file() and place.suffix.lower() in SUFFIXES:
        return [place]
    if not place.is_dir():
        raise ValueError(f"path must be an existing folder of shards ({', '.join(SUFFIXES)}), got {path}")
    found = [
        file
        for file in place.iterdir()
        if file.suffix.lower() in SUFFIXES and file.is_file() and not (without and file.samefile(without))
    ]
    if not found:
        others = sorted({file.suffix for file in place.iterdir() if file.suffix})
        beside = f", beside {', '.join(others)}" if others else ""
        raise ValueError(f"path must be a folder with shards ({', '.join(SUFFIXES)}), got none{beside} in {place}")
    return sorted(found, key=lambda file: [int(w) if w.isdigit() else w for w in re.split(r"(\d+)", file.name)])


def _parts(files: Sequence[Path], apart: dict[str, str | None]) -> dict[str, list[int]]:
    """The shards of each split, by number."""
    parts: dict[str, list[int]] = {}
    left = list(range(len(files)))
    for kind, names in apart.items():
        if names is None:
            continue
        patterns = [name.strip() for name in str(names).split(",")]
        for pattern in patterns:
            if not any(fnmatch.fnmatchcase(files[at].name, pattern) for at in left):
                raise ValueError(f"{kind}_shards must name shards that are left in {files[0].parent}, got {pattern}")
        parts[kind] = [at for at in left if any(fnmatch.fnmatchcase(files[at].name, each) for each in patterns)]
        left = [at for at in left if at not in parts[kind]]
    if not left:
        raise ValueError(f"{' and '.join(f'{kind}_shards' for kind in parts)} must leave shards to train on, got all")
    return {"train": left, **parts}


def _labels(file: Path, lengths: Sequence[int]) -> list[Tensor]:
    """The labels of each shard."""
    try:
        y = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"labels must be a .npy file, got {file}: {error}") from error
    if y.dtype.kind not in "iu" or y.shape != (sum(lengths),):
        raise ValueError(f"labels must be whole numbers of shape ({sum(lengths)},), got {y.dtype} {y.shape} in {file}")
    return list(torch.split(torch.from_numpy(y.astype(np.int64)), list(lengths)))


def _shuffled(
    part: Sequence[int], shards: Sequence[Tensor], y: Sequence[Tensor] | None, *, block: int, splitting: Splitting
) -> Split:
    """The blocks of some shards, in the order of the splitting's permutation."""
    spans = [(at, start) for at in part for start in range(0, len(shards[at]), block)]
    order = [spans[number] for number in splitting.permutation(len(spans)).tolist()]
    x = Shards([shards[at][start : start + block] for at, start in order])
    marks = None if y is None else torch.cat([y[at][start : start + block] for at, start in order])
    return Split(x=cast(Tensor, x), y=marks)


def _measured(
    files: Sequence[Path], tensor: str | None, y: Sequence[Tensor] | None, splits: Sequence[Split], settings: Any
) -> _Found:
    """What a pass over all rows finds, now or in an earlier start."""
    key = hashlib.sha256(json.dumps([str(files[0].parent.resolve()), tensor, settings], sort_keys=True).encode())
    for file in files:
        status = file.stat()
        key.update(json.dumps([file.name, status.st_size, status.st_mtime_ns]).encode())
    for marks in y or ():
        key.update(marks.numpy().tobytes())

    def read(path: Path) -> _Found:
        held = json.loads(path.read_text())
        return _Found(tuple(_Part(*part) for part in held["parts"]), held["digest"])

    return kept(
        cache_dir() / "activations" / f"{key.hexdigest()[:32]}.json",
        read=read,
        compute=lambda: _pass(files, tensor, splits),
        write=lambda path, found: path.write_text(json.dumps(found._asdict())),
    )


def _pass(files: Sequence[Path], tensor: str | None, splits: Sequence[Split]) -> _Found:
    digest, parts = hashlib.sha256(), []
    total = sum(map(len, splits))
    with progress_bar(total=total, desc="measuring activations", unit="row", unit_scale=True, delay=1.0) as bar:
        for split in splits:
            norm = square = 0.0
            low, high = math.inf, -math.inf
            digest.update(f"{tuple(split.x.shape)}".encode())
            for x in torch.split(split.x, READ_AT_ONCE):
                if not bool(x.isfinite().all()):
                    raise ValueError(_where(files, tensor))
                digest.update(x.numpy().data)
                squares = x.double().square().sum(1)
                norm, square = norm + float(squares.sqrt().sum()), square + float(squares.sum())
                low, high = min(low, float(x.min())), max(high, float(x.max()))
                bar.update(len(x))
            if split.y is not None:
                digest.update(split.y.contiguous().numpy().data)
            count = max(1, len(split))
            parts.append(_Part(norm / count, square / count, low, high))
    return _Found(tuple(parts), digest.hexdigest())


def _where(files: Sequence[Path], tensor: str | None) -> str:
    """Which row is not finite."""
    for file in files:
        shard = read_shard(file, tensor=tensor)
        for start in range(0, len(shard), READ_AT_ONCE):
            bad = (~shard[start : start + READ_AT_ONCE].isfinite()).any(1).nonzero()
            if len(bad):
                return f"path must hold finite numbers, got nan or infinity in row {start + int(bad[0])} of {file.name}"
    return "path must hold finite numbers, got nan or infinity"


def _scale(norm: str, found: _Part, *, width: int) -> float | None:
    scale = {
        "none": None,
        "unit": found.norm,
        "unit_square": found.square**0.5,
        "root": found.norm / width**0.5,
        "root_square": (found.square / width) ** 0.5,
    }[norm]
    return scale if scale is None or scale > 0 else 1.0


def _one_for_all(scale: float, width: int) -> Scaling:
    return Scaling(
        offset=torch.zeros(width, dtype=torch.float64), scale=torch.full((width,), scale, dtype=torch.float64)
    )
