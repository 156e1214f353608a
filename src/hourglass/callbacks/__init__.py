"""Callbacks: what happens around training but is no part of it.

`Progress` shows where one is, `Pictures` and `Usefulness` record what the model
does, `Baselines` what classical methods make of the same samples, `Checkpoints` makes a cut-off training resumable
in the same run.
"""

from hourglass.callbacks.baselines import Baselines
from hourglass.callbacks.checkpoints import CHECKPOINT, Checkpoints, CheckpointsOfRun
from hourglass.callbacks.encoding import encode
from hourglass.callbacks.pictures import Pictures
from hourglass.callbacks.progress import Progress
from hourglass.callbacks.usefulness import Usefulness

__all__ = ["CHECKPOINT", "Baselines", "Checkpoints", "CheckpointsOfRun", "Pictures", "Progress", "Usefulness", "encode"]
