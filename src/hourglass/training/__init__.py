"""Training procedures: the LightningModules. Each is one way in which a model learns."""

from hourglass.training.backprop import Backprop
from hourglass.training.learner import Learner

__all__ = ["Backprop", "Learner"]
