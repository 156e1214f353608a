"""Memory: how many models a stack may have.

A member of a stack takes, with w bytes of weights and a bytes that one step keeps for its gradient, at most about

    16 w + 5 a

bytes: w for the stack's weights, their gradient, update and two moments, for the member's own, its two moments and
its best checkpoint, and for what comes and goes in the optimizer; a for what is kept, and for what comes and goes on
the way back. Where nobody can see what is kept it is 16 w + 2 m, with m bytes of all that a step makes. Every member
is padded to the largest, so w, a and m are the largest member's. The factors are measured, on a CPU, with dense
models, and generous: see tests/sweeps/fusion/test_memory.py.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psutil
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from typing_extensions import override

from hourglass.losses import total
from hourglass.system.torch_internals import NO_HOOKS, OUT_OF_MEMORY
from hourglass.training.batches import Chunk
from hourglass.training.minibatch import Minibatch
from hourglass.training.stacks.padding import tensors

SHARE = 0.8
"""Of the free memory, what stacks may take: the rest is for validation, pictures and other processes."""


class _Made(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Tells of every tensor that is made within."""

    def __init__(self, note: Callable[[Tensor], Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.note = note

    @override
    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, Tensor):
                self.note(each)
        return made


def member_bytes(learner: Minibatch, chunk: Chunk) -> int:
    """What a model as large as this one takes as a member of a stack.

    Args:
        learner: the largest member, on the device where it trains.
        chunk: at least one of its batches, there too.
    """
    held = {tensor.untyped_storage().data_ptr(): 0 for tensor in (*tensors(learner).values(), chunk.x)}
    kept: dict[int, int] = dict(held)

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept.setdefault(storage.data_ptr(), storage.nbytes())
        return tensor

    def step() -> None:
        rows = learner.batches(chunk)[0]
        x = learner.data.scaled(chunk.x[rows])
        corrupted = learner.noise(x) if chunk.corrupted is None else chunk.corrupted[rows]
        _, terms = learner.terms(x, corrupted, None if chunk.y is None else chunk.y[rows])
        torch.autograd.backward(total(terms))  # some penalties save only on the way back

    times = 5
    try:
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            step()
    except RuntimeError as error:
        if NO_HOOKS not in str(error):
            raise
        times = 2  # what comes and goes is among what is made already
        with _Made(note):  # steps that differentiate within let nobody see what they keep
            step()
    for weight in learner.parameters():
        weight.grad = None
    weights = sum(tensor.nbytes for tensor in tensors(learner).values())
    return 16 * weights + times * sum(kept.values())


def free_bytes(device: torch.device) -> int:
    """What a device has free at this moment; a CPU's is the machine's."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def fitting(member: int, *, free: int, sharing: int) -> int:
    """The most members of a stack, at least 1.

    (SHARE free / sharing) / member

    Args:
        member: bytes that one takes.
        free: bytes of the device.
        sharing: processes that train a stack on that device at the same time.
    """
    return max(1, int(SHARE * free / sharing / member))


def is_lack(error: Exception) -> bool:
    """Whether an error says that memory ran out; of a CPU's, PyTorch says it in the text only."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or OUT_OF_MEMORY in str(error)
