"""A stack's step is one that a CUDA graph can hold, for every component that conf/ offers.

A graph is a list of kernels on tensors at fixed addresses, played again without the program that made it. Where there
is no GPU, a list of PyTorch's operations stands for it: those of one step are written down with the tensors that they
were called with, and played again on other batches, at other rates, from the weights as they have become. What comes
out is what the program itself makes of them, so nothing in a step hangs on a number of Python's, such as a counter. And
no operation on the list waits for the device, copies from the host, or has a shape that values decide.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from hourglass.data import Dataset
from hourglass.sweeps.fusion.grouping import why_not
from hourglass.sweeps.fusion.lockstep import template_of
from hourglass.training.stacks.stack import Stack

from .test_laws import (
    BENT,
    MODELS,
    OPTIMIZERS,
    PAIR,
    PRIORS,
    TOLD,
    WEIGHTED,
    choice,
    chunks,
    coloured,
    composed,
    digits,
    make,
    members_of,
    names,
    suited,
    with_choice,
)

aten = torch.ops.aten
WAITING = {
    # A number for Python, or a shape that values decide: the host waits for the device.
    *(aten._local_scalar_dense, aten.equal, aten.is_nonzero, aten.nonzero, aten.masked_select, aten.repeat_interleave),
    *(aten._unique, aten._unique2, aten.unique_dim, aten.unique_consecutive, aten.bincount, aten.randperm),
    # Whether it worked is asked at once.
    *(aten.linalg_cholesky, aten.linalg_inv, aten.linalg_eigh, aten.linalg_eigvalsh, aten.linalg_solve),
    *(aten._linalg_eigh, aten._linalg_svd, aten._linalg_slogdet, aten._linalg_det, aten.linalg_lstsq, aten.linalg_eig),
    *(aten.linalg_qr, aten.linalg_householder_product, aten.linalg_lu_factor, aten.linalg_pinv),
    # A tensor of numbers of Python's: a copy from the host.
    aten.lift_fresh,
}
UNREPEATABLE = {
    # What `trainer.deterministic`, which trainer=exact sets, refuses on a GPU.
    *(aten.kthvalue, aten.histc, aten.cumsum, aten.median, aten.put_, aten.scatter_reduce, aten.nll_loss2d_backward),
    *(aten._adaptive_avg_pool2d_backward, aten.grid_sampler_2d_backward),
    *(aten.replication_pad1d_backward, aten.replication_pad2d_backward, aten.embedding_bag),
    *(aten.upsample_linear1d_backward, aten.upsample_bilinear2d_backward, aten.upsample_bicubic2d_backward),
}
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._unsafe_index, aten._unsafe_index_put}


class Tape(TorchDispatchMode):
    """The operations that are made within, and the tensors that they were made with."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Sequence[Any], Mapping[str, Any], Any]] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        self.calls.append((function, args, kwargs or {}, made))
        return made

    def waits(self) -> set[str]:
        """The operations for which a GPU would stop, by name."""
        found = set()
        for function, args, _, _ in self.calls:
            packet = function.overloadpacket
            of_booleans = packet in INDEXING and any(
                each is not None and each.dtype in (torch.bool, torch.uint8) for each in args[1]
            )
            if packet in WAITING or of_booleans:
                found.add(str(function))
        return found

    @torch.no_grad()
    def play(self) -> None:
        """Make all operations again; what each makes comes to where it was."""
        for function, args, kwargs, made in self.calls:
            for old, new in zip(tree_leaves(made), tree_leaves(function(*args, **kwargs)), strict=True):
                if isinstance(old, Tensor) and old.untyped_storage().data_ptr() != new.untyped_storage().data_ptr():
                    old.copy_(new)


