"""Models: how encoder and decoder are built. `autoencoder` is the contract, the rest are families."""

from hourglass.models.autoencoder import Autoencoder, Output, Renewable, Solvable
from hourglass.models.closed_form import PCA, Identity, Mean
from hourglass.models.conditional import Condition, Conditional, OnLabels, Unconditional
from hourglass.models.conv import Conv
from hourglass.models.dictionary import Dictionary
from hourglass.models.mlp import MLP
from hourglass.models.modules import Modules
from hourglass.models.residual import Residual
from hourglass.models.staged import Stage, Staged, stages_of
from hourglass.models.transformer import Transformer

__all__ = [
    "MLP",
    "PCA",
    "Autoencoder",
    "Condition",
    "Conditional",
    "Conv",
    "Dictionary",
    "Identity",
    "Mean",
    "Modules",
    "OnLabels",
    "Output",
    "Renewable",
    "Residual",
    "Solvable",
    "Stage",
    "Staged",
    "Transformer",
    "Unconditional",
    "stages_of",
]
