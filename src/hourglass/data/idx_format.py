"""The idx format: one array in one file, as MNIST has been published since 1998.

    file = 00 00 | type code | number of axes n | n sizes, uint32 | the values in C order       all big-endian

so MNIST's training images open with 00 00 08 03, 0000EA60 (60,000), 0000001C (28), 0000001C (28); then come
47,040,000 grey levels. Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits" (1998).
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
CODES = {np.dtype(name): code for code, name in TYPES.items()}


def decode(content: bytes, *, source: str) -> Array:
    """The array in `content`, the bytes of one idx file; `source` names the file in errors.

    A view of `content`, hence read-only, in big-endian values. Raises ValueError when the header is none or
    when the file is shorter or longer than the header says.
    """
    if len(content) < 4 or content[:2] != b"\0\0":
        raise ValueError(f"{source} must start with two zero bytes, got {content[:4].hex(' ') or 'an empty file'}")
    code, axes = content[2], content[3]
    if code not in TYPES:
        allowed = ", ".join(f"0x{known:02x}" for known in TYPES)
        raise ValueError(f"{source} must have an idx type code among {allowed}, got 0x{code:02x}")
    start = 4 + 4 * axes
    if axes < 1 or len(content) < start:
        raise ValueError(f"{source} must have 1 or more axes and their sizes, got {axes} in {len(content)} bytes")
    shape = struct.unpack(f">{axes}I", content[4:start])
    dtype = np.dtype(TYPES[code])
    expected = start + dtype.itemsize * int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise ValueError(f"{source} must be {expected} bytes long for shape {shape}, got {len(content)}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def encode(array: Array) -> bytes:
    """The bytes of the idx file that holds `array`: `decode(encode(a), source="a")` equals `a`."""
    dtype = array.dtype.newbyteorder(">")
    if dtype not in CODES or array.ndim < 1:
        allowed = ", ".join(known.name for known in CODES)
        raise ValueError(
            f"array must have 1 or more axes and a type among {allowed}, got {array.ndim} and {array.dtype}"
        )
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[dtype], array.ndim, *array.shape)
    return header + array.astype(dtype).tobytes()


def read(path: Path) -> Array:
    """The array in the idx file `path`."""
    return decode(path.read_bytes(), source=str(path))


def write(path: Path, array: Array) -> None:
    """Write `array` to the idx file `path`, replacing what is there."""
    path.write_bytes(encode(array))
