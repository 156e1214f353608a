"""A corruption: several processes, one after another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hourglass.noise.process import Process

__all__ = ["Corruption"]


class Corruption(nn.Module):
    """A chain of corruption processes, applied in the order of their names in the configuration.

    Args:
        bounds: lowest and highest value of the training data.
        shape: of one sample, (C, H, W) or (D,).
        frozen: draw the corruption of the training set once, instead of anew at every step.
        seed: seed of the draws for validation, test and frozen training data, so that metrics are comparable.
        processes: the processes by name; none is the identity.

    Raises:
        ValueError: a process that does not suit the shape.

    Example:
        >>> from hourglass.noise import Masking
        >>> Corruption(bounds=(0.0, 1.0), shape=(1, 8, 8), frozen=False, seed=0, masking=Masking(share=0.25))
        Corruption(
          (processes): ModuleDict(
            (masking): Masking(share=0.25)
          )
        )
    """

    bounds: Tensor

    def __init__(
        self,
        *,
        bounds: Sequence[float],
        shape: Sequence[int],
        frozen: bool = False,
        seed: int = 0,
        **processes: Process,
    ) -> None:
        super().__init__()
        for process in processes.values():
            process.check(shape)
        low, high = bounds
        self.register_buffer("bounds", torch.tensor([low, high]), persistent=False)
        self.frozen = frozen and bool(processes)
        self.seed = seed
        self.processes = nn.ModuleDict(processes)
        self.baselines = tuple(dict.fromkeys(name for process in processes.values() for name in process.baselines))
        """The classical restorations of all processes, each once, in order."""

    def forward(self, x: Tensor) -> Tensor:
        """Clean (B, *shape) to corrupted (B, *shape)."""
        for process in self.processes.values():
            x = process(x, self.bounds)
        return x

    @contextmanager
    def seeded(self, batch: int = 0) -> Iterator[None]:
        """Within, draws start from `seed` and the number of the batch; afterwards they go on as if undisturbed."""
        devices = [self.bounds.device] if self.bounds.is_cuda else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(self.seed_of(batch))
            yield

    def seed_of(self, batch: int) -> int:
        """The seed of the draws of a batch, by its number from 0."""
        return self.seed * 1_000_003 + batch
