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
    HasSymbolDraws,
    HasThresholds,
    Refining,
    Spelled,
    Symbolic,
)
from hourglass.bottlenecks.deterministic import Deterministic
from hourglass.bottlenecks.discrete import Binary, Categorical
from hourglass.bottlenecks.finite_scalar import FiniteScalar
from hourglass.bottlenecks.flow_gaussian import FlowGaussian
from hourglass.bottlenecks.flows import Flow, Householder, InverseAutoregressive, Planar, Radial
from hourglass.bottlenecks.gamma import Gamma
from hourglass.bottlenecks.gated import Gated
from hourglass.bottlenecks.gaussian import Gaussian
from hourglass.bottlenecks.joint import Joint
from hourglass.bottlenecks.jump_relu import JumpReLU
from hourglass.bottlenecks.layered import Hierarchical, Ladder
from hourglass.bottlenecks.lookup_free import LookupFree
from hourglass.bottlenecks.poincare import Poincare
from hourglass.bottlenecks.priors import MixturePrior, Prior, StandardNormal, VampPrior
from hourglass.bottlenecks.residual_quantized import ResidualQuantized
from hourglass.bottlenecks.sparse import BatchTopK, TopK, WinnerTakeAll
from hourglass.bottlenecks.variational import Variational
from hourglass.bottlenecks.vector_quantized import VectorQuantized
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
    "FiniteScalar",
    "Flow",
    "FlowGaussian",
    "Gamma",
    "Gated",
    "Gaussian",
    "HasAuxiliary",
    "HasDensity",
    "HasPosterior",
    "HasPrior",
    "HasQuantiles",
    "HasRate",
    "HasSymbolDraws",
    "HasThresholds",
    "Hierarchical",
    "Householder",
    "InverseAutoregressive",
    "Joint",
    "JumpReLU",
    "Ladder",
    "LookupFree",
    "MixturePrior",
    "Planar",
    "Poincare",
    "Prior",
    "Radial",
    "Refining",
    "ResidualQuantized",
    "Spelled",
    "StandardNormal",
    "Symbolic",
    "TopK",
    "VampPrior",
    "Variational",
    "VectorQuantized",
    "VonMisesFisher",
    "WinnerTakeAll",
]
