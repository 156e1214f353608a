"""Regularizers: penalties that are added to the reconstruction loss.

    total = reconstruction + sum_k  lambda_k P_k(model, x, h)

Every penalty is logged under its own name, apart from the reconstruction, so that "the loss is higher" can be
told from "the reconstruction is worse". `Penalties` holds any number of them by name; none is the plain
autoencoder. Weights are buffers, so that models that differ only in them can be trained as one stack. `Dropout` adds
no term: it disturbs the code instead.
"""

from hourglass.regularizers.activity import L1, L2, Decorrelation, KLSparsity
from hourglass.regularizers.annealed import Lp
from hourglass.regularizers.capacity import Capacity
from hourglass.regularizers.controlled import TargetL0
from hourglass.regularizers.dropout import Dropout
from hourglass.regularizers.jacobian import Contractive, DecoderGradient
from hourglass.regularizers.matryoshka import Matryoshka
from hourglass.regularizers.moments import DIP
from hourglass.regularizers.prior import MMD, SlicedWasserstein, TotalCorrelation
from hourglass.regularizers.regularizer import Disturbing, Penalties, Penalty, Regularizer
from hourglass.regularizers.revival import Revival
from hourglass.regularizers.weights import Orthogonality, Spectral, WeightL1, WeightL2

__all__ = [
    "DIP",
    "L1",
    "L2",
    "MMD",
    "Capacity",
    "Contractive",
    "DecoderGradient",
    "Decorrelation",
    "Disturbing",
    "Dropout",
    "KLSparsity",
    "Lp",
    "Matryoshka",
    "Orthogonality",
    "Penalties",
    "Penalty",
    "Regularizer",
    "Revival",
    "SlicedWasserstein",
    "Spectral",
    "TargetL0",
    "TotalCorrelation",
    "WeightL1",
    "WeightL2",
]
