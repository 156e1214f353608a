"""The idx format, byte by byte."""

from pathlib import Path

import numpy as np
import pytest

from hourglass.data import idx_format as idx

# 2 x 3 unsigned bytes: magic 00 00 08 02, sizes 2 and 3, then 1 to 6.
CONTENT = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])


def test_bytes_by_hand() -> None:
    array = idx.decode(CONTENT, source="a")
    np.testing.assert_array_equal(array, [[1, 2, 3], [4, 5, 6]])
    assert array.dtype == np.uint8
    assert idx.encode(np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint8)) == CONTENT


def test_values_are_big_endian() -> None:
    assert idx.encode(np.array([258], dtype=np.int16)) == bytes([0, 0, 0x0B, 1, 0, 0, 0, 1, 1, 2])


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "<i4", ">i4", "<f4", "f8"])
@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (0, 7)])
def test_write_then_read(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    idx.write(tmp_path / "a-idx", array)
    np.testing.assert_array_equal(idx.read(tmp_path / "a-idx"), array, strict=False)
    assert idx.read(tmp_path / "a-idx").shape == shape


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "two zero bytes, got an empty file"),
        (b"\x1f\x8b\x08\x00", "two zero bytes, got 1f 8b 08 00"),
        (bytes([0, 0, 7, 1, 0, 0, 0, 0]), "type code among 0x08, .*, got 0x07"),
        (bytes([0, 0, 8, 0]), "1 or more axes"),
        (CONTENT[:10], "1 or more axes and their sizes, got 2 in 10 bytes"),
        (CONTENT[:-1], r"18 bytes long for shape \(2, 3\), got 17"),
        (CONTENT + b"\0", r"18 bytes long for shape \(2, 3\), got 19"),
    ],
)
def test_what_is_no_idx_file_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"broken-idx must .*{message}"):
        idx.decode(content, source="broken-idx")


def test_what_the_format_has_no_code_for_is_refused() -> None:
    with pytest.raises(ValueError, match="int64"):
        idx.encode(np.zeros(3, dtype=np.int64))
