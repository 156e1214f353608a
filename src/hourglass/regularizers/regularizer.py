"""The contract of a regularizer, and any number of them by name."""

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from hourglass.losses import Loss, Term
from hourglass.models import Autoencoder, Output
from hourglass.system.checks import check_level
from hourglass.system.errors import HourglassError
from hourglass.system.modes import evaluating

__all__ = [
    "Comparing",
    "Disturbing",
    "Noted",
    "Penalties",
    "Penalty",
    "PullsToPrior",
    "Regularizer",
    "Reweighing",
    "Scored",
]


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


@runtime_checkable
class Comparing(Protocol):
    """A regularizer that compares reconstructions of its own with the target.

    Its `x` is the target (B, *target shape), NaN where an entry is missing; every other's is the clean input.
    """

    def compare_by(self, loss: Loss) -> None:
        """Called once, before training, with the reconstruction loss."""


@runtime_checkable
class Reweighing(Protocol):
    """A regularizer that changes the weights of other terms of the loss."""

    def choose(self, names: Iterable[str]) -> None:
        """Called once, before training, with the names of the terms that have a weight.

        Raise ValueError if there is none that it could change.
        """

    def reweigh(self, terms: Mapping[str, Term], output: Output) -> dict[str, Term]:
        """All terms by name as the bottleneck and the regularizers have them to those that are added up."""


@runtime_checkable
class Scored(Protocol):
    """A regularizer that measures something besides its term."""

    def scores(self, model: Autoencoder, x: Tensor, output: Output) -> dict[str, Tensor]:
        """Means over the samples by name, of the code in use; x as in `Regularizer.forward`."""


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
        self.disturbing = [name for name, each in regularizers.items() if isinstance(each, Disturbing)]
        """Names of those that disturb the code."""

    def attach(self, model: Autoencoder, *, batch_size: int, loss: Loss | None = None) -> None:
        """Attach each to the model; raises HourglassError if one doesn't suit the model's code."""
        for name, regularizer in self._named():
            try:
                regularizer.attach(model, batch_size=batch_size)
                if isinstance(regularizer, Reweighing):
                    regularizer.choose(self._weighted(model))
                if isinstance(regularizer, Comparing) and loss is not None:
                    regularizer.compare_by(loss)
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

    def forward(
        self, model: Autoencoder, x: Tensor, output: Output, *, target: Tensor | None = None
    ) -> dict[str, Term]:
        """The terms by name; x is the clean input (B, *shape), target what is reconstructed, if that is another."""
        terms = {name: each(model, self._seen(each, x, target), output) for name, each in self._named()}
        return {name: term for name, term in terms.items() if term is not None}

    def reweigh(self, terms: Mapping[str, Term], output: Output) -> dict[str, Term]:
        """All terms of a loss by name to those that are added up, by the regularizers that change weights."""
        found = dict(terms)
        for _, each in self._named():
            if isinstance(each, Reweighing):
                found = each.reweigh(found, output)
        return found

    def scores(self, model: Autoencoder, x: Tensor, output: Output, *, target: Tensor) -> dict[str, Tensor]:
        """What they measure besides, means over the samples by name; of the code in use, arguments as above."""
        found: dict[str, Tensor] = {}
        for _, each in self._named():
            if isinstance(each, Scored):
                found |= each.scores(model, self._seen(each, x, target), output)
        return found

    def disturb(self, code: Tensor) -> Tensor:
        """Codes (B, code_size) of a training step to those that the decoder sees; the same if nothing disturbs them."""
        for name in self.disturbing:
            code = cast(Disturbing, self.regularizers[name]).disturb(code)
        return code

    def prior(self, model: Autoencoder, count: int) -> Tensor | None:
        """Codes (count, code_size) from the first prior that a regularizer pulls the code to; None without one."""
        pulling = (each for _, each in self._named() if isinstance(each, PullsToPrior))
        return next((each.prior(model, count) for each in pulling), None)

    @staticmethod
    def _seen(regularizer: Regularizer, x: Tensor, target: Tensor | None) -> Tensor:
        """What a regularizer is given as its x."""
        return x if target is None or not isinstance(regularizer, Comparing) else target

    def _weighted(self, model: Autoencoder) -> list[str]:
        """Names of the terms that have a weight: those of the bottleneck and of the penalties."""
        neck = model.bottleneck
        with evaluating(neck), torch.no_grad():
            own: dict[str, Term] = neck(neck.active.new_zeros(1, neck.inputs)).losses
        penalties = [name for name, each in self._named() if isinstance(each, Penalty)]
        return [*(name for name, term in own.items() if term.weight is not None), *penalties]

    def _named(self) -> Iterable[tuple[str, Regularizer]]:
        return self.regularizers.items()  # type: ignore[return-value]
