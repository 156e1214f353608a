"""Figures: what goes in, what comes out and what stands between, as matplotlib Figures without pyplot.

    reconstructions   test samples: original, corrupted, output, absolute error, and each one's MSE
    strip             originals over outputs, the classic figure of ten digits
    code_map          codes as points of a plane, coloured by class
    filters           first-layer weights as images
    code_histogram    how the activations are distributed, and how often each unit is on

A picture states its own scale: panels of one figure share it, and every colour scale has its bar or its numbers.
Images are drawn as one mosaic per row at a whole number of screen pixels per image pixel.
"""

from hourglass.figures.canvas import to_array, to_png
from hourglass.figures.codes import code_histogram, code_map
from hourglass.figures.samples import reconstructions, strip
from hourglass.figures.weights import filters

__all__ = ["code_histogram", "code_map", "filters", "reconstructions", "strip", "to_array", "to_png"]
