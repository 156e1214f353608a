"""One optimizer for a stack of models, each with a learning rate of its own.

The optimizers of PyTorch go elementwise, and their learning rate stands outside of everything that they remember:

    w <- w - lr u(g, w),    u the update, from the gradients so far

so one of them runs over the whole stack with lr 1, on tensors that hold nothing but its update, and each member's
weights take it times the member's own rate. Weight decay, which needs the weights, is added here; so is clipping, by
the norm of each member's own gradient.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hourglass.training.minibatch import Minibatch
from hourglass.training.stacks.padding import Place, pack

ELEMENTWISE = (torch.optim.Adadelta, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.SGD)
"""Optimizers whose step is an update of each weight by itself times the learning rate."""

COUNTER = "step"
"""What an optimizer calls the number of its steps, in what it remembers of each weight."""


class Update:
    """The optimizers of all members as one.

    Args:
        members: the learners, whose optimizers differ in nothing but learning rate and weight decay.
        stacked: (members, *shape) weights, in the order of the optimizers' own.
        padding: for each of them where members have nothing (see `padding.empty`), None where none lacks anything.
        at: for each of them the place of every member's.
    """

    def __init__(
        self,
        *,
        members: Sequence[Minibatch],
        stacked: Sequence[Tensor],
        padding: Sequence[Tensor | None],
        at: Sequence[Sequence[Place]],
    ) -> None:
        self.members = members
        self.stacked = stacked
        self.padding = padding
        self.at = at
        self.steps = [torch.zeros_like(weight) for weight in stacked]  # what the optimizer takes for its weights
        self.optimizer = members[0].make_optimizer(params=self.steps, lr=1.0, weight_decay=0.0)
        (group,) = self.optimizer.param_groups
        self.decoupled = bool(group.get("decoupled_weight_decay"))  # AdamW's
        self.decay = self._column([float(_group(member)["weight_decay"]) for member in members])
        self.decays = bool(self.decay.any())
        limits = [member.settings.gradient_clip or math.inf for member in members]
        self.limit = self._column(limits)
        self.clips = min(limits) < math.inf
        self._take_up()

    def make_capturable(self) -> None:
        """Keep everything that a step needs on the GPU, for a CUDA graph."""
        for group in self.optimizer.param_groups:
            if "capturable" in group:  # SGD has no counter, and no such key
                group["capturable"] = True
        for step, memory in self.optimizer.state.items():
            if COUNTER in memory:  # unless fused, an optimizer keeps it on the host
                memory[COUNTER] = memory[COUNTER].to(step.device)
        # Of the steps before the capture PyTorch would say that they waste what capturable costs.
        self.optimizer._warned_capturable_if_run_uncaptured = True

    def _column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=self.stacked[0].dtype, device=self.stacked[0].device)

    def rates(self, steps: range) -> Tensor:
        """The learning rate of each member at each step: (steps, members)."""
        rows = []
        for step in steps:
            for member in self.members:
                member.set_rate(step)
            rows.append([float(_group(member)["lr"]) for member in self.members])
        return torch.tensor(rows, dtype=self.stacked[0].dtype, device=self.stacked[0].device)

    @torch.no_grad()
    def __call__(self, rate: Tensor) -> None:
        """One step of every member, at its own rate (members,), from the gradients of the stack."""
        gradients = [weight.grad for weight in self.stacked]
        for gradient, padded in zip(gradients, self.padding, strict=True):
            if gradient is not None and padded is not None:
                # Not a product: a gradient that isn't a number stays so in its own place only.
                gradient.masked_fill_(padded, 0)
        if self.clips:
            self._clip([gradient for gradient in gradients if gradient is not None])
        for weight, gradient, step in zip(self.stacked, gradients, self.steps, strict=True):
            if self.decays and gradient is not None:
                decay = _over(self.decay, weight)
                if self.decoupled:
                    weight.mul_(1 - _over(rate, weight) * decay)
                else:
                    gradient.addcmul_(weight, decay)
            step.grad = gradient
        self.optimizer.step()
        for weight, step in zip(self.stacked, self.steps, strict=True):
            weight.addcmul_(step, _over(rate, weight))
            step.zero_()

    def _clip(self, gradients: Sequence[Tensor]) -> None:
        """As `torch.nn.utils.clip_grad_norm_`, for each member by itself."""
        squares = torch.stack([gradient.flatten(1).square().sum(dim=1) for gradient in gradients])
        factor = (self.limit / (squares.sum(dim=0).sqrt() + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(_over(factor, gradient))

    # What an optimizer remembers is a tensor of the weight's shape, but for its counter, the same for all members.

    def _take_up(self) -> None:
        """Begin with what the members' own optimizers remember."""
        for number, step in enumerate(self.steps):
            states = [member.optimizer.state.get(_weights(member)[number], {}) for member in self.members]
            for key, first in states[0].items():
                if first is None or key == COUNTER:
                    self.optimizer.state[step][key] = first if first is None else first.clone()
                else:
                    self.optimizer.state[step][key] = pack(step[0], [s[key] for s in states], self.at[number])

    def give_back(self) -> None:
        """Let the members' own optimizers remember what this one does; all of them, or none if memory lacks."""
        found: list[tuple[dict[str, Any], str, Any]] = []
        for number, step in enumerate(self.steps):
            for key, value in self.optimizer.state.get(step, {}).items():
                for row, (member, place) in enumerate(zip(self.members, self.at[number], strict=True)):
                    whole = value is None or key == COUNTER
                    mine = value if whole else value[row][place]
                    if key == COUNTER and not (_group(member).get("fused") or _group(member).get("capturable")):
                        mine = value.cpu()  # where the member's own optimizer counts
                    own = member.optimizer.state[_weights(member)[number]]
                    found.append((own, key, mine if mine is None else mine.clone()))
        for own, key, mine in found:
            own[key] = mine


def _group(member: Minibatch) -> dict[str, Any]:
    (group,) = member.optimizer.param_groups
    return group


def _weights(member: Minibatch) -> list[Tensor]:
    weights: list[Tensor] = _group(member)["params"]
    return weights


def _over(column: Tensor, weight: Tensor) -> Tensor:
    """(members,) to (members, 1, ...), as many axes as the weight has."""
    return column.view(-1, *[1] * (weight.ndim - 1))
