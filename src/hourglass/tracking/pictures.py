"""A picture as MLflow keeps it: a PNG and a small WebP for the overview, under names that say key, step and time.

MLflow's own `log_image` writes the same files, but a tag with every one of them and with slower encoders: with ten
pictures a run, that was most of the time that a small job of a sweep spent on tracking.
"""

import io
import re
import time
import uuid
from pathlib import Path
from typing import Any

from hourglass.tracking.mlflow_internals import IMAGE_ENDINGS, IMAGES, image_name, read_image_name

FINAL = "final/"
"""How the keys of pictures begin of which there is one, the last."""
WIDEST = 860
"""Pixels: wider than that a picture in a description pushes what stands beside it out of the page."""
_OVERVIEW = 256  # pixels of the longer side
_REPLACED = 0
"""The time of a picture that is replaced: its name must stay the same."""
# Half the time of the defaults, for a sixth more bytes (measured on the nine pictures of a vanilla autoencoder).
_PNG_LEVEL, _WEBP_METHOD = 1, 2


def encoded(image: Any, key: str, step: int) -> dict[str, bytes]:
    """The files of a picture by their paths in a run.

    Args:
        image: a PIL image or a uint8 array (H, W) or (H, W, 1, 3 or 4).
        key: letters, digits, `_-./` and blanks.
        step: at which it was made.

    Raises:
        ValueError: any other key.
    """
    from PIL import Image

    if not re.fullmatch(r"[a-zA-Z0-9_\-./ ]+", key):
        raise ValueError(f"key must be of letters, digits, _, -, ., / and blanks, got {key!r}")
    image = _as_image(image)
    if key.startswith(FINAL):
        name = image_name(key, step=step, milliseconds=_REPLACED, unique=str(uuid.uuid5(uuid.NAMESPACE_URL, key)))
    else:
        name = image_name(key, step=step, milliseconds=int(time.time() * 1000), unique=str(uuid.uuid4()))
    full, overview = io.BytesIO(), io.BytesIO()
    image.save(full, "PNG", compress_level=_PNG_LEVEL)
    scale = _OVERVIEW / max(image.size)
    small = image.resize([max(1, int(side * scale)) for side in image.size], Image.Resampling.BOX)
    small.save(overview, "WEBP", method=_WEBP_METHOD)
    contents = (full.getvalue(), overview.getvalue())
    return {f"{IMAGES}/{name}{end}": content for end, content in zip(IMAGE_ENDINGS, contents, strict=True)}


def described(image: Any) -> bytes:
    """A picture as a PNG of at most `WIDEST` pixels."""
    from PIL import Image

    image, buffer = _as_image(image), io.BytesIO()
    if image.width > WIDEST:
        image = image.resize((WIDEST, round(image.height * WIDEST / image.width)), Image.Resampling.LANCZOS)
    image.save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def _as_image(image: Any) -> Any:
    from PIL import Image

    if isinstance(image, Image.Image):
        return image
    return Image.fromarray(image.squeeze(-1) if image.shape[2:] == (1,) else image)


def last_of(folder: Path) -> dict[str, Any]:
    """The last picture of every key in a run's folder of pictures, as PIL images."""
    from PIL import Image

    found = [(*read_image_name(file.name.removesuffix(IMAGE_ENDINGS[0])), file) for file in folder.glob("*.png")]
    found.sort(key=lambda each: (each[0], each[1], each[2] == _REPLACED, each[2]))
    latest = {key: file for key, _, _, file in found}
    pictures = {}
    for key, file in latest.items():
        with Image.open(file) as image:
            pictures[key] = image.copy()  # read whole, the file closed
    return pictures
