"""Training against a discriminator: a second network learns to tell two kinds of things apart.

A discriminator D gives the probability that what it sees is of the first kind, a; the autoencoder makes the second, b:

    discriminator:  1/2 mean(-log D(a)) + 1/2 mean(-log(1 - D(b)))
    autoencoder:    its own terms, and one by which D mistakes b for a

Where neither gains on the other D is 1/2 everywhere, both means are log 2 = 0.693 and the accuracy is 1/2. What a and b
are, and the autoencoder's term, distinguish the procedures: codes and draws of a prior (`Adversarial`), codes and their
mixtures (`Factor`), samples and reconstructions (`AdversarialReconstruction`, `VAEGAN`).
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hourglass.losses import Term, logged, total
from hourglass.models import Output
from hourglass.system.checks import check_level, check_widths
from hourglass.system.precision import wide
from hourglass.training.minibatch import Minibatch, MinibatchArguments

__all__ = ["Discriminated", "DiscriminatedArguments", "Judged"]


class Judged(NamedTuple):
    """What the discriminator says, log D / (1 - D)."""

    first: Tensor
    """(n,): of the things whose kind it should tell by values above 0."""
    second: Tensor
    """(m,): of the others."""


class DiscriminatedArguments(MinibatchArguments):
    """The arguments of `Discriminated`, which a procedure with more of its own takes as `**shared: Unpack[...]`."""

    weight: float
    discriminator_widths: Sequence[int]
    discriminator_lr: float


class Discriminated(Minibatch):
    """Trains an autoencoder and, in turn, a discriminator.

    Each step is one of the autoencoder, down all of its terms together, then one of the discriminator, with an
    optimizer of its own. `discriminator` and `discriminator_accuracy` are logged beside the loss and are no part of it.

    Args:
        weight: of the autoencoder's part of the contest, at least 0.
        discriminator_widths: hidden layers of the discriminator, at least 1 each.
        discriminator_lr: its learning rate, at least 0; schedules apply to it too.

    The other arguments and errors: `Minibatch`.

    Raises:
        ValueError: a number out of its range.
    """

    # Not by the loss: the discriminator that a part of it is measured by changes from epoch to epoch.
    monitor = "loss_uncontested"
    contested: tuple[str, ...] = ("adversarial",)
    """The terms of the loss that go by what the discriminator says."""
    weight: Tensor

    def __init__(
        self,
        *,
        weight: float,
        discriminator_widths: Sequence[int],
        discriminator_lr: float,
        **shared: Unpack[MinibatchArguments],
    ) -> None:
        super().__init__(**shared)
        check_level("weight", weight)
        check_level("discriminator_lr", discriminator_lr)
        check_widths("discriminator_widths", discriminator_widths)
        self.register_buffer("weight", torch.tensor(weight), persistent=False)
        self.discriminator = self.make_discriminator(discriminator_widths)
        self.discriminator_optimizer = self.make_optimizer(
            params=list(self.discriminator.parameters()), lr=discriminator_lr
        )

    @abstractmethod
    def make_discriminator(self, widths: Sequence[int]) -> nn.Module:
        """The network, with hidden layers of these widths: things (n, ...) to log D / (1 - D), (n, 1)."""

    @abstractmethod
    def judged(self, output: Output, x: Tensor) -> Judged:
        """What the discriminator says of both kinds, for an output of the model and its target (B, *shape)."""

    @override
    def uncontested(self, terms: Mapping[str, Term]) -> dict[str, Tensor]:
        """See `Learner.uncontested`; the reconstruction counts whole, whatever its own weight against the contest."""
        kept = {name: term for name, term in terms.items() if name not in self.contested}
        return {self.monitor: total({**kept, "reconstruction": Term(terms["reconstruction"].value)})}

    @override
    def scores(self, output: Output, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """The discriminator's loss, and the share that it tells right, each kind by itself."""
        first, second = self.judged(output, x)
        return {
            "discriminator": (F.softplus(-first).mean() + F.softplus(second).mean()) / 2,
            "discriminator_accuracy": ((first > 0).float().mean() + (second <= 0).float().mean()) / 2,
        }

    @override
    def step(self, x: Tensor, corrupted: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        output, terms = self.terms(x, corrupted, y)
        self.descend(total(terms), self.optimizer)
        held = output._replace(
            reconstruction=output.reconstruction.detach(), code=output.code.detach(), encoded=output.encoded.detach()
        )
        scores = self.scores(held, x, y)
        self.descend(scores["discriminator"], self.discriminator_optimizer)
        return {name: value.detach() for name, value in {**logged(terms), **scores}.items()}

    def optimizers_used(self) -> list[torch.optim.Optimizer]:
        """The autoencoder's and the discriminator's."""
        return [self.optimizer, self.discriminator_optimizer]

    def auxiliary_networks(self) -> dict[str, nn.Module]:
        """The discriminator."""
        return {**super().auxiliary_networks(), "discriminator": self.discriminator}

    def logit(self, things: Tensor) -> Tensor:
        """Things (n, ...) to log D / (1 - D), (n,), in 32 bits or more."""
        return wide(self.discriminator(things).squeeze(1))
