"""Callbacks: what happens around training but is no part of it; each a choice of the group `callback`.

`Progress` shows where one is, `Pictures`, `Usefulness` and `Properties` record what the model does, `Disentanglement`
which factors its units hold, `Floor` and `Baselines` what linear codes and classical methods make of the same samples,
`Generation` whether new samples look like data, `Health` judges, `Checkpoints` makes a cut-off training resumable in
the same run; `LossRecovered` asks the network that activations are from; `Anomalies` belongs to an evaluation,
`Pruning` to a search.

Adding one is a class, derived from `RunCallback` if it records into the run, and a yaml that names it.
"""

from hourglass.callbacks.anomalies import Anomalies
from hourglass.callbacks.baselines import Baselines
from hourglass.callbacks.checkpoints import CHECKPOINT, Checkpoints, CheckpointsOfRun
from hourglass.callbacks.disentanglement import Disentanglement
from hourglass.callbacks.encoding import encode
from hourglass.callbacks.floor import Floor
from hourglass.callbacks.generation import Generation
from hourglass.callbacks.health import Health
from hourglass.callbacks.loss_recovered import LossRecovered
from hourglass.callbacks.pictures import Pictures
from hourglass.callbacks.progress import Progress
from hourglass.callbacks.properties import Properties
from hourglass.callbacks.recording import RunCallback, in_order
from hourglass.callbacks.usefulness import Usefulness

__all__ = [
    "CHECKPOINT",
    "Anomalies",
    "Baselines",
    "Checkpoints",
    "CheckpointsOfRun",
    "Disentanglement",
    "Floor",
    "Generation",
    "Health",
    "LossRecovered",
    "Pictures",
    "Progress",
    "Properties",
    "RunCallback",
    "Usefulness",
    "encode",
    "in_order",
]
