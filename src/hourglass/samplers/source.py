"""Where the codes of a finished run are drawn from: its sampler, else the prior that it was trained with."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from hydra.utils import get_object
from omegaconf import DictConfig
from torch import Tensor

from hourglass.bottlenecks import HasPrior, Symbolic
from hourglass.configuration.build import build
from hourglass.models import Autoencoder
from hourglass.samplers.sampler import Sampler
from hourglass.system.errors import HourglassError

__all__ = ["BringsDensity", "BringsPrior", "Source"]


@runtime_checkable
class BringsPrior(Protocol):
    """A class of training procedures that bring the code to a prior of their own, beside the bottleneck's."""

    @staticmethod
    def prior_of(settings: Mapping[str, Any], model: Autoencoder, count: int) -> Tensor:
        """Codes (count, code_size) drawn from the prior of a procedure with these settings of its constructor.

        They are what remains of it in a record.

        """


@runtime_checkable
class BringsDensity(Protocol):
    """The same with a prior whose density is known."""

    def log_prior(self, code: Tensor) -> Tensor:
        """Log p(z) in nats of codes (..., code_size), (...)."""


class Source(NamedTuple):
    """What a run says of it."""

    sampler: Sampler
    """With what it has learned."""
    config: DictConfig
    """Of the run, which was looked at (`configuration.trust`): its training and its penalties may have a prior."""

    def draw(self, model: Autoencoder, count: int, *, seed: int | None) -> Tensor:
        """Codes (count, code_size) of a model.

        Args:
            model: the run's.
            count: how many, at least 1.
            seed: the same seed, the same codes, and torch's random numbers are left alone; None: it goes on from these.

        Raises:
            HourglassError: a run that has nothing to draw from; a count or a seed that is none.
        """
        for name, value, lowest in (("count", count, 1), ("seed", seed, 0)):
            if value is not None and (type(value) is not int or not lowest <= value < 2**63):
                raise HourglassError(f"{name} must be a whole number of at least {lowest}, got {value!r}")
        with torch.random.fork_rng(enabled=seed is not None), torch.no_grad():
            if seed is not None:
                torch.manual_seed(seed)
            drawn = self._drawn(model, count)
        if drawn is None:
            fits = "autoregressive" if isinstance(model.bottleneck, Symbolic) else "mixture"
            raise HourglassError(
                f"the code has no prior to draw from: train with sampler={fits}, which fits a density to it"
            )
        return drawn

    def _drawn(self, model: Autoencoder, count: int) -> Tensor | None:
        training = self.config.training
        drawn = self.sampler.draw(model.bottleneck, count)
        if drawn is not None:
            return drawn
        procedure = get_object(training._target_)
        if isinstance(procedure, BringsPrior):
            return procedure.prior_of(training, model, count)
        if isinstance(model.bottleneck, HasPrior):
            return model.bottleneck.prior(count)
        return build(self.config.regularizer).prior(model, count)  # type: ignore[no-any-return]
