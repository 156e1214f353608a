"""Training procedures: the LightningModules. Each is one way in which a model learns."""

from hourglass.training.backprop import Backprop
from hourglass.training.learner import Learner
from hourglass.training.minibatch import MakeOptimizer, Minibatch

__all__ = ["Backprop", "Learner", "MakeOptimizer", "Minibatch"]
