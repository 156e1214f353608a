"""The choices of the group `loss`: what each makes of the range of the data."""

from collections.abc import Sequence

from hourglass.losses.elementwise import BCE, MAE, MSE, LogCosh, StudentT
from hourglass.losses.images import MSSSIM, RandomFeatures
from hourglass.losses.loss import Loss, Reduction

__all__ = ["auto", "bce", "log_cosh", "mae", "ms_ssim", "mse", "random_features", "student_t"]


def auto(*, data_range: Sequence[float], reduction: Reduction) -> Loss:
    """`BCE` for data in [0, 1], else `MSE`: the documents' rule of thumb."""
    return BCE(reduction=reduction) if _within(data_range, BCE.allowed) else MSE(reduction=reduction)


def mse(*, data_range: Sequence[float], reduction: Reduction) -> Loss:  # noqa: ARG001
    """`MSE`, for data of any range."""
    return MSE(reduction=reduction)


def bce(*, data_range: Sequence[float], reduction: Reduction) -> Loss:
    """`BCE`; raises ValueError for data outside [0, 1]."""
    if not _within(data_range, BCE.allowed):
        low, high = data_range
        raise ValueError(
            f"bce needs data in [0, 1], got data from {low:g} to {high:g}; use loss=mse, or data scaled to [0, 1]"
        )
    return BCE(reduction=reduction)


def _within(inner: Sequence[float], outer: Sequence[float]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def mae(*, data_range: Sequence[float], reduction: Reduction) -> Loss:  # noqa: ARG001
    """`MAE`, for data of any range."""
    return MAE(reduction=reduction)


def log_cosh(*, alpha: float, data_range: Sequence[float], reduction: Reduction) -> Loss:  # noqa: ARG001
    """`LogCosh`, for data of any range."""
    return LogCosh(alpha=alpha, reduction=reduction)


def student_t(*, degrees: float, scale: float, data_range: Sequence[float], reduction: Reduction) -> Loss:  # noqa: ARG001
    """`StudentT`, for data of any range."""
    return StudentT(degrees=degrees, scale=scale, reduction=reduction)


def ms_ssim(*, scales: int, data_range: Sequence[float], reduction: Reduction) -> Loss:
    """`MSSSIM`, for images of any range."""
    low, high = data_range
    return MSSSIM(scales=scales, low=low, peak=high - low, reduction=reduction)


def random_features(
    *,
    widths: Sequence[int],
    pixels: float,
    seed: int,
    data_range: Sequence[float],  # noqa: ARG001
    reduction: Reduction,
) -> Loss:
    """`RandomFeatures`, for images of any range."""
    return RandomFeatures(widths=widths, pixels=pixels, seed=seed, reduction=reduction)
