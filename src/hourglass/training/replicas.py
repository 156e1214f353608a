"""One model on several devices: each holds a copy of it, and makes its share of every batch.

    g = sum_r n_r / B g_r

with n_r of the B samples of a batch on device r, and g_r the gradient of the mean over them: that of the mean over the
batch. All devices walk through the same batches and draw the same noise for the whole batch, of which each uses its
own rows; so a sample's corruption doesn't depend on where it is, and is the one that a single device draws. What the
model itself draws, the noise of a code or of dropout, comes from a stream of each device and step: other numbers of the
same distribution. The first device measures and records; the others are told what came of it.

Reference: PyTorch distributed (Li et al., 2020).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from hourglass.system.errors import HourglassError

__all__ = ["Replicas", "mixes_samples"]

T = TypeVar("T")


class Replicas:
    """The devices that train one model, seen from one of them; as it is made, the only one.

    Args:
        rank: which it is, from 0.
        count: how many there are, at least 1.
        seed: of what the model draws on each.

    Example:
        >>> second = Replicas(rank=1, count=2)
        >>> second.take(5), second.weight
        (slice(2, 5, None), 0.6)
    """

    def __init__(self, *, rank: int = 0, count: int = 1, seed: int = 0) -> None:
        self.rank = rank
        self.count = count
        self.seed = seed
        self.weight = 1.0
        """The share of the batch at hand."""
        self.joined = False
        """Whether the others are there to be talked to: from before a fit until after it."""

    @property
    def first(self) -> bool:
        """Whether it is the one that measures and records."""
        return self.rank == 0

    def take(self, samples: int) -> slice:
        """The rows of a batch that are this device's; their share of it is its `weight` until the next.

        One that gets none, of fewer samples than devices, makes the step with the first, which counts nothing.
        """
        begin, end = samples * self.rank // self.count, samples * (self.rank + 1) // self.count
        self.weight = (end - begin) / samples
        return slice(begin, end) if end > begin else slice(0, 1)

    @contextmanager
    def drawing(self, step: int, device: torch.device) -> Iterator[None]:
        """Within, draws are this device's own; afterwards they go on as on all of them."""
        if not self.joined:
            yield
            return
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            mixed = np.random.SeedSequence([self.seed, step, self.rank]).generate_state(1, np.uint64)
            torch.manual_seed(int(mixed[0]))
            yield

    def add_up(self, tensors: Sequence[Tensor], *, weight: float | Tensor = 1.0) -> None:
        """Replace each by its sum over the devices, here times `weight`."""
        if not self.joined or not tensors:
            return
        # One message for all: its way costs more than what it carries.
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors]) * weight
        torch.distributed.all_reduce(flat)
        for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def least(self, tensor: Tensor | None) -> None:
        """Replace it by the least of each of its values over the devices."""
        if self.joined and tensor is not None:
            torch.distributed.all_reduce(tensor, op=torch.distributed.ReduceOp.MIN)

    def agreed(self, value: T) -> T:
        """What the first device has for it."""
        if not self.joined:
            return value
        held: list[Any] = [value if self.first else None]
        torch.distributed.broadcast_object_list(held, src=0)
        return held[0]  # type: ignore[no-any-return]

    def align(self, state: Mapping[str, Tensor]) -> None:
        """Take over the first device's values of a module's tensors."""
        if self.joined:
            for tensor in state.values():
                torch.distributed.broadcast(tensor, src=0)

    def align_draws(self, device: torch.device) -> None:
        """Take over where the first device is in its random numbers."""
        if self.joined:
            torch.set_rng_state(self.agreed(torch.get_rng_state()))
            if device.type == "cuda":
                torch.cuda.set_rng_state(self.agreed(torch.cuda.get_rng_state(device)), device)

    def check(self, state: Mapping[str, Tensor]) -> None:
        """HourglassError unless a module's tensors are the same on all devices, to the last bit of their sums."""
        if not self.joined:
            return
        mine = torch.stack([tensor.double().sum() for tensor in state.values()]).nan_to_num()
        theirs = mine.clone()
        torch.distributed.broadcast(theirs, src=0)
        differs = (mine != theirs).double()
        torch.distributed.all_reduce(differs)  # all stop, or none
        for name, here in zip(state, differs.tolist(), strict=True):
            if here:
                raise HourglassError(
                    f"trainer.devices={self.count}: {name} has become another on each device, because a part of the"
                    " model goes by the whole batch: set trainer.devices=1"
                )


def mixes_samples(learner: nn.Module) -> list[str]:
    """The parts of a learner that make of a sample what depends on the others of its batch, by class."""
    found = (
        type(module).__name__
        for module in learner.modules()
        if getattr(module, "mixes_samples", False) or isinstance(module, _NormBase)
    )
    return list(dict.fromkeys(found))
