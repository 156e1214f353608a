"""A stack: models of one structure that make their steps together.

With the weights W = (w_1, ..., w_n) of all members, zero-padded to the largest, one pass over the batch x gives the
losses of all, and one backward pass their gradients, because no member's loss depends on another's weights:

    L = sum_i loss_i(w_i, x),    dL / dw_i = d loss_i / dw_i

Padded weights get no gradient and stay zero; padded code units are not `active`.

References: torch.func.vmap; Horizontally fused training array (Wang et al., 2021) for the idea.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hourglass.losses import logged
from hourglass.training.batches import Chunk
from hourglass.training.minibatch import Minibatch
from hourglass.training.stacks.functions import StackedFunctions
from hourglass.training.stacks.graph import Graph, wanted
from hourglass.training.stacks.padding import empty, pack, places, tensors, unpack
from hourglass.training.stacks.update import Update


class Stack:
    """Learners that are trained as one; between two chunks each holds its own weights again.

    What is changed of them in between, in place, counts from the next chunk on.

    Args:
        members: the learners, on one device, which have made equally many steps.
        template: one of their structure that is at least as large as each in every respect; it only lends its shape.
        graph: whether the step becomes a CUDA graph (see `graph`); None: on a GPU, unless the environment says no.
    """

    def __init__(self, *, members: Sequence[Minibatch], template: Minibatch, graph: bool | None = None) -> None:
        self.members = members
        self.terms = _Terms(template.train())
        like = tensors(template)
        held = [tensors(member) for member in members]
        at = [places(member, template) for member in members]
        packed = {
            name: pack(tensor, [each[name] for each in held], [each[name] for each in at])
            for name, tensor in like.items()
        }
        names = {id(tensor): name for name, tensor in held[0].items()}
        trained = [names[id(weight)] for group in members[0].optimizer.param_groups for weight in group["params"]]
        padded = empty({name: like[name] for name in trained}, at)
        self.weights = {name: packed[name].requires_grad_() for name in trained}
        self.others = {name: tensor for name, tensor in packed.items() if name not in self.weights}
        self.update = Update(
            members=members,
            stacked=list(self.weights.values()),
            padding=[padded.get(name) for name in trained],
            at=[[each[name] for each in at] for name in trained],
        )
        on_gpu = self.update.stacked[0].is_cuda
        self.graph = Graph() if on_gpu and (wanted() if graph is None else graph) else None
        if self.graph is not None:
            self.update.make_capturable()
        self._home = {name: ([each[name] for each in held], [each[name] for each in at]) for name in like}
        self._note_versions()

    def advance(self, chunks: Sequence[Chunk]) -> list[dict[str, Tensor]]:
        """A step of every member for each batch of a chunk.

        Args:
            chunks: the chunk of every member; they differ at most in what was corrupted beforehand.

        Returns:
            for every member what `Minibatch.own_steps` gives, on the CPU.
        """
        self._take_changes()
        first, chunk = self.members[0], chunks[0]
        batches = first.batches(chunk)
        rates = self.update.rates(range(first.steps_done, first.steps_done + len(batches)))
        frozen = chunk.corrupted is not None
        history: list[dict[str, Tensor]] = []
        for rows, rate in zip(batches, rates, strict=True):
            x = first.data.target(chunk.x[rows])
            goal = first.data.goal(x, None if chunk.target is None else chunk.target[rows])
            corrupted = torch.stack([each.corrupted[rows] for each in chunks]) if frozen else None  # type: ignore[index]
            given = ((x, goal), corrupted, None if chunk.y is None else chunk.y[rows], rate)
            history.append(self._step(*given) if self.graph is None else self.graph(self._step, *given))
        columns = {name: torch.stack([terms[name] for terms in history]).cpu() for name in history[0]}
        self._give_back()
        return [{name: column[:, row] for name, column in columns.items()} for row in range(len(self.members))]

    def _step(
        self, pair: tuple[Tensor, Tensor], corrupted: Tensor | None, y: Tensor | None, rate: Tensor
    ) -> dict[str, Tensor]:
        """A step of all from samples and their targets."""
        for weight in self.weights.values():
            weight.grad = None
        together = torch.func.vmap(
            lambda each, mine: torch.func.functional_call(self.terms, each, (*pair, mine, y)),
            in_dims=(0, None if corrupted is None else 0),
            randomness="different",
        )
        held = {f"learner.{name}": tensor for name, tensor in {**self.weights, **self.others}.items()}
        with StackedFunctions():
            terms: dict[str, Tensor] = together(held, corrupted)
        torch.autograd.backward(terms["loss"].sum())
        self.update(rate)
        torch.clear_autocast_cache()  # see `apply_gradients`
        return {name: term.detach() for name, term in terms.items()}

    def _give_back(self) -> None:
        self.update.give_back()
        for name, stacked in {**self.weights, **self.others}.items():
            unpack(stacked, *self._home[name])
        self._note_versions()

    def _note_versions(self) -> None:
        """Remember where each member's tensors are, and how often they were changed so far, which PyTorch counts."""
        self._versions = {name: [_version(part) for part in parts] for name, (parts, _) in self._home.items()}

    @torch.no_grad()
    def _take_changes(self) -> None:
        """What somebody else has changed since, a callback say."""
        for name, stacked in {**self.weights, **self.others}.items():
            for row, part, place, version in zip(stacked, *self._home[name], self._versions[name], strict=True):
                if _version(part) != version:
                    row[place] = part


def _version(tensor: Tensor) -> tuple[int, int]:
    return tensor.data_ptr(), tensor._version


class _Terms(nn.Module):
    """A learner's loss and its terms as the forward pass of a module, which `functional_call` wants."""

    def __init__(self, learner: Minibatch) -> None:
        super().__init__()
        self.learner = learner

    def forward(self, x: Tensor, goal: Tensor, corrupted: Tensor | None, y: Tensor | None) -> dict[str, Tensor]:
        learner = self.learner
        given = learner.noise(learner.data.filled(x)) if corrupted is None else corrupted
        _, terms = learner.terms(goal, given, y)
        return logged(terms)
