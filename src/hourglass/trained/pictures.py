"""Pictures in files, brought to what a model takes as the run's own were."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hourglass.data.image_folder import SUFFIXES, decoded, images_in
from hourglass.system.bars import progress_bar
from hourglass.system.errors import HourglassError


def is_picture(path: Path) -> bool:
    """Whether a path is a folder, or a picture by its name."""
    return path.is_dir() or path.suffix.lower() in SUFFIXES


def read_pictures(path: Path, shape: Sequence[int], *, fit: str) -> npt.NDArray[np.uint8]:
    """A picture, or those below a folder in the order of their names, as grey levels (N, C, H, W).

    Args:
        path: of the picture or the folder.
        shape: of a sample, (C, H, W): channels and size that pictures get.
        fit: what becomes of other proportions, see `hourglass.data.image_folder`.

    Raises:
        HourglassError: no such file, one that is no picture, or a model that takes none.
    """
    if not path.exists():
        raise HourglassError(f"{path} can't be read: there is no such file")
    if not is_picture(path):
        raise HourglassError(f"{path} must be a picture ({', '.join(SUFFIXES)}) or a folder of them")
    if len(shape) != 3 or shape[0] not in (1, 3):
        sizes = ", ".join(map(str, shape))
        raise HourglassError(f"{path} holds pictures, the model takes (N, {sizes}) in a .npy file")
    mode = "RGB" if shape[0] == 3 else "L"
    try:
        files = [path / name for name in images_in(path)] if path.is_dir() else [path]
        bar = progress_bar(files, desc="decoding images", unit="image", delay=1.0)
        return np.stack([decoded(file, size=(shape[2], shape[1]), mode=mode, fit=fit) for file in bar])
    except ValueError as error:
        raise HourglassError(str(error)) from error
