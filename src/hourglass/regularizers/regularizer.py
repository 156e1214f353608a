"""The contract of a regularizer, and any number of them by name."""

import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from hourglass.losses import Term
from hourglass.models import Autoencoder, Output
from hourglass.system.checks import check_level
from hourglass.system.errors import HourglassError

__all__ = ["Disturbing", "Noted", "Penalties", "Penalty", "PullsToPrior", "Regularizer"]


class Regularizer(nn.Module):
    """One regularizer: it adds a term to the loss, or disturbs the code while the model trains, or both."""

    mixes_samples = False
    """Whether its term is another than the mean over the samples of a batch, each by itself."""

    @property
    def settled(self) -> bool:
        """Whether its term has become what it is to be: losses of before don't compare."""
        return True

    @abstractmethod
    def attach(self, model: Autoencoder, *, batch_size: int) -> None:
        """Called once, before training, with the model and the samples of a training batch.

        Raise ValueError if the model's code doesn't suit.
        """

    @abstractmethod
    def forward(self, model: Autoencoder, x: Tensor, output: Output) -> Term | None:
        """The term, or None for a regularizer that adds none; x is the clean input (B, *shape)."""


class Penalty(Regularizer):
    """One penalty: a weight times a non-negative scalar.

    Args:
        weight: lambda, at least 0.
    """

    weight: Tensor
    code_range: tuple[float, float] = (-math.inf, math.inf)
    """The interval that the code must keep to for the penalty to make sense."""
    signed = False
    """Whether it is an estimate, which may come out below 0."""

    def __init__(self, *, weight: float) -> None:
        super().__init__()
        check_level("weight", weight)
        self.register_buffer("weight", torch.tensor(weight), persistent=False)

    def extra_repr(self) -> str:
        """The settings."""
        return f"weight={self.weight.item():g}"

    def attach(self, model: Autoencoder, *, batch_size: int) -> None:
        """See `Regularizer.attach`: compares the code's range with `code_range`."""
        self.batch_size = batch_size
        (low, high), (code_low, code_high) = self.code_range, model.bottleneck.code_range
        if code_low < low or code_high > high:
            raise ValueError(
                f"needs a code in [{low:g}, {high:g}], but the model's code lies in"
                f" [{code_low:g}, {code_high:g}]; set model.bottleneck.activation=sigmoid"
            )

    def forward(self, model: Autoencoder, x: Tensor, output: Output) -> Term:
        """The penalty and its weight; x is the clean input (B, *shape)."""
        return Term(self.penalty(model, x, output), self.weight)

    @abstractmethod
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        """The penalty before weighting, a scalar."""


@runtime_checkable
class Disturbing(Protocol):
    """A regularizer that disturbs the code while the model trains."""

    def disturb(self, code: Tensor) -> Tensor:
        """Codes (B, code_size) as the bottleneck makes them to those that the decoder sees."""


@runtime_checkable
class Noted(Protocol):
    """A regularizer that with some models does something else than one expects of it."""

    def note(self, model: Autoencoder) -> str | None:
        """What a person should know of it with this model, in one line; None for nothing."""


@runtime_checkable
class PullsToPrior(Protocol):
    """A regularizer that pulls the code to a prior."""

    def prior(self, model: Autoencoder, count: int) -> Tensor:
        """Codes (count, code_size) drawn from the prior; inactive units are 0."""


class Penalties(nn.Module):
    """Any number of regularizers, by name.

    Args:
        regularizers: the regularizers by the name under which the term of each is logged.

    Example:
        >>> from hourglass.regularizers import L1, Dropout
        >>> Penalties(l1=L1(weight=0.001, reduction="sample"), dropout=Dropout(share=0.2))
        Penalties(
          (regularizers): ModuleDict(
            (l1): L1(weight=0.001, reduction=sample)
            (dropout): Dropout(share=0.2)
          )
        )
    """

    def __init__(self, **regularizers: Regularizer) -> None:
        super().__init__()
        self.regularizers = nn.ModuleDict(regularizers)
        self._disturbing = [name for name, each in regularizers.items() if isinstance(each, Disturbing)]

    def attach(self, model: Autoencoder, *, batch_size: int) -> None:
        """Attach each to the model; raises HourglassError if one doesn't suit the model's code."""
        for name, regularizer in self._named():
            try:
                regularizer.attach(model, batch_size=batch_size)
            except ValueError as error:
                raise HourglassError(f"regularizer {name} {error}") from error

    def batches_of(self, size: int) -> None:
        """Let them be trained by batches of another size than was said when they were attached."""
        for _, regularizer in self._named():
            if isinstance(regularizer, Penalty):
                regularizer.batch_size = size

    @property
    def settled(self) -> bool:
        """Whether all terms have become what they are to be."""
        return all(regularizer.settled for _, regularizer in self._named())

    def notes(self, model: Autoencoder) -> list[str]:
        """What a person should know of them with this model, a line each."""
        notes = ((name, each.note(model)) for name, each in self._named() if isinstance(each, Noted))
        return [f"regularizer {name}: {note}" for name, note in notes if note is not None]

    def forward(self, model: Autoencoder, x: Tensor, output: Output) -> dict[str, Term]:
        """The terms by name; x is the clean input (B, *shape)."""
        terms = {name: regularizer(model, x, output) for name, regularizer in self._named()}
        return {name: term for name, term in terms.items() if term is not None}

    def disturb(self, code: Tensor) -> Tensor:
        """Codes (B, code_size) of a training step to those that the decoder sees; the same if nothing disturbs them."""
        for name in self._disturbing:
            code = cast(Disturbing, self.regularizers[name]).disturb(code)
        return code

    def prior(self, model: Autoencoder, count: int) -> Tensor | None:
        """Codes (count, code_size) from the first prior that a regularizer pulls the code to; None without one."""
        pulling = (each for _, each in self._named() if isinstance(each, PullsToPrior))
        return next((each.prior(model, count) for each in pulling), None)

    def _named(self) -> Iterable[tuple[str, Regularizer]]:
        return self.regularizers.items()  # type: ignore[return-value]
