"""Losses of images that compare more than one value at a time. None of them is a density.

ms_ssim          1 - MS-SSIM(r, x)               structure, at several scales
random_features  |phi(r) - phi(x)|^2             what a convolutional net sees, whose weights are random and stay
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from hourglass.losses.loss import Loss, Reduction
from hourglass.system.checks import check_above, check_count, check_images, check_level, check_whole, check_widths
from hourglass.system.precision import full_precision

__all__ = ["MSSSIM", "RandomFeatures"]

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales, finest first, as Wang et al. measured with observers."""
WINDOW, SIGMA = 11, 1.5
"""Pixels of a side of the Gaussian window, and its standard deviation."""
LEAST = 1e-4
"""Below it the similarity of a scale doesn't fall: its logarithm would have no end."""


class MSSSIM(Loss):
    """One minus the structural similarity at several scales, from 0 to 1.

    L = 1 - l_M^w_M prod_j c_j^w_j,   l = (2 m_r m_x + k1) / (m_r^2 + m_x^2 + k1),   k1 = (.01 peak)^2
                                      c = (2 s_rx + k2) / (s_r^2 + s_x^2 + k2),      k2 = (.03 peak)^2

    with the means m, variances s^2 and covariance s_rx under a Gaussian window of 11 x 11 pixels that lies within the
    image, of r - low and x - low: l is a ratio of intensities, which begin at 0. Both are means over the window's
    places and the channels. Each scale j is half as large as the one before; there are as many as the window fits in,
    at least one, at most `scales`, and the weights w of those sum to 1. In an image that is smaller the window is too.
    With `reduction=sum` it is D times as much, for D values of a sample, so that it stands beside a divergence in nats
    as a squared error does.

    References: Multiscale structural similarity for image quality assessment (Wang, Simoncelli & Bovik, 2003); Learning
    to generate images with perceptual similarity metrics (Snell et al., 2017).

    Args:
        scales: the most, from 1 to 5.
        low: where the data's range begins.
        peak: width of the range, above 0.
        reduction: see `hourglass.losses`.

    Example:
        >>> loss = MSSSIM(scales=5, peak=1.0, reduction="mean")
        >>> loss
        MSSSIM(reduction=mean, scales=5, low=0, peak=1)
        >>> loss(torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8))  # 1 - k1 / (1 + k1)
        tensor(0.9999)
    """

    def __init__(self, *, scales: int = 5, low: float = 0.0, peak: float = 1.0, reduction: Reduction) -> None:
        super().__init__(reduction=reduction)
        check_count("scales", scales, high=len(WEIGHTS))
        check_above("peak", peak)
        self.scales = scales
        self.low = low
        self.peak = peak

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, scales={self.scales}, low={self.low:g}, peak={self.peak:g}"

    @override
    def check(self, shape: Sequence[int]) -> None:
        check_images("ms_ssim", shape)

    @override
    def mean(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        r, x = reconstruction - self.low, target - self.low
        side = min(x.shape[-2:])
        number = min(self.scales, max(1, int(math.log2(max(1.0, side / WINDOW))) + 1))
        weights = [weight / sum(WEIGHTS[:number]) for weight in WEIGHTS[:number]]
        similarity = r.new_ones(len(r))
        for scale, weight in enumerate(weights):
            if scale:
                r, x = F.avg_pool2d(r, 2), F.avg_pool2d(x, 2)
            with full_precision(x):
                light, structure = self._compared(r, x)
            each = structure * light if scale == number - 1 else structure
            similarity = similarity * each.flatten(1).mean(1).clamp(min=LEAST) ** weight
        return 1 - similarity.mean()

    def _compared(self, r: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Two batches of images (B, C, H, W) to l and c at each place of the window, (B, C, ...)."""
        k1, k2 = (0.01 * self.peak) ** 2, (0.03 * self.peak) ** 2
        size = min(WINDOW, (min(x.shape[-2:]) - 1) // 2 * 2 + 1)
        down, across = (_window(size, side, like=x) for side in x.shape[-2:])
        # As one banded matrix for each axis ten times as fast on a CPU as a convolution.
        mean_r, mean_x, square_r, square_x, product = (down @ each @ across.T for each in (r, x, r * r, x * x, r * x))
        light = (2 * mean_r * mean_x + k1) / (mean_r.square() + mean_x.square() + k1)
        spread = (square_r - mean_r.square()) + (square_x - mean_x.square())
        return light, (2 * (product - mean_r * mean_x) + k2) / (spread + k2)


class RandomFeatures(Loss):
    """Difference of what a convolutional net of random weights sees: a perceptual loss without a trained net.

    L = 1/L sum_l |phi_l(r) - phi_l(x)|^2 / D_l  +  pixels |r - x|^2 / D

    phi_l are the D_l rectified values after layer l: 3 x 3 convolutions, between which the image is halved. The weights
    are normal with variance 2 / inputs, drawn once from `seed`; each channel of the image is looked at by itself. Such
    features notice edges and textures that are elsewhere or missing, where an error by pixels prefers blur. They know
    no objects, as those of a classifier do, so that figures made with VGG don't compare.

    References: Deep feature consistent variational autoencoder (Hou, Shen, Sun & Qiu, 2017), for the loss; A powerful
    generative model using random weights for the deep image representation (He, Wang & Hopcroft, 2016), for the net.

    Args:
        widths: channels of each layer.
        pixels: weight of the squared error, at least 0.
        seed: of the weights.
        reduction: see `hourglass.losses`.

    Example:
        >>> RandomFeatures(widths=[16, 32], pixels=0.0, seed=0, reduction="mean")
        RandomFeatures(reduction=mean, widths=[16, 32], pixels=0, seed=0)
    """

    pixels: Tensor

    def __init__(
        self, *, widths: Sequence[int] = (16, 32, 64), pixels: float = 0.0, seed: int = 0, reduction: Reduction
    ) -> None:
        super().__init__(reduction=reduction)
        check_widths("widths", widths)
        if not widths:
            raise ValueError("widths must list at least one layer, got none")
        check_level("pixels", pixels)
        check_whole("seed", seed, lowest=0)
        self.widths = list(widths)
        self.seed = seed
        self.register_buffer("pixels", torch.tensor(pixels), persistent=False)
        generator = torch.Generator().manual_seed(seed)
        for layer, (inputs, outputs) in enumerate(zip([1, *widths], widths, strict=False)):
            kernel = torch.randn(outputs, inputs, 3, 3, generator=generator) * math.sqrt(2 / (9 * inputs))
            self.register_buffer(f"kernel_{layer}", kernel, persistent=False)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, widths={self.widths}, pixels={self.pixels.item():g}, seed={self.seed}"

    @override
    def check(self, shape: Sequence[int]) -> None:
        check_images("random_features", shape)
        most = min(shape[1:]).bit_length()
        if len(self.widths) > most:
            raise ValueError(
                f"widths must list at most {most} layers for images of shape {tuple(shape)}, each of which but the"
                f" first halves them, got {self.widths}"
            )

    @override
    def mean(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        with full_precision(target):
            ours, theirs = self.features(reconstruction), self.features(target)
        apart = torch.stack([F.mse_loss(a, b) for a, b in zip(ours, theirs, strict=True)]).mean()
        return apart + self.pixels * F.mse_loss(reconstruction, target)

    def features(self, x: Tensor) -> list[Tensor]:
        """Images (B, C, H, W) to what each layer sees of every channel, (B C, width, ...)."""
        h = x.reshape(-1, 1, *x.shape[-2:])
        found = []
        for layer in range(len(self.widths)):
            kernel: Tensor = getattr(self, f"kernel_{layer}")
            h = F.conv2d(F.avg_pool2d(h, 2) if layer else h, kernel.to(h.dtype), padding=1).relu()
            found.append(h)
        return found


def _window(size: int, side: int, *, like: Tensor) -> Tensor:
    """The matrix that takes the mean under a Gaussian window at each place of an axis, (side - size + 1, side)."""
    offsets = torch.arange(size, dtype=torch.float64, device=like.device) - (size - 1) / 2
    weights = (-(offsets / SIGMA).square() / 2).exp()
    matrix = torch.zeros(side - size + 1, side, dtype=torch.float64, device=like.device)
    for place, row in enumerate(matrix):
        row[place : place + size] = weights / weights.sum()
    return matrix.to(like.dtype)
