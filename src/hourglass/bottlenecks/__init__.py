"""Bottlenecks: what stands between encoder and decoder and makes the code.

A bottleneck takes what the encoder puts out, a (B, inputs), and returns the code h, (B, code_size), with
its own loss terms. It also owns the mask `active` of code units (ones, but for padded members of a stack).
"""

from hourglass.bottlenecks.activity import Above, Activity
from hourglass.bottlenecks.bottleneck import (
    Bottled,
    Bottleneck,
    Draws,
    HasAuxiliary,
    HasDensity,
    HasPosterior,
    HasPrior,
    HasQuantiles,
    HasRate,
    Symbolic,
)
from hourglass.bottlenecks.deterministic import Deterministic
from hourglass.bottlenecks.discrete import Binary, Categorical, VectorQuantized
from hourglass.bottlenecks.gated import Gated
from hourglass.bottlenecks.gaussian import Gaussian
from hourglass.bottlenecks.jump_relu import JumpReLU
from hourglass.bottlenecks.sparse import BatchTopK, TopK, WinnerTakeAll

__all__ = [
    "Above",
    "Activity",
    "BatchTopK",
    "Binary",
    "Bottled",
    "Bottleneck",
    "Categorical",
    "Deterministic",
    "Draws",
    "Gated",
    "Gaussian",
    "HasAuxiliary",
    "HasDensity",
    "HasPosterior",
    "HasPrior",
    "HasQuantiles",
    "HasRate",
    "JumpReLU",
    "Symbolic",
    "TopK",
    "VectorQuantized",
    "WinnerTakeAll",
]