class Noted(Stack):
    """A stack that notes what its steps are given."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.given: list[tuple[Any, ...]] = []

    def _step(self, *given: Any) -> dict[str, Tensor]:
        self.given.append(given)
        return super()._step(*given)


def changing(stack: Stack) -> list[Tensor]:
    """All that a step changes."""
    kept = [each for memory in stack.update.optimizer.state.values() for each in memory.values()]
    return [*stack.weights.values(), *stack.others.values(), *(each for each in kept if each is not None)]


def assert_capturable(configs: Sequence[DictConfig], data: Dataset | None = None) -> None:
    members = make(configs, torch.float32, data)
    stack = Noted(members=members, template=template_of(members, configs, data or digits()))
    stack.advance(chunks(members))  # the first steps make what the optimizer remembers
    before = [each.detach().clone() for each in changing(stack)]
    given = stack.given[2:4]
    held = tree_map(lambda each: each.clone() if isinstance(each, Tensor) else each, given[0])
    tape = Tape()

    def became(terms: Mapping[str, Tensor]) -> list[Tensor]:
        return [each.detach().clone() for each in (*changing(stack), *terms.values())]

    torch.manual_seed(0)
    with tape:
        terms = Stack._step(stack, *held)
    assert tape.waits() == set()
    assert not {function.overloadpacket for function, *_ in tape.calls} & UNREPEATABLE
    wanted = [became(terms)]
    torch.manual_seed(1)
    wanted.append(became(Stack._step(stack, *given[1])))

    for each, value in zip(changing(stack), before, strict=True):
        each.detach().copy_(value)
    for seed in range(2):
        for mine, now in zip(tree_leaves(held), tree_leaves(given[seed]), strict=True):
            if isinstance(mine, Tensor):
                mine.copy_(now)
        torch.manual_seed(seed)
        tape.play()
        torch.testing.assert_close(became(terms), wanted[seed], rtol=1e-5, atol=1e-6, equal_nan=True)


def test_a_tape_tells_what_a_graph_cannot_hold() -> None:
    x = torch.arange(4.0)
    for act, name in (
        (lambda: float(x.sum()), "_local_scalar_dense"),
        (lambda: x[x > 1], "index"),
        (lambda: torch.tensor([1.0, 2.0]) * x[:2], "lift_fresh"),
    ):
        with (tape := Tape()):
            act()
        assert any(name in each for each in tape.waits())
    with (tape := Tape()):
        y = x * 2 + 1
        total = y.view(2, 2).sum(0)
    assert tape.waits() == set()
    x += 1
    tape.play()
    assert total.tolist() == [3 + 7, 5 + 9]


@pytest.mark.parametrize("name", MODELS)
def test_every_model(name: str) -> None:
    overrides, sizes = MODELS[name]
    assert_capturable(members_of(composed(*overrides), sizes))


@pytest.mark.parametrize("name", [*names("bottleneck"), *BENT, *PRIORS])
def test_every_bottleneck(name: str) -> None:
    if name in (*BENT, *PRIORS):  # choices beside the bottleneck
        base = composed("model=vanilla", *f"bottleneck={name}".split()).copy()
    else:
        base = with_choice("vanilla", "bottleneck", name).copy()
    if "categories" in base.model.bottleneck:
        base.model.bottleneck.categories = 4  # the smaller code has no room for more
    assert_capturable(members_of(base, PAIR))


@pytest.mark.parametrize("name", TOLD)
def test_every_condition(name: str) -> None:
    assert_capturable(members_of(composed("model=vanilla", "bottleneck=gaussian", f"condition={name}"), PAIR))


@pytest.mark.parametrize("name", names("noise"))
def test_every_noise(name: str) -> None:
    assert_capturable(members_of(with_choice("vanilla", "noise", name), PAIR), coloured())


@pytest.mark.parametrize("name", names("regularizer"))
def test_every_regularizer(name: str) -> None:
    assert_capturable(suited(name))


@pytest.mark.parametrize("name", names("loss"))
def test_every_loss(name: str) -> None:
    assert_capturable(members_of(with_choice("vanilla", "loss", name), PAIR))


@pytest.mark.parametrize("name", names("training"))
def test_every_training_procedure_that_stacks(name: str) -> None:
    if why_not(choice("training", name)) is not None:
        return
    if name in WEIGHTED:  # whose bounds have no weights to vary
        base = composed(f"training={name}", "bottleneck=gaussian")
        assert_capturable([base.copy(), base.copy()])
    else:
        patches = ["model=transformer", "model.patch_size=4"] if name == "masked" else []
        assert_capturable(members_of(composed(*patches, f"training={name}"), PAIR))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name: str) -> None:
    configs = members_of(with_choice("vanilla", "optimizer", name.split()[0]), PAIR)
    for each in configs:
        each.optimizer.weight_decay = 0.1
        each.training.gradient_clip = 0.05
    assert_capturable(configs)
