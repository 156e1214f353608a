"""The contract of a bottleneck: encoder outputs in, code and loss terms out."""

import math
from abc import abstractmethod
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from hourglass.bottlenecks.activity import Activity, HalfRange, Varying
from hourglass.losses import Term
from hourglass.system.checks import check_whole

__all__ = [
    "Bottled",
    "Bottleneck",
    "Draws",
    "HasAuxiliary",
    "HasDensity",
    "HasPosterior",
    "HasPrior",
    "HasRate",
    "HasSymbolDraws",
    "Refining",
    "Symbolic",
    "count_idle",
]


class Bottled(NamedTuple):
    """What a bottleneck returns."""

    code: Tensor
    """(B, code_size): the code."""
    losses: dict[str, Term]
    """Loss terms of the bottleneck itself by name."""


class Draws(NamedTuple):
    """Codes drawn from a posterior q(z | x), with what a bound on the likelihood needs to know of them."""

    code: Tensor
    """(count, B, code_size): the codes."""
    log_prior: Tensor
    """(count, B): log p(z), in nats."""
    log_posterior: Tensor
    """(count, B): log q(z | x), in nats."""


class Bottleneck(nn.Module):
    """Turns encoder outputs (B, inputs) into a code (B, code_size).

    Args:
        code_size: number of code units, at least 1.
        inputs: number of values it needs from the encoder for all code units together: one for each unit, or blocks of
            one for each, as [means | log variances].
        code_range: closed interval that holds every code value; penalties and decoders rely on it.
    """

    active: Tensor
    """(code_size,): 1 for a unit in use, 0 for one that only pads a stack of models of different sizes."""

    idle: Tensor | None
    """(code_size,): training steps since each unit was last on; None where the bottleneck doesn't count them."""

    differs = False
    """Whether the code of a training step is another than the one in use: drawn, or selected otherwise."""

    mixes_samples = False
    """Whether the code of a sample, or what is learned from it, depends on the others of a training batch."""

    per_sample = False
    """Whether its loss terms are in nats per sample, so that the reconstruction loss has to be too."""

    def __init__(self, *, code_size: int, inputs: int, code_range: tuple[float, float]) -> None:
        super().__init__()
        check_whole("code_size", code_size, lowest=1)
        self.code_size = code_size
        self.inputs = inputs
        self.code_range = code_range
        self.register_buffer("active", torch.ones(code_size), persistent=False)
        self.register_buffer("idle", None)

    def extra_repr(self) -> str:
        """The settings."""
        return f"code_size={self.code_size}"

    @abstractmethod
    def forward(self, a: Tensor) -> Bottled:
        """Encoder outputs (B, inputs) to `Bottled`: while training the code of a step, otherwise the one in use."""

    def as_trained(self, a: Tensor) -> Bottled:
        """Encoder outputs (B, inputs) to the code and the terms of a training step, which counts and moves nothing.

        What validation and test compare with the training: a bound on the likelihood holds for codes that are drawn,
        not for their mean. Where the code `differs` this must be overridden.
        """
        bottled: Bottled = self(a)
        return bottled

    def sampled(self, a: Tensor) -> Tensor:
        """Encoder outputs (B, inputs) to codes (B, code_size) of the kind that `prior` draws, to be compared with it.

        Those of a training step, as far as training doesn't soften them.
        """
        return self.as_trained(a).code

    @property
    def asks_encoder(self) -> bool:
        """Whether it passes samples of its own through the encoder, of which nothing else is known."""
        return False

    def attach(self, *, encoder: nn.Module, shape: tuple[int, ...]) -> None:
        """Take notice of the model around it: nothing, as a rule.

        Called once, when the model has been put together. What keeps the encoder must not register it, since it is the
        model's: a tuple holds it unseen.

        Args:
            encoder: maps samples to what the bottleneck takes.
            shape: shape of one sample.

        Raises:
            ValueError: it can't work there.
        """

    def begin(self, x: Tensor) -> None:
        """Set what depends on the training samples (N, *shape), as a data set stores them: nothing, as a rule.

        Called before a training of new weights, after `Autoencoder.begin`.

        """

    @property
    def settled(self) -> bool:
        """Whether the weights of its terms have reached what they are to be: losses of before don't compare."""
        return True

    @abstractmethod
    def slope(self, a: Tensor) -> Tensor | None:
        """Derivative of each code unit by its own encoder output, (B, inputs) to (B, code_size).

        None where the bottleneck isn't elementwise. It is what gives the contractive penalty its closed form.
        """

    @property
    def is_elementwise(self) -> bool:
        """Whether each code unit is a function of its own encoder output alone, so that it has a slope."""
        return self.slope(self.active.new_zeros(1, self.inputs)) is not None

    def activity(self) -> Activity:
        """What counts when units of this code are on; of active units only (see `hourglass.bottlenecks.activity`).

        By the range of the code, if nothing else is known: a bounded unit against its own range, any other by its
        variance.
        """
        low, high = self.code_range
        return HalfRange(width=high - low) if math.isfinite(high - low) else Varying(least=None)


