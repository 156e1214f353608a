"""A penalty on the activity of the code that comes ever closer to counting the units that are on.

    P = 1/B sum_b sum_j (|h_bj| + e)^p - e^p,    e = .001,    p from 1 down

With p = 1 it is L1, which shrinks every unit that it doesn't silence; towards p = 0 it is their number, which has no
gradient to begin with. e keeps the gradient finite at 0.
"""

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.losses import Term
from hourglass.models import Autoencoder, Output
from hourglass.regularizers.regularizer import Penalty
from hourglass.system.checks import check_whole

__all__ = ["Lp"]

EPS = 1e-3
"""e, small beside activities of samples with E|u|^2 = 1."""


class Lp(Penalty):
    """p-annealing: p stays 1, falls linearly to `end`, and stays there.

    As p falls the weight follows, so that the batch's weighted penalty is the same before and after each change:
    lambda <- lambda P_p / P_p'. `lp` is P with the present p, `lp_weighted` shows what became of the weight.

    Reference: Measuring progress in dictionary learning for language model interpretability with board game models
    (Karvonen et al., 2024).

    Args:
        weight: lambda at the start.
        end: p at the end, above 0 and at most 1.
        after: training steps with p = 1, at least 0.
        over: training steps over which p falls, at least 1.

    Raises:
        ValueError: a number out of its range.

    Example:
        >>> Lp(weight=0.001, end=0.2, after=100, over=1000)
        Lp(weight=0.001, end=0.2, after=100, over=1000)
    """

    mixes_samples = True  # the weight goes by the batch
    end: Tensor
    after: Tensor
    over: Tensor
    steps: Tensor
    factor: Tensor

    def __init__(self, *, weight: float = 1e-4, end: float = 0.2, after: int = 100, over: int = 1000) -> None:
        super().__init__(weight=weight)
        if not 0 < end <= 1:
            raise ValueError(f"end must be above 0 and at most 1, got {end}")
        check_whole("after", after, lowest=0)
        check_whole("over", over, lowest=1)
        for key, value in (("end", end), ("after", after), ("over", over)):
            self.register_buffer(key, torch.tensor(float(value)), persistent=False)
        self.register_buffer("steps", torch.tensor(0.0))
        self.register_buffer("factor", torch.tensor(1.0))

    def extra_repr(self) -> str:
        """The settings."""
        settings = ", ".join(f"{key}={getattr(self, key).item():g}" for key in ("end", "after", "over"))
        return f"{super().extra_repr()}, {settings}"

    @property
    @override
    def settled(self) -> bool:
        """See `Regularizer.settled`: once p has come to its end."""
        return bool(self.steps >= self.after + self.over)

    @property
    def power(self) -> Tensor:
        """The present p."""
        fallen = ((self.steps - self.after) / self.over).clamp(0, 1)
        return 1 - (1 - self.end) * fallen

    @override
    def forward(self, model: Autoencoder, x: Tensor, output: Output) -> Term:
        """See `Penalty.forward`; in training mode the next step has the next p."""
        term = Term(self.penalty(model, x, output), self.weight * self.factor)
        if self.training:
            with torch.no_grad():
                self.steps += 1
                following = self.penalty(model, x, output)
                ratio = torch.where(following > 0, term.value / following, 1.0)
                self.factor.copy_(self.factor * ratio)
        return term

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        p = self.power
        return ((output.code.abs() + EPS).pow(p) - EPS**p).sum(dim=1).mean()
