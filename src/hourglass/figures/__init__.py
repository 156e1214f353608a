"""Figures: what goes in, what comes out and what stands between, as pictures to look at.

    reconstructions   test samples: original, corrupted, output, absolute error, and each one's MSE
    strip             originals over outputs, the classic figure of ten digits
    restorations      the same samples as several methods restore them
    worst             the worst reconstructions of each class
    filters           first-layer weights as images
    feature_maps      what the stages of a convolutional encoder make of a few inputs
    code_map          codes as points of a plane, coloured by class
    code_histogram    how the activations are distributed, and how often each unit is on
    most_activating   the inputs that each code unit answers most
    samples           decoded draws from the prior
    traversal         what is decoded while one code unit moves
    manifold          the whole plane of a 2-D code, decoded
    signals           curves of signals, what was seen of them, and the output
    interpolation     what is decoded on the line between two codes

A picture states its own scale: panels of one figure share it, and every colour scale has its bar or its numbers.
Images are drawn as one mosaic per row at a whole number of screen pixels per image pixel, by Pillow (`Picture`).
"""

from hourglass.figures.canvas import to_array, to_png
from hourglass.figures.codes import code_histogram, code_map
from hourglass.figures.comparisons import reconstructions, strip, worst
from hourglass.figures.decoded import interpolation, manifold, samples, traversal
from hourglass.figures.restorations import restorations
from hourglass.figures.signals import signals
from hourglass.figures.units import feature_maps, most_activating
from hourglass.figures.weights import filters

__all__ = [
    "code_histogram",
    "code_map",
    "feature_maps",
    "filters",
    "interpolation",
    "manifold",
    "most_activating",
    "reconstructions",
    "restorations",
    "samples",
    "signals",
    "strip",
    "to_array",
    "to_png",
    "traversal",
    "worst",
]
