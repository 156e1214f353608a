"""A code with as many units on as one wishes: the weight of what makes it sparse follows its L0.

    L0_t    = 1/B sum_b |{j: h_bj is on}|,    of the batch of step t
    e_t     = log(L0_t / target),    s_t its running mean, over some 50 steps
    c_t+1   = c_t exp(rate d_t),    d_t = e_t + ahead (e_t - s_t) / 50, from -1 to 1

An integral controller that looks ahead: e - s is what e has changed by in 50 steps, so that d is the error to come.
Without it the weight goes on rising until L0 is reached, and L0 falls far below; units that have died by then come back
slowly, or not. Where c has come to rest L0 is the target whatever the data, the net and the penalty are: types can be
compared at an equal L0.

A weight that falls brings units back slowly, by the reconstruction alone. Where a code has thresholds, as JumpReLU,
c can multiply those in place of a weight (`term="thresholds"`): L0 then follows at once.
"""

import math
from collections.abc import Iterable, Mapping
from typing import cast

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks import HasThresholds
from hourglass.losses import Term
from hourglass.models import Autoencoder, Output
from hourglass.regularizers.regularizer import Regularizer
from hourglass.system.checks import check_above, check_whole

__all__ = ["TargetL0"]

SHARE = 1 / 50
"""Of the running mean that a step is."""
THRESHOLDS = "thresholds"
SPARSE = ("l1", "lp", "kl_sparsity", "l0", "gate")
"""Terms that make a code sparse: of the penalties, of JumpReLU, of the gated code."""


class TargetL0(Regularizer):
    """Changes the weight of another term while training, until as many units are on for a sample as one wishes.

    When a unit is on is a property of the code (`hourglass.bottlenecks.activity`). The weight that the term was given
    is where it begins. `l0_factor` tells what it was multiplied with, the term's `..._weighted` what it adds. Losses
    of different epochs don't compare while a weight moves, so that the last weights are kept.

    Args:
        l0: the target, above 0.
        term: the name of the term whose weight it changes; null: the one of l1, lp, kl_sparsity, l0 (of JumpReLU) and
            gate (of a gated code) that there is; thresholds: of JumpReLU, all thresholds in place of a weight.
        rate: what log c changes by in a training step, at most, above 0.
        ahead: training steps that it looks ahead, at least 0.

    Raises:
        ValueError: a number out of its range; a code whose units are never off; a term that isn't there, or none, or
            more than one to choose from.

    Example:
        >>> TargetL0(l0=16.0, term=None, rate=0.01, ahead=100)
        TargetL0(l0=16, rate=0.01, ahead=100)
    """

    mixes_samples = True
    l0: Tensor
    rate: Tensor
    ahead: Tensor
    log_factor: Tensor
    slow: Tensor

    def __init__(self, *, l0: float = 16.0, term: str | None = None, rate: float = 0.01, ahead: int = 100) -> None:
        super().__init__()
        check_above("l0", l0)
        check_above("rate", rate)
        check_whole("ahead", ahead, lowest=0)
        self.term = term
        for key, value in (("l0", l0), ("rate", rate), ("ahead", ahead)):
            self.register_buffer(key, torch.tensor(float(value)), persistent=False)
        self.register_buffer("log_factor", torch.tensor(0.0))  # log c
        self.register_buffer("slow", torch.tensor(math.nan))  # no step has been made

    def extra_repr(self) -> str:
        """The settings."""
        return ", ".join(f"{key}={getattr(self, key).item():g}" for key in ("l0", "rate", "ahead"))

    @property
    @override
    def settled(self) -> bool:
        """See `Regularizer.settled`: never, the weight goes on following."""
        return False

    @override
    def attach(self, model: Autoencoder, *, batch_size: int) -> None:
        """See `Regularizer.attach`: refuses a code whose units are never off."""
        self._necks = (model.bottleneck,)  # no module of this one
        self._activity = model.bottleneck.activity()
        if not self._activity.switches:
            raise ValueError("needs a code whose units can be off, but the model's vary for all: set bottleneck=relu")

    def note(self, model: Autoencoder) -> str | None:
        """See `Noted.note`: no weight puts on more units than there are."""
        if self.l0 < model.code_size:
            return None
        return f"l0={self.l0.item():g} of {model.code_size} units is no sparse code, and no weight brings it about"

    def choose(self, names: Iterable[str]) -> None:
        """See `Reweighing.choose`."""
        there = list(names)
        if self.term == THRESHOLDS:
            if not isinstance(self._necks[0], HasThresholds):
                raise ValueError("needs a code with thresholds for term=thresholds: set bottleneck=jump_relu")
            self._chosen = THRESHOLDS  # no term's name
            return
        if self.term is not None and self.term not in there:
            raise ValueError(f"needs a term={self.term} with a weight; choose one of {', '.join(there) or 'none'}")
        found = [name for name in there if name in SPARSE]
        if self.term is None and len(found) != 1:
            raise ValueError(
                f"needs a term that makes the code sparse, and there are {', '.join(found)}; set term to one of them"
                if found
                else "needs a term that makes the code sparse beside it; choose one, as regularizer=[l1,target_l0]"
            )
        self._chosen = self.term or found[0]

    @override
    def forward(self, model: Autoencoder, x: Tensor, output: Output) -> None:
        """None: it adds no term of its own."""

    def reweigh(self, terms: Mapping[str, Term], output: Output) -> dict[str, Term]:
        """See `Reweighing.reweigh`; in training mode the next step has the next c."""
        factor = self.log_factor.exp()
        if self.training:
            with torch.no_grad():
                on = self._activity.mask(output.code).sum(dim=1, dtype=self.l0.dtype).mean()
                error = (on / self.l0).clamp(min=1e-3).log()
                slow = torch.where(self.slow.isnan(), error, self.slow)
                to_come = error + self.ahead * SHARE * (error - slow)
                self.slow.copy_(slow.lerp(error, SHARE))
                change = self.rate * to_come.clamp(-1, 1)
                self.log_factor.add_(change)
                if self.term == THRESHOLDS:
                    cast(HasThresholds, self._necks[0]).shift.add_(change)
        if self._chosen not in terms:  # thresholds, or another loss in their place
            return dict(terms)
        term = terms[self._chosen]
        weight = 1.0 if term.weight is None else term.weight
        return {**terms, self._chosen: term._replace(weight=weight * factor)}

    def scores(self, model: Autoencoder, x: Tensor, output: Output) -> dict[str, Tensor]:  # noqa: ARG002
        """See `Scored`: `l0_factor`, c."""
        return {"l0_factor": self.log_factor.exp()}
