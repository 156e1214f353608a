"""Bottlenecks: what stands between encoder and decoder and makes the code.

A bottleneck takes what the encoder puts out, a (B, inputs), and returns the code h, (B, code_size), with
its own loss terms. It also owns the mask `active` of code units (ones, but for padded members of a stack).
"""

from hourglass.bottlenecks.activity import Above, Activity
from hourglass.bottlenecks.bottleneck import (
    Bottled,
    Bottleneck,
    Draws,
    HasDensity,
    HasPosterior,
    HasPrior,
    HasQuantiles,
    HasRate,
    Symbolic,
)
from hourglass.bottlenecks.deterministic import Deterministic
from hourglass.bottlenecks.discrete import Binary, Categorical, VectorQuantized
from hourglass.bottlenecks.flow_gaussian import FlowGaussian
from hourglass.bottlenecks.flows import Flow, Householder, InverseAutoregressive, Planar, Radial
from hourglass.bottlenecks.gamma import Gamma
from hourglass.bottlenecks.gaussian import Gaussian
from hourglass.bottlenecks.joint import Joint
from hourglass.bottlenecks.jump_relu import JumpReLU
from hourglass.bottlenecks.poincare import Poincare
from hourglass.bottlenecks.priors import MixturePrior, Prior, StandardNormal, VampPrior
from hourglass.bottlenecks.sparse import BatchTopK, TopK, WinnerTakeAll
from hourglass.bottlenecks.variational import Variational
from hourglass.bottlenecks.von_mises_fisher import VonMisesFisher

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
    "Flow",
    "FlowGaussian",
    "Gamma",
    "Gaussian",
    "HasDensity",
    "HasPosterior",
    "HasPrior",
    "HasQuantiles",
    "HasRate",
    "Householder",
    "InverseAutoregressive",
    "Joint",
    "JumpReLU",
    "MixturePrior",
    "Planar",
    "Poincare",
    "Prior",
    "Radial",
    "StandardNormal",
    "Symbolic",
    "TopK",
    "VampPrior",
    "Variational",
    "VectorQuantized",
    "VonMisesFisher",
    "WinnerTakeAll",
]
