"""Are conditional samples of the class that was asked for, as a classifier sees it that has learned from the data?

    class_agreement = 1/n sum_i [c(g(z_i, y_i)) = y_i],    z_i ~ p(z), y_i each class in turn

c is the perceptron of `mlp_accuracy`, on the values of the samples themselves. Of real samples it gets the share
`mlp_accuracy_pixels` right.

Reference: Conditional image synthesis with auxiliary classifier GANs (Odena, Olah & Shlens, 2017), for the measure.
"""

from torch import Tensor

from hourglass.measures.probes import mlp_accuracy

DRAWN = 1000
"""Samples that are drawn, over all classes."""
LEARNED_FROM = 10_000
"""Training samples that the classifier learns from, at most."""


def class_agreement(x: Tensor, y: Tensor, drawn: Tensor, asked: Tensor) -> float:
    """The share of samples that are taken for what they were to be.

    Args:
        x: (N, *shape) training samples, as the model sees them.
        y: (N,) their classes.
        drawn: (n, *shape) conditional samples.
        asked: (n,) the classes that were asked for.

    Raises:
        ValueError: see `mlp_accuracy`.
    """
    return mlp_accuracy(x.flatten(1), y, drawn.flatten(1), asked)
