"""Rows of many files as one array (N, D) that is read where it is touched: activations that no memory holds.

A file is mapped, not read: the system brings in the pages that a batch touches and forgets them when it needs the
room. Its numbers, of 16, 32 or 64 bits, become float32 as they are read, and are scaled then, so that what comes out is
what a split of an array in memory would hold.
"""

import json
import math
import mmap
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hourglass.data.dataset import Scaling

__all__ = ["READ_AT_ONCE", "SUFFIXES", "Shards", "map_file", "read_shard"]

SUFFIXES = (".npy", ".safetensors")
READ_AT_ONCE = 8192
"""Rows that a pass over all of them reads at a time."""

#: Of `mmap`, which knows the name from Python 3.13 on.
_MAP_NORESERVE = {"linux": 0x4000, "darwin": 0x40}.get(sys.platform, 0)
_NPY = {"<f2": torch.float16, "<f4": torch.float32, "<f8": torch.float64}
_SAFETENSORS = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
_ALLOWED = "float16, float32 or float64, in .safetensors also bfloat16"


def map_file(path: Path, *, dtype: torch.dtype, shape: Sequence[int], offset: int = 0) -> Tensor:
    """What lies in a file from byte `offset` on, as a tensor of `shape` of which nothing is read until it is used."""
    with path.open("rb") as file:
        # Private: who writes to the tensor does not write to the file. Unreserved: else the system would refuse to
        # map more than its memory, for the case that everything is written to.
        pages = mmap.mmap(
            file.fileno(),
            os.fstat(file.fileno()).st_size,
            flags=mmap.MAP_PRIVATE | _MAP_NORESERVE,
            prot=mmap.PROT_READ | mmap.PROT_WRITE,
        )
    return torch.frombuffer(pages, dtype=dtype, count=math.prod(shape), offset=offset).view(*shape)


def read_shard(path: Path, *, tensor: str | None) -> Tensor:
    """The rows (n, D) of one file, mapped.

    Args:
        path: of a .npy or .safetensors file.
        tensor: its name in a .safetensors file; None: the only one there.

    Raises:
        ValueError: a file that is damaged, or holds something else, in one line that names it.
    """
    try:
        found = _npy(path) if path.suffix.lower() == ".npy" else _safetensors(path, tensor)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ValueError(f"path must hold readable shards, got {path.name}: {error}") from error
    if found.ndim != 2 or 0 in found.shape:
        raise ValueError(
            f"path must hold shards of rows (N, D), one activation a row, got {tuple(found.shape)} in {path.name}"
        )
    return found


def _npy(path: Path) -> Tensor:
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        offset = file.tell()
    if dtype.str not in _NPY:
        raise ValueError(f"its type must be {_ALLOWED}, got {dtype}")
    if fortran:
        raise ValueError("its rows must lie after each other, got columns (Fortran order)")
    return _mapped(path, _NPY[dtype.str], shape, offset)


def _safetensors(path: Path, tensor: str | None) -> Tensor:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as held:
            names = sorted(held.keys())
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    if tensor is None and len(names) != 1:
        raise ValueError(f"it holds {', '.join(names) or 'nothing'}: say which by data.tensor")
    if tensor is not None and tensor not in names:
        raise ValueError(f"it must hold tensor={tensor}, got {', '.join(names) or 'nothing'}")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        node = json.loads(file.read(length))[names[0] if tensor is None else tensor]
    if node["dtype"] not in _SAFETENSORS:
        raise ValueError(f"its type must be {_ALLOWED}, got {node['dtype']}")
    return _mapped(path, _SAFETENSORS[node["dtype"]], node["shape"], 8 + length + node["data_offsets"][0])


def _mapped(path: Path, dtype: torch.dtype, shape: Sequence[int], offset: int) -> Tensor:
    if 0 in shape:
        return torch.empty(*shape, dtype=dtype)
    needed, found = offset + math.prod(shape) * dtype.itemsize, path.stat().st_size
    if needed > found:
        raise ValueError(f"it must be {needed} bytes long, got {found}")
    return map_file(path, dtype=dtype, shape=shape, offset=offset)


