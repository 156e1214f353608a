"""Steps of many models as one, and steps as CUDA graphs.

Stack     models of one structure that make their steps together: `hourglass.sweeps.fusion` trains with it
Played    makes the steps of one training on a GPU, as a stack of one that is a CUDA graph
"""

from hourglass.training.stacks.played import Played
from hourglass.training.stacks.stack import Stack

__all__ = ["Played", "Stack"]
