"""How many steps a training by mini-batches makes, and what each of them is held to."""

from dataclasses import dataclass

from hourglass.system.checks import check_above, check_whole

__all__ = ["StepSettings"]


@dataclass(frozen=True, kw_only=True)
class StepSettings:
    """How steps are counted, warmed up, clipped and logged.

    Raises:
        ValueError: a number out of its range.
    """

    epochs: int
    """Passes over the training set, at least 1."""
    max_steps: int | None
    """Optimizer steps after which training ends even within an epoch; None: no limit."""
    batch_size: int
    """Samples of a batch, at least 1."""
    warmup_steps: int
    """Steps over which the learning rate rises linearly from zero, at least 0."""
    gradient_clip: float | None
    """Largest norm of the gradient, above 0; None: no clipping."""
    log_every_n_steps: int
    """A training point is the mean over that many steps, at least 1."""

    def __post_init__(self) -> None:
        check_whole("epochs", self.epochs, lowest=1)
        check_whole("max_steps", self.max_steps, lowest=1, null=True)
        check_whole("batch_size", self.batch_size, lowest=1)
        check_whole("warmup_steps", self.warmup_steps, lowest=0)
        check_above("gradient_clip", self.gradient_clip, null=True)
        check_whole("log_every_n_steps", self.log_every_n_steps, lowest=1)

    def steps_per_epoch(self, samples: int) -> int:
        """Steps of an epoch over that many samples, the last of which may have a smaller batch."""
        return -(-samples // self.batch_size)

    def steps(self, samples: int) -> int:
        """Steps of a whole training on that many samples."""
        steps = self.epochs * self.steps_per_epoch(samples)
        return min(steps, self.max_steps or steps)
