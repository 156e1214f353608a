"""Samplers: densities that are fitted to the codes of a model after its training, so that new codes can be drawn.

    h_i = f(x_i)  of training samples,    p fitted to the h_i,    z ~ p,    g(z) a new sample

A code that was trained without a prior has none to draw from, and one with a prior seldom fills it: a density that is
fitted ex post serves both. Here belongs what learns a distribution of codes once the networks stand still; priors that
training brings the code to are those of bottlenecks, regularizers and training procedures. `NoSampler` leaves drawing
to these.

`Mixture`, `TwoStage` and the flows learn a density, `Autoregressive` a probability of the symbols of a discrete code;
`Hypersphere`, `Slerp` and `Neighbours` go by the codes themselves, `Riemannian` by a metric that was learned with the
model.

Reference: From variational to deterministic autoencoders (Ghosh et al., 2020).
"""

from hourglass.samplers.autoregressive import Autoregressive
from hourglass.samplers.between import Hypersphere, Neighbours, Slerp
from hourglass.samplers.flow import InverseAutoregressive, MaskedAutoregressive
from hourglass.samplers.geometry import Geometry
from hourglass.samplers.mixture import Mixture
from hourglass.samplers.riemannian import Riemannian
from hourglass.samplers.sampler import HasLogDensity, NoSampler, Sampler
from hourglass.samplers.two_stage import TwoStage

__all__ = [
    "Autoregressive",
    "Geometry",
    "HasLogDensity",
    "Hypersphere",
    "InverseAutoregressive",
    "MaskedAutoregressive",
    "Mixture",
    "Neighbours",
    "NoSampler",
    "Riemannian",
    "Sampler",
    "Slerp",
    "TwoStage",
]
