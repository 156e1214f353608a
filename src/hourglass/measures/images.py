"""What the metrics look for in an image: structural similarity and sharpness."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

_SSIM_RADIUS, _SSIM_SIGMA, _SSIM_K1, _SSIM_K2 = 5, 1.5, 0.01, 0.03

SSIM_WINDOW = f"{2 * _SSIM_RADIUS + 1} x {2 * _SSIM_RADIUS + 1} Gaussian window"
"""What is said beside every SSIM: with another window the same images have another one."""
LEAST_SIDE = 3
"""Pixels of the smallest side that has a Laplacian."""


def ssim(x: Tensor, reconstruction: Tensor, *, peak: float) -> Tensor:
    """Structural similarity (B,) of images (B, C, H, W) with intensities in [0, peak].

    Reference: Image quality assessment (Wang, Bovik, Sheikh & Simoncelli, 2004).


        (2 mx my + c1)(2 sxy + c2) / ((mx^2 + my^2 + c1)(sx^2 + sy^2 + c2)),
        c1 = (.01 peak)^2,  c2 = (.03 peak)^2

    averaged over all pixels and channels, the local moments under an 11 x 11 Gaussian window of sigma 1.5
    with reflected borders: the figures of torchmetrics' `structural_similarity_index_measure`, some 100 times
    faster on a CPU, because the window is separable and, with its borders, one banded matrix per axis. Images
    smaller than the window are reflected as often as it takes; 8 x 8 digits keep the same window.

    Other programs choose otherwise, and their figures don't compare: scikit-image's `structural_similarity` has, if not
    told otherwise, an even 7 x 7 window, variances over n - 1 and no borders, which gives .867 where this gives .901.
    """
    per_image: Tensor = ssim_map(x, reconstruction, peak=peak).mean((1, 2, 3))
    return per_image


def ssim_map(x: Tensor, reconstruction: Tensor, *, peak: float) -> Tensor:
    """What `ssim` averages: the similarity (B, C, H, W) around each pixel."""
    down, across = _window(x.shape[-2]).to(x.device), _window(x.shape[-1]).to(x.device)
    c1, c2 = (_SSIM_K1 * peak) ** 2, (_SSIM_K2 * peak) ** 2
    maps = torch.stack((x, reconstruction, x * x, x * reconstruction))
    maps[2].addcmul_(reconstruction, reconstruction)
    mean_x, mean_r, square, product = down @ (maps @ across.T)  # each (B, C, H, W)
    means, mean_squares = mean_x * mean_r, (mean_x * mean_x).addcmul_(mean_r, mean_r)
    # In place, a fifth faster: (2 means + c1)(2 (product - means) + c2), then what it is divided by.
    similarity: Tensor = product.sub_(means).mul_(2).add_(c2).mul_(means.mul_(2).add_(c1))
    similarity.div_(square.sub_(mean_squares).clamp_(min=0).add_(c2).mul_(mean_squares.add_(c1)))
    return similarity


@cache
def _window(size: int) -> Tensor:
    """The matrix (size, size) that filters an axis with SSIM's Gaussian after reflecting its borders."""
    offsets = np.arange(-_SSIM_RADIUS, _SSIM_RADIUS + 1)
    gaussian = np.exp(-((offsets / _SSIM_SIGMA) ** 2) / 2)
    gaussian /= gaussian.sum()
    reflect = np.pad(np.eye(size), ((_SSIM_RADIUS, _SSIM_RADIUS), (0, 0)), mode="reflect")
    matrix = sum(weight * reflect[i : i + size] for i, weight in enumerate(gaussian))
    return torch.from_numpy(np.asarray(matrix, dtype=np.float32))


def laplacian_variance(x: Tensor) -> Tensor:
    """Variance (B,) of the Laplacian of images (B, C, H, W), H and W at least `LEAST_SIDE`, over pixels and channels.

        l_ij = x_i-1,j + x_i+1,j + x_i,j-1 + x_i,j+1 - 4 x_ij    inside the border

    In squared units of the intensities: large where edges are sharp (Pech-Pacheco et al., 2000).
    """
    laplacian = x[..., :-2, 1:-1] + x[..., 2:, 1:-1]
    for neighbour in (x[..., 1:-1, :-2], x[..., 1:-1, 2:]):
        laplacian += neighbour  # in place: three times as fast as one sum
    values = laplacian.sub_(x[..., 1:-1, 1:-1], alpha=4).flatten(1)
    values -= values.mean(1, keepdim=True)
    variance: Tensor = torch.linalg.vector_norm(values, dim=1).square() / values.shape[1]
    return variance
