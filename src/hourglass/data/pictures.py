"""The levels of a picture that Pillow holds, 0 to 255, the same wherever the picture comes from.

1, L, LA             grey
I;16, I;16B, ...     grey of 16 bits, divided by 257: Pillow's own conversion cuts them off at 255
I, F                 grey of 32 bits: refused, no range is known for them
P, RGB, RGBA, ...    colour; a palette's numbers are no levels

Pictures are turned as their EXIF says. Transparency is dropped.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image


def is_grey(picture: "Image") -> bool:
    """Whether a picture has no colours, by how it is stored."""
    return picture.mode in ("1", "L", "LA") or picture.mode.startswith("I;16")


def converted(picture: "Image", mode: str) -> "Image":
    """The picture, upright, of 8 bits a level.

    mode: "RGB", or "L", the luma 0.299 R + 0.587 G + 0.114 B. Raises ValueError for levels of 32 bits, and for colours
    that Pillow can't convert.
    """
    from PIL import Image, ImageOps

    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I;16"):
        upright = Image.fromarray(np.round(np.asarray(upright) / 257).astype(np.uint8))
    if upright.mode in ("I", "F"):
        raise ValueError("its levels have 32 bits, and no range is known for them")
    return upright.convert(mode)


def levels_of(picture: "Image", mode: str | None = None) -> npt.NDArray[np.uint8]:
    """The same as an array, (H, W), or (3, H, W) of colours.

    mode: see `converted`; None: "L" where it is grey, else "RGB". Raises ValueError as `converted` does.
    """
    pixels = np.asarray(converted(picture, mode or ("L" if is_grey(picture) else "RGB")))
    return pixels if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
