"""What reconstruction errors tell besides: whether a model copies whatever it is given, and the unfamiliar.

copy_ratio     error on data over the error on samples without structure (see `shuffled`)
anomaly_auroc  chance that the error of an anomalous sample is above a normal one's
"""

import math

import torch
from torch import Tensor

from hourglass.measures.health import is_rounding

__all__ = ["anomaly_auroc", "copy_ratio", "shuffled"]


def anomaly_auroc(normal_errors: Tensor, anomalous_errors: Tensor) -> float:
    """Area under the ROC curve of "an error above t is an anomaly", over all t, in [0, 1].

        P(a > n) + P(a = n) / 2,   n a normal sample's error, a an anomalous one's    (Hanley & McNeil, 1982)

    1: every anomaly is reconstructed worse than every normal sample; 1/2: no difference. NaN or infinite errors: NaN.

    Args:
        normal_errors: (N,), N at least 1.
        anomalous_errors: (M,), M at least 1.

    Raises:
        ValueError: other shapes.
    """
    for name, errors in (("normal_errors", normal_errors), ("anomalous_errors", anomalous_errors)):
        if errors.ndim != 1 or not len(errors):
            raise ValueError(f"{name} must be (N,) with N at least 1, got {tuple(errors.shape)}")
        if not bool(errors.isfinite().all()):
            return math.nan
    normal = normal_errors.sort().values
    below = torch.searchsorted(normal, anomalous_errors)
    not_above = torch.searchsorted(normal, anomalous_errors, right=True)
    return (below + not_above).double().mean().item() / 2 / len(normal)


def shuffled(x: Tensor, *, seed: int) -> Tensor:
    """Samples (N, *shape), each value drawn from another sample: what is left without structure.

    Every value keeps its place and its distribution over the samples, and knows nothing of the values beside it.
    """
    generator = torch.Generator().manual_seed(seed)
    flat = x.flatten(1)
    order = torch.rand(flat.shape, generator=generator).argsort(0).to(x.device)
    return flat.gather(0, order).view_as(x)


def copy_ratio(mse: float, shuffled_mse: float, *, variance: float) -> float:
    """Error on data over the error on shuffled data.

    Towards 0 for a model that reconstructs what it has learned and nothing else, 1 where the structure of the data
    makes no difference: to a copier, whose both errors are small, and to a model that answers everything with the mean,
    whose both are large. Where both are rounding, as of as many principal components as the data have dimensions, the
    model is a perfect copier and the ratio 1, whatever the two make of each other.

    Args:
        mse: on data.
        shuffled_mse: on shuffled data.
        variance: of the data, per value; shuffling keeps it.
    """
    if is_rounding(shuffled_mse, variance):
        return 1.0 if is_rounding(mse, variance) else math.inf
    return mse / shuffled_mse
