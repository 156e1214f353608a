"""What happens to images: parts are hidden, detail or colour is lost. Each makes a task of its own.

    inpainting          block, patches
    super-resolution    downsample
    deblurring          blur, motion_blur
    colourisation       grayscale

Averages are taken in at least 32 bits, whatever the training's precision, and kept between the smallest and the largest
value of their sample, which rounding would leave by a last bit.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from hourglass.noise.process import Process
from hourglass.system.checks import check_images, check_level, check_whole
from hourglass.system.precision import full_precision, wide, wide_type

__all__ = ["Block", "Blur", "Downsample", "Grayscale", "MotionBlur", "Patches"]


class Block(Process):
    """A rectangle at a random place is set to zero.

    Its sides are round(s H) and round(s W); every place within the image is equally likely.

    Reference: Context encoders: feature learning by inpainting (Pathak et al., 2016).

    Args:
        share: s, the share of each side, in [0, 1]; 0.5 hides a quarter of the image.

    Example:
        >>> Block(share=0.5)
        Block(share=0.5)
    """

    share: Tensor
    baselines = ("biharmonic", "mean")

    def __init__(self, *, share: float = 0.5) -> None:
        super().__init__()
        check_level("share", share, highest=1.0)
        self.register_buffer("share", torch.tensor(share), persistent=False)

    @override
    def check(self, shape: Sequence[int]) -> None:
        check_images("block", shape)

    @override
    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        rows, columns = self._hidden(len(x), x.shape[2], x.device), self._hidden(len(x), x.shape[3], x.device)
        return x * ~(rows[:, None, :, None] & columns[:, None, None, :])

    def _hidden(self, count: int, side: int, device: torch.device) -> Tensor:
        """Which places along a side are hidden, (count, side)."""
        length = (self.share * side).round()
        first = (torch.rand(count, 1, device=device) * (side - length + 1)).floor()
        place = torch.arange(side, device=device)
        return (place >= first) & (place < first + length)


class Patches(Process):
    """Patch masking: of the n = ceil(H / size) ceil(W / size) patches of an image exactly round(p n) are set to zero.

    Where `size` does not divide a side, the patches at its end are smaller.

    Reference: Masked autoencoders are scalable vision learners (He et al., 2022), with p = 0.75.

    Args:
        share: p, the share of the patches, in [0, 1].
        size: side of a patch in pixels, at least 1 and at most the sides of the image.

    Example:
        >>> Patches(share=0.75, size=4)
        Patches(share=0.75, size=4)
    """

    share: Tensor
    baselines = ("biharmonic", "mean")

    def __init__(self, *, share: float = 0.75, size: int = 4) -> None:
        super().__init__()
        check_level("share", share, highest=1.0)
        check_whole("size", size, lowest=1)
        self.register_buffer("share", torch.tensor(share), persistent=False)
        self.size = size

    @override
    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, size={self.size}"

    @override
    def check(self, shape: Sequence[int]) -> None:
        check_images("patches", shape)
        if min(shape[1:]) < self.size:
            raise ValueError(
                f"patches needs images of at least {self.size} x {self.size} pixels (its size),"
                f" got samples of shape {tuple(shape)}"
            )

    @override
    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        height, width = x.shape[2:]
        down, across = -(-height // self.size), -(-width // self.size)
        # The rank of each patch in a random order: the first round(p n) are hidden.
        rank = torch.rand(len(x), down * across, device=x.device).argsort(1).argsort(1)
        seen = (rank >= (self.share * down * across).round()).view(-1, 1, down, across)
        seen = seen.repeat_interleave(self.size, 2).repeat_interleave(self.size, 3)
        return x * seen[:, :, :height, :width]


class Downsample(Process):
    """Lower resolution at the same size: each cell of factor x factor pixels becomes its mean.

    That is area averaging down and nearest-neighbour up. Where the factor does not divide a side, the cells at its end
    are smaller. Reference: the degradation of SRCNN (Dong et al., 2014), with a box for its Gaussian.

    Args:
        factor: side of a cell in pixels, at least 1, the identity.

    Example:
        >>> Downsample(factor=2)
        Downsample(factor=2)
    """

    factor: Tensor
    baselines = ("bicubic",)

    def __init__(self, *, factor: int = 2) -> None:
        super().__init__()
        check_whole("factor", factor, lowest=1)
        self.register_buffer("factor", torch.tensor(factor), persistent=False)

    @override
    def check(self, shape: Sequence[int]) -> None:
        check_images("downsample", shape)

    @override
    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        return _filtered(x, self._weights(x.shape[2], x), self._weights(x.shape[3], x))

    def _weights(self, side: int, x: Tensor) -> Tensor:
        cell = torch.arange(side, device=x.device) // self.factor
        together = (cell[:, None] == cell).to(wide_type(x))
        return together / together.sum(1, keepdim=True)


class Blur(Process):
    """Gaussian blur, the image of a lens out of focus.

    x~_p = sum_q w_pq x_q,  w_pq ~ exp(-|p - q|^2 / (2 sigma^2)),  sum_q w_pq = 1 over the pixels of the image

    Args:
        sigma: standard deviation in pixels, at least 0, the identity.

    Example:
        >>> Blur(sigma=1.0)
        Blur(sigma=1)
    """

    sigma: Tensor
    baselines = ("richardson_lucy",)

    def __init__(self, *, sigma: float = 1.0) -> None:
        super().__init__()
        check_level("sigma", sigma)
        self.register_buffer("sigma", torch.tensor(sigma), persistent=False)

    @override
    def check(self, shape: Sequence[int]) -> None:
        check_images("blur", shape)

    @override
    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        return _filtered(x, self._weights(x.shape[2], x), self._weights(x.shape[3], x))

    def _weights(self, side: int, x: Tensor) -> Tensor:
        place = torch.arange(side, device=x.device, dtype=wide_type(x))
        # A sigma of 0 would divide 0 by 0; one of 1e-6 pixels gives the same identity.
        distance = (place[:, None] - place) / self.sigma.to(place.dtype).clamp(min=1e-6)
        weights = (-distance.square() / 2).softmax(1)
        return weights * (weights > 1e-12)  # subnormal numbers would make the products ten times slower


class MotionBlur(Process):
    """Motion blur: the mean along a line through each pixel, in a direction of each image's own or a given one.

    x~_p = 1/L sum_t x(p + t (cos a, -sin a)),  t = -(L - 1)/2, ..., (L - 1)/2

    with linear interpolation between pixels, and the outermost pixels repeated beyond the border.

    Args:
        length: L in pixels, at least 1, the identity. It is the size of a kernel, hence no buffer.
        angle: a in degrees, 0 is horizontal, 90 vertical; null: uniform in [0, 180) for each image.

    Example:
        >>> MotionBlur(length=9, angle=None)
        MotionBlur(length=9, angle=None)
    """

    angle: Tensor | None
    baselines = ("richardson_lucy",)

    def __init__(self, *, length: int = 7, angle: float | None = None) -> None:
        super().__init__()
        check_whole("length", length, lowest=1)
        if angle is not None:
            check_level("angle", angle, highest=180.0)
        self.length = length
        self.register_buffer("angle", None if angle is None else torch.tensor(angle), persistent=False)

    @override
    def extra_repr(self) -> str:
        return f"length={self.length}, angle={None if self.angle is None else self.angle.item()}"

    @override
    def check(self, shape: Sequence[int]) -> None:
        check_images("motion_blur", shape)

    @override
    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        count = len(x)
        angle = 180 * torch.rand(count, device=x.device) if self.angle is None else self.angle.expand(count)
        radius = self.length // 2
        with full_precision(x):
            kernels = self._kernels(angle.to(wide_type(x)))
            padded = F.pad(x.to(wide_type(x)), (radius,) * 4, mode="replicate")
            # Each sample has a kernel of its own: samples become the groups of one convolution, channels its batch.
            mean = F.conv2d(padded.transpose(0, 1), kernels[:, None], groups=count).transpose(0, 1)
        return _between(mean, x)

    def _kernels(self, angle: Tensor) -> Tensor:
        """(B,) degrees to kernels (B, k, k), k = 2 (L // 2) + 1, each of sum 1."""
        radius = self.length // 2
        place = torch.arange(-radius, radius + 1, device=angle.device, dtype=angle.dtype)
        step = torch.arange(self.length, device=angle.device, dtype=angle.dtype) - (self.length - 1) / 2
        turn = angle.deg2rad()[:, None]
        across, down = step * turn.cos(), -step * turn.sin()  # (B, L)
        # Linear interpolation: a point gives each of the two pixels around it, on each axis, one minus its distance.
        columns = (1 - (across[:, :, None] - place).abs()).clamp(min=0)
        rows = (1 - (down[:, :, None] - place).abs()).clamp(min=0)
        return torch.einsum("bti,btj->bij", rows, columns) / self.length


class Grayscale(Process):
    """Colour becomes grey, in all three channels.

    x~ = (1 - a) x + a y,  y = 0.299 R + 0.587 G + 0.114 B  (luma, ITU-R BT.601)

    Reference: Colorful image colorization (Zhang et al., 2016).

    Args:
        amount: a in [0, 1]; 1 is fully grey, 0 the identity.

    Example:
        >>> Grayscale(amount=1.0)
        Grayscale(amount=1)
    """

    amount: Tensor

    def __init__(self, *, amount: float = 1.0) -> None:
        super().__init__()
        check_level("amount", amount, highest=1.0)
        self.register_buffer("amount", torch.tensor(amount), persistent=False)

    @override
    def check(self, shape: Sequence[int]) -> None:
        if len(shape) != 3 or shape[0] != 3:
            raise ValueError(f"grayscale needs colour images (3, height, width), got samples of shape {tuple(shape)}")

    @override
    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        exact = wide(x)
        red, green, blue = torch.split(exact, 1, dim=1)
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        return _between(torch.lerp(exact, luma, self.amount.to(luma.dtype)), x)


def _filtered(x: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """The separable linear filter down @ x @ across^T, whose weights (H, H) and (W, W) have rows of sum 1."""
    with full_precision(x):
        return _between(down @ x.to(down.dtype) @ across.T, x)


def _between(mean: Tensor, x: Tensor) -> Tensor:
    """A mean of values of x, in the type of x and within the range of each sample."""
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    return mean.to(x.dtype).clamp(low, high)
