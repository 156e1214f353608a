"""Small images as data URIs: one by one, and many as one sheet."""

import base64
import io
import math

import numpy as np
from PIL import Image

from hourglass.figures.picture import Array, colours, levels

_SIDE = 32  # pixels of the longer side of a small image, at most


def png(values: Array, limits: tuple[float, float], *, cmap: str | None = None) -> str:
    """An image (C, H, W), or (H, W), as a data URI; on a colour map where one is named.

    Args:
        values: what is drawn.
        limits: the values at both ends.
        cmap: of matplotlib.
    """
    image = _image(values if values.ndim == 3 else values[None], limits, cmap)
    return _uri(image, "png", optimize=True)


def row(images: Array, limits: tuple[float, float]) -> str:
    """Images (n, C, H, W) side by side, with a gap of a pixel."""
    n, channels, height, width = images.shape
    wide = np.full((channels, height, n * (width + 1) - 1), limits[1])
    for at, image in enumerate(images):
        wide[:, :, at * (width + 1) : at * (width + 1) + width] = image
    return png(wide, limits)


def sheet(triples: list[Array], limits: tuple[float, float], error: float) -> tuple[str, int, int, int]:
    """Originals, reconstructions and errors as one picture.

    Args:
        triples: originals (n, C, H, W), reconstructions (n, C, H, W), absolute errors (n, 1, H, W).
        limits: of the first two.
        error: the largest error on the scale.

    Returns:
        a data URI; width and height of one of the three in pixels; how many triples stand in a row.
    """
    _, _, height, width = triples[0].shape
    every = max(1, -(-max(height, width) // _SIDE))
    originals, outputs, errors = (images[:, :, ::every, ::every] for images in triples)
    count, _, high, wide = originals.shape
    columns = math.ceil(math.sqrt(count * high / (3 * wide)))
    rows = -(-count // columns)
    colour = originals.shape[1] == 3
    page = np.zeros((rows * high, columns * 3 * wide, 3), dtype=np.uint8)
    for at in range(count):
        y, x = at // columns * high, at % columns * 3 * wide
        for place, image in enumerate((originals[at], outputs[at])):
            pixels = levels(image, limits).transpose(1, 2, 0)
            page[y : y + high, x + place * wide : x + (place + 1) * wide] = pixels
        page[y : y + high, x + 2 * wide : x + 3 * wide] = levels(errors[at, 0], (0, error))[..., None]
    picture = Image.fromarray(page)
    return _uri(picture if colour else picture.convert("L"), "webp", quality=60, method=4), wide, high, columns


def _image(values: Array, limits: tuple[float, float], cmap: str | None) -> Image.Image:
    if cmap is not None:
        return Image.fromarray(colours(cmap)[levels(values[0], limits)])
    low, high = limits
    pixels = (((values - low) / ((high - low) or 1.0)).clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def _uri(image: Image.Image, form: str, **options: object) -> str:
    file = io.BytesIO()
    image.save(file, form, **options)
    return f"data:image/{form};base64,{base64.b64encode(file.getvalue()).decode()}"
