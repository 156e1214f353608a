"""Training procedures: the LightningModules. Each is one way in which a model learns."""

from hourglass.training.backprop import Backprop

__all__ = ["Backprop"]
