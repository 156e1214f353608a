"""Reconstruction losses: the distance between reconstruction r and clean target x.

With d values per sample and B samples, `reduction` says how they are put together:

- mean: the mean over all B d values, what Keras and most documents report;
- sum: the sum over the d values, then the mean over the samples (nats per sample for `BCE`), what a bound
  on a log-likelihood needs, and what a penalty weight is relative to in most papers.

Losses of each value by itself are, up to a constant, the negative logarithm of a density p(x | r) of the data around
the reconstruction (`Likelihood`); `log_density` is that logarithm, with its constant. Those that compare images as
images have none: no likelihood is measured then, and what needs a bound refuses them.

A loss is the sum of terms, of which the reconstruction is one: see `losses.terms`.
"""

from hourglass.losses.choices import auto, bce, log_cosh, mae, ms_ssim, mse, random_features, student_t
from hourglass.losses.columns import OfColumns
from hourglass.losses.elementwise import BCE, MAE, MSE, LogCosh, StudentT
from hourglass.losses.images import MSSSIM, RandomFeatures
from hourglass.losses.loss import REDUCTIONS, Likelihood, Loss, Reduction
from hourglass.losses.terms import Term, logged, total

__all__ = [
    "BCE",
    "MAE",
    "MSE",
    "MSSSIM",
    "REDUCTIONS",
    "Likelihood",
    "LogCosh",
    "Loss",
    "OfColumns",
    "RandomFeatures",
    "Reduction",
    "StudentT",
    "Term",
    "auto",
    "bce",
    "log_cosh",
    "logged",
    "mae",
    "ms_ssim",
    "mse",
    "random_features",
    "student_t",
    "total",
]
