"""Models that need no training by gradients, because their optimum is a formula of the training set.

Principal components are the example: the best linear autoencoder is the span of the covariance's leading
eigenvectors. Such a model gets the run, the metrics and the pictures that every other model gets, so that it stands
beside them in every table.
"""

from typing import Any, Unpack, cast

import torch
from typing_extensions import override

from hourglass.models import Solvable
from hourglass.system.errors import HourglassError
from hourglass.training.batches import Batches, Chunk
from hourglass.training.clock import Clock
from hourglass.training.learner import Learner, LearnerArguments
from hourglass.training.minibatch import MakeOptimizer
from hourglass.training.rates import Schedule
from hourglass.training.replicas import Replicas

__all__ = ["ClosedForm"]


class ClosedForm(Learner):
    """Solves a model from the clean training samples: one epoch of one step, no gradients, no optimizer.

    Reference: On lines and planes of closest fit to systems of points in space (Pearson, 1901).

    Args:
        model: a model that has a closed form, and no weights for gradients.
        noise: the corruption under which the model is measured; it is solved from clean samples.
        penalties: none.
        loss: the reconstruction loss that is measured.
        optimizer: given to every procedure; without use here.
        data: the data set.
        epochs: 1.
        schedule: like the optimizer, without use here.
        replicas: the same.
        code_threshold: see `Learner`.
        sampler: see `Learner`.

    Raises:
        ValueError: a model that has weights to train by gradients; penalties; another number of epochs than 1.

    Example:
        >>> from hourglass.pipeline.compose import compose
        >>> from hourglass.configuration.composition import compose_config
        >>> config, _ = compose_config(["data=digits", "model=pca", "model.code_size=8"])
        >>> learner = compose(config).learner
        >>> learner.steps
        1
    """

    def __init__(
        self,
        *,
        optimizer: MakeOptimizer,  # noqa: ARG002
        epochs: int,
        schedule: Schedule | None = None,  # noqa: ARG002
        replicas: Replicas | None = None,  # noqa: ARG002
        **measured: Unpack[LearnerArguments],
    ) -> None:
        super().__init__(**measured)
        if any(weight.requires_grad for weight in self.model.parameters()):
            raise ValueError("model has no closed form, its weights need gradients: set training=backprop")
        if not isinstance(self.model, Solvable):
            raise ValueError(
                f"{type(self.model).__name__} has no closed form, it is trained by gradients: training=backprop"
            )
        if len(self.penalties.regularizers):
            raise ValueError("a closed form knows no penalties: set regularizer=none")
        if epochs != 1:
            raise ValueError(f"epochs must be 1, got {epochs}")
        self.automatic_optimization = False
        self.steps = 1

    @override
    def training_step(self, batch: Any, batch_idx: int) -> None:
        """The one step."""
        if not isinstance(batch, Chunk):
            raise HourglassError(
                "training=closed_form must see all samples at once, got a loader of your own: leave it out"
            )
        with torch.no_grad():
            cast(Solvable, self.model).solve(batch.x)
        self.steps_done = 1
        if self.trainer.max_epochs != 1:  # there is nothing that another epoch could change
            self.trainer.should_stop = True

    def train_dataloader(self) -> Batches:
        """The whole training set at once, in order."""
        x = self._resident(self.data.train.x)
        return Batches(x=x, corrupted=None, rows=len(x), order=None)

    def configure_optimizers(self) -> None:
        """There are none."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed training, which has nothing left to do, reports."""
        checkpoint["closed_form"] = {"steps_done": self.steps_done, "seconds": self.seconds}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up again."""
        state = checkpoint["closed_form"]
        self.steps_done, self.clock = state["steps_done"], Clock(state["seconds"])
