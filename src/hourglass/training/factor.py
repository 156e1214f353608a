"""A discriminator that measures how much the units of a code depend on each other: FactorVAE.

The code z of a sample has the joint distribution q(z); with each unit taken from another sample of the batch it has
prod_j q(z_j), in which the units are independent. A discriminator D that tells the first from the second knows the
ratio of the two, and so the total correlation of the code:

    autoencoder:    reconstruction + kl + ... + weight mean(log D(z) - log(1 - D(z)))
    discriminator:  1/2 mean(-log D(z)) + 1/2 mean(-log(1 - D(z')))
"""

from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.bottlenecks import HasDensity
from hourglass.losses import Term
from hourglass.models import Output
from hourglass.training.discriminated import Discriminated, DiscriminatedArguments, Judged
from hourglass.training.head import Head

__all__ = ["Factor", "permuted"]


class Factor(Discriminated):
    """Trains a variational autoencoder whose units are to be independent by what a discriminator says of them.

    The term `dependence` is the discriminator's estimate of KL(q(z), prod_j q(z_j)) in nats; the reference takes the
    permuted codes from a second batch, here they are of the same one.

    Reference: Disentangling by factorising (Kim & Mnih, 2018).

    Arguments: `Discriminated`; `weight` is gamma, there 10 to 40.

    Raises:
        ValueError: a code that is not drawn from a density; a number out of its range.

    Example:
        >>> from hourglass.pipeline.compose import compose
        >>> from hourglass.configuration.composition import compose_config
        >>> words = ["data=digits", "bottleneck=gaussian", "training=factor", "training.discriminator_widths=[4]"]
        >>> config, _ = compose_config([*words, "model.code_size=8"])
        >>> learner = compose(config).learner
        >>> learner.discriminator
        Head(
          (0): Linear(in_features=8, out_features=4, bias=True)
          (1): ReLU()
          (2): Linear(in_features=4, out_features=1, bias=True)
        )
    """

    mixes_samples = True
    contested = ("dependence",)

    def __init__(self, **shared: Unpack[DiscriminatedArguments]) -> None:
        super().__init__(**shared)
        if not isinstance(self.model.bottleneck, HasDensity):
            raise ValueError("independence is asked of a code that is drawn from a density; set bottleneck=gaussian")

    def make_discriminator(self, widths: Sequence[int]) -> nn.Module:
        """See `Discriminated.make_discriminator`: on the code."""
        return Head(sizes=[self.model.code_size, *widths, 1])

    def terms_of(self, output: Output, x: Tensor, y: Tensor | None) -> dict[str, Term]:
        """See `Learner.terms_of`; `dependence` is the mean of log D / (1 - D) of the codes."""
        return {**super().terms_of(output, x, y), "dependence": Term(self.logit(output.code).mean(), self.weight)}

    @override
    def judged(self, output: Output, x: Tensor) -> Judged:
        """The codes, and as many with each unit of another sample."""
        return Judged(self.logit(output.code), self.logit(permuted(output.code)))


def permuted(code: Tensor) -> Tensor:
    """Codes (B, n) with the samples of each unit in an order of its own."""
    return code.gather(0, torch.rand(code.shape, device=code.device).argsort(dim=0))