class Shards:
    """Rows of several arrays after each other, which stand in for a tensor (N, D) of float32 wherever rows are taken.

    What is indexed is read, as a tensor; `narrow` alone reads nothing. `torch.split` gives one block after the other.

    Args:
        parts: (n, D) each, mapped or in memory, of any float type.
        scaling: what rows go through as they are read; None: they stay what they are.
        bounds: the smallest and largest value of all parts before scaling, where they are known.

    Example:
        >>> rows = Shards([torch.zeros(2, 3), torch.ones(4, 3, dtype=torch.float16)])
        >>> rows.shape, rows[1:3].tolist()
        (torch.Size([6, 3]), [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
        >>> len(rows.narrow(0, 1, 4))
        4
    """

    dtype = torch.float32
    ndim = 2
    device = torch.device("cpu")

    def __init__(
        self,
        parts: Sequence[Tensor],
        *,
        scaling: Scaling | None = None,
        bounds: tuple[float, float] | None = None,
        width: int | None = None,
    ) -> None:
        self.parts = [part for part in parts if len(part)]
        self.scaling = scaling
        self.bounds = bounds
        self._ends = np.array(list(accumulate(map(len, self.parts), initial=0)), dtype=np.int64)
        self.shape = torch.Size((int(self._ends[-1]), parts[0].shape[1] if width is None else width))

    def __len__(self) -> int:
        return self.shape[0]

    def numel(self) -> int:
        """Values."""
        return self.shape.numel()

    def element_size(self) -> int:
        """Bytes of a value that has been read."""
        return self.dtype.itemsize

    def is_contiguous(self) -> bool:
        """Of what is read."""
        return True

    def scaled_by(self, scaling: Scaling | None, bounds: tuple[float, float] | None = None) -> "Shards":
        """The same rows in another scaling, None: as they lie in the files."""
        return Shards(self.parts, scaling=scaling, bounds=bounds, width=self.shape[1])

    def narrow(self, dim: int, start: int, length: int) -> "Shards":
        """`length` rows from `start` on; nothing is read. dim: 0."""
        assert dim == 0, "rows are what is taken"
        stop = start + length
        first = int(np.searchsorted(self._ends, start, side="right")) - 1
        parts = []
        for part, begin in zip(self.parts[first:], self._ends[first:-1].tolist(), strict=True):
            if begin >= stop:
                break
            parts.append(part[max(0, start - begin) : stop - begin])
        return Shards(parts, scaling=self.scaling, width=self.shape[1])

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Rows by number, in the order of `index` (n,). dim: 0."""
        assert dim == 0, "rows are what is taken"
        rows = index.cpu().numpy()
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
            raise IndexError(f"rows must be from 0 to {len(self) - 1}, got {rows.min()} to {rows.max()}")
        out = torch.empty(len(rows), self.shape[1])
        order = np.argsort(rows, kind="stable")  # a file is read from its start to its end
        ordered = rows[order]
        for number in np.unique(np.searchsorted(self._ends, ordered, side="right") - 1).tolist():
            low, high = np.searchsorted(ordered, self._ends[number : number + 2]).tolist()
            taken = torch.from_numpy(ordered[low:high] - self._ends[number])
            out[torch.from_numpy(order[low:high])] = self.parts[number].index_select(0, taken).float()
        return out if self.scaling is None else self.scaling.apply(out)

    def __getitem__(self, index: Any) -> Tensor:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                return self.index_select(0, torch.arange(start, stop, step))
            parts = self.narrow(0, start, max(0, stop - start)).parts
            found = torch.cat([part.float() for part in parts]) if parts else torch.empty(0, self.shape[1])
            return found if self.scaling is None else self.scaling.apply(found)
        if isinstance(index, Tensor) and index.ndim:
            return self.index_select(0, index)
        at = int(index)
        return self.index_select(0, torch.tensor([at + len(self) if at < 0 else at]))[0]

    def split(self, rows: int, dim: int = 0) -> Iterator[Tensor]:
        """Blocks of so many rows, in order, each read when it is asked for. dim: 0."""
        assert dim == 0, "rows are what is taken"
        return (self[start : start + rows] for start in range(0, len(self), rows))

    def to(self, *device: Any, **settings: Any) -> Tensor:
        """All of it, read into memory, or into that of a device."""
        whole = torch.empty(self.shape, device=torch.empty(0).to(*device, **settings).device)
        start = 0
        for block in self.split(READ_AT_ONCE):
            whole[start : start + len(block)] = block.to(whole.device)
            start += len(block)
        return whole

    def aminmax(self) -> tuple[Tensor, Tensor]:
        """The smallest and the largest value."""
        if self.bounds is None:
            found = [block.aminmax() for block in self.split(READ_AT_ONCE)]
            return torch.stack([low for low, _ in found]).min(), torch.stack([high for _, high in found]).max()
        low, high = (torch.full((1, self.shape[1]), bound) for bound in self.bounds)
        return tuple(  # type: ignore[return-value]
            (bound if self.scaling is None else self.scaling.apply(bound))[0, 0] for bound in (low, high)
        )

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """`torch.split`, which is how a data set is walked through, and nothing else."""
        if function is torch.split:
            return args[0].split(*args[1:], **(kwargs or {}))
        return NotImplemented
