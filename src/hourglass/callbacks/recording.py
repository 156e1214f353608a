"""What all of our callbacks share: the run that they record into, and when they are asked."""

from typing import ClassVar, cast

import pytorch_lightning as pl

from hourglass.tracking import Run


class RunCallback(pl.Callback):
    """A callback that records into the run of the training that it is called in.

    It is made of its settings alone. The run comes with the trainer, whose logger writes to it, and the data with the
    learner: so one object serves any training, and a test of a finished run (`hourglass evaluate`).
    """

    order: ClassVar[int] = 0
    """Callbacks are called in this order, those of the same number as they were chosen."""
    evaluates: ClassVar[bool] = False
    """Whether it also measures a finished run anew."""

    @staticmethod
    def run(trainer: pl.Trainer) -> Run:
        """Where its numbers, pictures and tags go."""
        return cast(Run, trainer.logger.run)  # type: ignore[union-attr]


def in_order(callbacks: list[pl.Callback]) -> list[pl.Callback]:
    """Those of others come before what judges and keeps: a checkpoint stands for what all have written."""
    return sorted(callbacks, key=lambda each: getattr(each, "order", 0))
