"""Resampling: units of a sparse code that have died begin anew, with what the model reconstructs worst.

Every so many steps, for each unit that has been off since long,

    x_i drawn with probability p_i ~ e_i^2,   e_i = |x_i - r_i|^2 of training samples i

gives the unit its direction (see `Dictionary.renew`), and the optimizer forgets what it knew of the unit's weights.
"""

from typing import Unpack, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.data.dataset import EVAL_BATCH
from hourglass.losses import logged, total
from hourglass.models import Renewable
from hourglass.system.checks import check_whole
from hourglass.system.modes import evaluating
from hourglass.training.minibatch import Minibatch, MinibatchArguments

__all__ = ["Resampling"]


class Resampling(Minibatch):
    """Trains by backpropagation, and renews dead units now and then.

    Logs `resampled`, the units that a step has renewed. For codes that are rectified; those with `idle` units have
    `regularizer=revival`, which goes by gradients, and stacks.

    Reference: Towards monosemanticity: decomposing language models with dictionary learning (Bricken et al., 2023).

    Args:
        every: steps from one renewal to the next, at least 1.
        times: renewals, at least 0; then units have the time to settle.
        after: steps that a unit has been off for to be dead, from 1 to `every`.
        rows: training samples, at most, that renewed units are drawn from, at least 1.

    The other arguments and errors: `Minibatch`.

    Raises:
        ValueError: a model whose units can't begin anew, or that isn't given one value for each; a number out of its
            range.

    Example:
        >>> from hourglass.pipeline.compose import compose
        >>> from hourglass.configuration.composition import compose_config
        >>> words = ["data=digits", "model=dictionary", "bottleneck=relu", "training=resampling"]
        >>> config, _ = compose_config(words)
        >>> compose(config).learner.off.shape
        torch.Size([256])
    """

    alone = "it renews units by what one device has seen"
    off: Tensor
    steps_counted: Tensor

    def __init__(self, *, every: int, times: int, after: int, rows: int, **shared: Unpack[MinibatchArguments]) -> None:
        super().__init__(**shared)
        for key, value, lowest in (("every", every, 1), ("times", times, 0), ("after", after, 1), ("rows", rows, 1)):
            check_whole(key, value, lowest=lowest)
        if after > every:
            raise ValueError(f"after must be at most every={every}, got {after}")
        neck = self.model.bottleneck
        if not isinstance(self.model, Renewable) or neck.inputs != neck.code_size:
            raise ValueError(
                "units can't begin anew in this model: set model=dictionary, and a bottleneck that takes one value"
                " for each unit, as bottleneck=relu"
            )
        self.every, self.times, self.after, self.rows = every, times, after, rows
        self.register_buffer("off", torch.zeros(neck.code_size, dtype=torch.int64))
        self.register_buffer("steps_counted", torch.tensor(0))

    @override
    def step(self, x: Tensor, corrupted: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        output, terms = self.terms(x, corrupted, y)
        self.descend(total(terms), self.optimizer)
        on = self.model.bottleneck.activity().mask(output.code.detach()).any(dim=0)
        self.off = torch.where(on, 0, self.off + 1)
        self.steps_counted += 1
        step, renewed = int(self.steps_counted), 0
        if step % self.every == 0 and step <= self.every * self.times:
            renewed = self._renew((self.off >= self.after).nonzero().flatten())
        return {
            **{name: value.detach() for name, value in logged(terms).items()},
            "resampled": torch.tensor(float(renewed), device=x.device),
        }

    @torch.no_grad()
    def _renew(self, units: Tensor) -> int:
        """Renew units, by number; how many they were."""
        if not len(units):
            return 0
        chosen = torch.randperm(len(self.data.train))[: self.rows].sort().values
        x = self.data.scaled(self.data.train.x[chosen].to(self.device)).to(self.dtype)
        goal = x if self.data.targets is None else self.data.wanted.scaled(self.data.targets.train.x[chosen].to(x))
        with evaluating(self.model):
            errors = [
                (self.model(block).reconstruction - wanted).square().flatten(1).sum(1)
                for block, wanted in zip(torch.split(x, EVAL_BATCH), torch.split(goal, EVAL_BATCH), strict=True)
            ]
        odds = torch.cat(errors).double().square()
        drawn = torch.multinomial(odds if bool(odds.any()) else odds + 1, len(units), replacement=True)
        for weight, place in cast(Renewable, self.model).renew(units, x[drawn]):
            self._forget(weight, place)
        self.off[units] = 0
        return len(units)

    def _forget(self, weight: nn.Parameter, place: tuple[slice | Tensor, ...]) -> None:
        """Let the optimizer know nothing of a part of a weight."""
        for value in self.optimizer.state.get(weight, {}).values():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                value[place] = 0