@runtime_checkable
class HasPrior(Protocol):
    """A bottleneck whose code has a prior that training brings it to."""

    def prior(self, count: int) -> Tensor:
        """Codes (count, code_size) drawn from the prior; inactive units are 0."""


@runtime_checkable
class HasQuantiles(Protocol):
    """A bottleneck whose prior may be the same for all units, and have its quantiles by a formula."""

    def prior_quantiles(self, shares: Tensor) -> Tensor | None:
        """Shares (n,) from 0 to 1 to the values (n,) that a unit stays below with that probability.

        None where there is no formula.
        """


@runtime_checkable
class HasPosterior(Protocol):
    """A bottleneck whose code is drawn from a normal distribution for each input."""

    def posterior(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Encoder outputs (B, inputs) to its mean and log variance, each (B, code_size)."""


@runtime_checkable
class HasDensity(Protocol):
    """A bottleneck whose draws have densities, so that they bound the likelihood."""

    def draws(self, a: Tensor, count: int) -> Draws:
        """`count` codes for each of the encoder outputs (B, inputs)."""


@runtime_checkable
class HasSymbolDraws(Protocol):
    """A bottleneck that draws symbols whose probabilities it knows: they bound the likelihood, and pass no gradient."""

    def symbol_draws(self, a: Tensor, count: int) -> Draws:
        """`count` codes for each of the encoder outputs (B, inputs), with logarithms of probabilities as densities."""


@runtime_checkable
class HasRate(Protocol):
    """A bottleneck whose code is compared with a prior, input by input."""

    def rates(self, a: Tensor) -> Tensor:
        """Encoder outputs (B, inputs) to the divergence KL(q(z | x), p(z)) in nats, (B, units).

        Of each unit, or of each group that is drawn as one.

        """


@runtime_checkable
class HasThresholds(Protocol):
    """A bottleneck whose units are on above thresholds, which others can raise and lower together."""

    shift: Tensor
    """What is added to the logarithm of each threshold, a scalar buffer."""


@runtime_checkable
class HasAuxiliary(Protocol):
    """A bottleneck that learns from what other codes than its own reconstruct."""

    def auxiliary(self, a: Tensor) -> dict[str, Tensor]:
        """Encoder outputs (B, inputs) to further codes (B, code_size) by name.

        The reconstruction loss of each is a term of that name. The decoder learns nothing of it.

        """


@runtime_checkable
class Symbolic(Protocol):
    """A bottleneck whose code is made of symbols, one for each of its parts."""

    def choices(self, a: Tensor) -> Tensor:
        """Encoder outputs (B, inputs) to the numbers (B, parts) of the symbols that make the code in use.

        The parts in the order of the code units that they are of; those of inactive units too, where they say nothing.
        """

    def symbols(self, a: Tensor) -> Tensor:
        """How often each symbol stands in the codes in use, of encoder outputs (B, inputs).

        (groups, K), one group for a codebook that all parts of the code share; groups of inactive units are left out.
        """


@runtime_checkable
class Spelled(Protocol):
    """A code of symbols that can be put together of their numbers."""

    def of_choices(self, choices: Tensor) -> Tensor:
        """Numbers (B, parts) of symbols, as `Symbolic.choices` has them, to the codes (B, code_size) in use.

        It undoes `choices`: what a model makes of a sample's symbols is what it makes of its code.

        """


@runtime_checkable
class Refining(Protocol):
    """A bottleneck whose code is put together in steps, each nearer to what the encoder put out."""

    def refined(self, a: Tensor) -> dict[str, Tensor]:
        """Encoder outputs (B, inputs) to the codes (B, code_size) after each step by name, the last that in use."""


@torch.no_grad()
def count_idle(idle: Tensor, code: Tensor, active: Tensor) -> None:
    """One more step for the active units that are zero in all codes (B, code_size) of a training step, 0 for others."""
    on = (code != 0).any(dim=0) | (active == 0)
    idle.copy_(torch.where(on, 0, idle + 1))
