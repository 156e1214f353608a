"""Models: how encoder and decoder are built. `autoencoder` is the contract, the rest are families."""

from hourglass.models.autoencoder import Autoencoder, Output, Renewable, Solvable
from hourglass.models.closed_form import PCA, Identity, Mean
from hourglass.models.conv import Conv
from hourglass.models.dictionary import Dictionary
from hourglass.models.mlp import MLP
from hourglass.models.modules import Modules
from hourglass.models.staged import Stage, Staged, stages_of

__all__ = [
    "MLP",
    "PCA",
    "Autoencoder",
    "Conv",
    "Dictionary",
    "Identity",
    "Mean",
    "Modules",
    "Output",
    "Renewable",
    "Solvable",
    "Stage",
    "Staged",
    "stages_of",
]
