"""Baselines: what classical methods make of the same corrupted samples, so that a model's number means something.

    name              method                                          for
    median            3 x 3 median (Tukey, 1977)                      salt and pepper, Gaussian, speckle
    wavelet           soft BayesShrink (Chang, Yu and Vetterli, 2000) Gaussian, speckle
    non_local_means   mean of like patches (Buades et al., 2005)      Gaussian, speckle
    biharmonic        smoothest surface (Damelin and Hoang, 2018)     what is hidden
    mean              mean of the known values of each place          what is hidden, also in tables
    bicubic           cubic interpolation (Keys, 1981)                lower resolution
    richardson_lucy   deconvolution (Richardson, 1972; Lucy, 1974)    blur

A denoiser sees the corrupted sample alone and estimates the noise level from it. The others are told more than the
model is: which values are hidden, how large a cell is, what the blur does to a point (`Known`). That favours them.

Of the parameters tried on 60 MNIST test digits and 100 photograph patches (16 x 16) under clipped Gaussian noise of
sigma 0.1, 0.3 and 0.5, those below are best or near it overall: median 3 x 3 (on digits 21.4, 17.1 and 14.1 dB; 5 x 5
gains 2 dB on patches under strong noise and loses up to 6 on digits); wavelet sym4 (23.9, 15.4 and 11.9 dB; db1 and db2
within 0.4, hard thresholds 1 dB worse); non-local means with patches of 5 and distance 6, h = 0.8 sigma (25.5, 17.2
and 12.6 dB; other h and patches of 3 gain at most 0.5, distance 11 gains nothing for four times the time). Clipping at
black hides noise, so that the estimated sigma is about half of the true one on digits.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hourglass.noise import Corruption

Array = np.ndarray[Any, np.dtype[Any]]
ITERATIONS = 50
"""Of Richardson and Lucy. On blurred digits and patches 100 gained 0 to 4 dB over 30, and 300 from -1 to 3 dB more."""


class Known(NamedTuple):
    """What a restoration is told about a corruption: not the clean samples, but what was done to them."""

    hidden: Tensor
    """(n, *shape) bool: values that do not depend on the clean ones."""
    spread: Tensor
    """(n, *shape): what becomes of a single bright point in the middle of the sample."""
    cell: int
    """Side of the cells of equal value that a lower resolution leaves; 1 without them."""

    def first(self, count: int) -> Self:
        """What is known about the first so many samples."""
        return self._replace(hidden=self.hidden[:count], spread=self.spread[:count])


@torch.no_grad()
def probe(corruption: Corruption, x: Tensor, *, batch: int = 0) -> Known:
    """What the draws for batch number `batch`, of the size of x (n, *shape), do: other samples are sent through them.

    The corruption is asked, not looked into, so that this holds for any process and any chain.
    """
    low, high = corruption.bounds.tolist()
    grey = torch.full_like(x, (low + high) / 2)
    step = (high - low) / 4

    def change(by: Tensor) -> Tensor:
        with corruption.seeded(batch):
            before = corruption(grey)
        with corruption.seeded(batch):
            changed: Tensor = (corruption(grey + by * step) - before) / step
        return changed

    hidden = change(torch.ones_like(x)) == 0
    if x.ndim != 4:
        return Known(hidden, torch.zeros_like(x), 1)
    height, width = x.shape[2:]
    point = torch.zeros_like(x)
    point[:, :, height // 2, width // 2] = 1
    # A ramp becomes a staircase of cells, wherever it can be seen.
    ramp = change(torch.linspace(0, 1, width, device=x.device).expand_as(x)).diff(dim=3)
    seen = ~hidden[..., 1:] & ~hidden[..., :-1]
    edges = ((ramp.abs() > 0.5 / width) & seen).flatten(0, 2).any(0)
    return Known(hidden, change(point), 1 + int(edges.int().argmax()))


def suited(names: Sequence[str], shape: Sequence[int]) -> tuple[str, ...]:
    """Those of the baselines that samples of this shape can be given to: images to all, tables to `mean`."""
    return tuple(name for name in names if len(shape) == 3 or name == "mean")


def restore(name: str, corrupted: Tensor, *, known: Known, value_range: tuple[float, float]) -> Tensor:
    """Corrupted samples (n, C, H, W), for `mean` any (n, *shape), to restored ones, clipped to the range of the data.

    Args:
        name: of a method in the module's table.
        corrupted: float samples.
        known: what `probe` found out about these n samples.
        value_range: lowest and highest value of the data.

    Raises:
        ValueError: no such method, or one for images and a table.
    """
    if name not in METHODS:
        raise ValueError(f"name must be one of {', '.join(METHODS)}, got {name!r}")
    if not suited([name], corrupted.shape[1:]):
        raise ValueError(f"{name} needs images (n, channels, height, width), got shape {tuple(corrupted.shape)}")
    low, high = value_range
    # All methods work on values from 0 to 1: the iteration of Richardson and Lucy needs positive ones.
    scaled = (corrupted.detach().cpu().double() - low) / (high - low)
    known = Known(known.hidden.cpu(), known.spread.cpu().double(), known.cell)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-image warns of images as small as digits
        restored = METHODS[name](scaled, known)
    return (low + (high - low) * restored.clamp(0, 1)).to(corrupted)


def compare(x: Tensor, rows: Mapping[str, Tensor], *, value_range: tuple[float, float]) -> dict[str, float]:
    """`<name>_mse` and `<name>_psnr` of every row of restorations (n, *shape) against the clean x.

    mse = mean (r - x)^2 over all samples,  psnr = 10 log10((high - low)^2 / mse) in dB
    """
    low, high = value_range
    values: dict[str, float] = {}
    for name, row in rows.items():
        mse = (row - x).double().square().mean()
        values |= {f"{name}_mse": mse.item(), f"{name}_psnr": (10 * ((high - low) ** 2 / mse).log10()).item()}
    return values


# -- the methods: (n, *shape) float64 in [0, 1] to the same, not yet clipped -----------------------------------------


def _each(method: Callable[..., Array], images: Tensor, *more: Tensor) -> Tensor:
    """A method over (C, H, W) arrays, image by image."""
    arrays = zip(*(part.contiguous().numpy() for part in (images, *more)), strict=True)
    return torch.stack([torch.from_numpy(method(*each)) for each in arrays])


def _median(images: Tensor, known: Known) -> Tensor:  # noqa: ARG001
    from skimage.filters import median

    return _each(partial(median, footprint=np.ones((1, 3, 3)), mode="nearest"), images)


def _wavelet(images: Tensor, known: Known) -> Tensor:  # noqa: ARG001
    from skimage.restoration import denoise_wavelet

    method = partial(
        denoise_wavelet, wavelet="sym4", mode="soft", method="BayesShrink", rescale_sigma=True, channel_axis=0
    )
    return _each(method, images)


def _non_local_means(images: Tensor, known: Known) -> Tensor:  # noqa: ARG001
    from skimage.restoration import denoise_nl_means, estimate_sigma

    def method(image: Array) -> Array:
        sigma = estimate_sigma(image, channel_axis=0, average_sigmas=True)
        if not sigma > 0:  # an image without noise, or of one value
            return image
        # Channels last, and their axis put back: scikit-image drops it where it is the only one.
        last = image.transpose(1, 2, 0)
        restored: Array = denoise_nl_means(
            last, patch_size=5, patch_distance=6, h=0.8 * sigma, sigma=sigma, channel_axis=-1
        )
        return restored.reshape(last.shape).transpose(2, 0, 1)

    return _each(method, images)


def _biharmonic(images: Tensor, known: Known) -> Tensor:
    from skimage.restoration import inpaint_biharmonic

    def method(image: Array, hidden: Array) -> Array:
        if not hidden.any() or hidden.all():
            return image
        restored: Array = inpaint_biharmonic(np.where(hidden, 0, image), hidden)
        return restored

    # A channel at a time: each has a mask of its own.
    flat = _each(method, images.flatten(0, 1), known.hidden.flatten(0, 1))
    return flat.view_as(images)


def _mean(samples: Tensor, known: Known) -> Tensor:
    """A hidden value becomes the mean of those at its place in the samples that show it; none does: it stays."""
    seen = ~known.hidden
    count = seen.sum(0)
    means = (samples * seen).sum(0) / count.clamp(min=1)
    return torch.where(known.hidden & (count > 0), means, samples)


def _bicubic(images: Tensor, known: Known) -> Tensor:
    height, width = images.shape[2:]
    small = images[:, :, :: known.cell, :: known.cell]
    large = F.interpolate(small, scale_factor=known.cell, mode="bicubic")  # whole cells, also at the ends
    return large[:, :, :height, :width]


def _richardson_lucy(images: Tensor, known: Known) -> Tensor:
    """U <- u A^T(x~ / A u) / A^T 1 from u = x~, where (A u)_p = sum_q k_(p-q) u_q / sum_q k_(p-q) over the image.

    scikit-image's takes the image to be black beyond its border, which spoils photographs from there.
    """
    size = images.shape[2:]
    centre = tuple(-(side // 2) for side in size)
    wide = tuple(2 * side for side in size)  # room for what a product of spectra would carry round to the other side
    kernel = F.pad(known.spread.clamp(min=0), (0, size[1], 0, size[0])).roll(centre, dims=(2, 3))
    spectrum = torch.fft.rfft2(kernel)

    def filtered(u: Tensor, by: Tensor) -> Tensor:
        product: Tensor = torch.fft.irfft2(torch.fft.rfft2(u, s=wide) * by, s=wide)
        return product[..., : size[0], : size[1]].clamp(min=1e-12)

    weight = filtered(torch.ones_like(images), spectrum)
    share = filtered(1 / weight, spectrum.conj())
    guess = images
    for _ in range(ITERATIONS):
        ratio = images / (filtered(guess, spectrum) / weight)
        guess = guess * filtered(ratio / weight, spectrum.conj()) / share
    return guess


METHODS: dict[str, Callable[[Tensor, Known], Tensor]] = {
    "median": _median,
    "wavelet": _wavelet,
    "non_local_means": _non_local_means,
    "biharmonic": _biharmonic,
    "mean": _mean,
    "bicubic": _bicubic,
    "richardson_lucy": _richardson_lucy,
}
