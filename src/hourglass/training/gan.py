"""A discriminator of samples: reconstructions that can't be told from originals.

A squared error has its least at the mean of all that a sample may be, which is blurred; a discriminator D of originals
and reconstructions r notices that:

    autoencoder:    reconstruction + ... + weight mean(-log D(r))
    discriminator:  1/2 mean(-log D(x)) + 1/2 mean(-log(1 - D(r)))

A VAE-GAN goes further: what its decoder makes of the prior's draws z' is judged too, and samples are compared by what
the discriminator's last hidden layer d sees in them. The encoder has no part in the contest:

    autoencoder:    pixels reconstruction + kl + ... + features mean(1/2 |d(x) - d(r)|^2)
                    + weight 1/2 (mean(-log D(g(sg(z)))) + mean(-log D(g(z'))))
    discriminator:  1/2 mean(-log D(x)) + 1/2 mean(-log(1 - D([r, g(z')])))
"""

from collections.abc import Sequence
from typing import Unpack, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hourglass.losses import Term
from hourglass.models import Output
from hourglass.system.checks import check_level
from hourglass.system.precision import wide
from hourglass.training.critic import Critic
from hourglass.training.discriminated import Discriminated, DiscriminatedArguments, Judged

__all__ = ["VAEGAN", "AdversarialReconstruction"]


class AdversarialReconstruction(Discriminated):
    """Trains an autoencoder and, in turn, a discriminator of originals and reconstructions.

    The term that image tokenizers add to their reconstruction loss; theirs judges patches and weighs itself by
    gradients, this one judges samples with a weight that stays.

    References: Autoencoding beyond pixels using a learned similarity metric (Larsen, Sonderby, Larochelle & Winther,
    2016); Taming transformers for high-resolution image synthesis (Esser, Rombach & Ommer, 2021), for the term.

    Arguments and errors: `Discriminated`.

    Example:
        >>> from hourglass.pipeline.compose import compose
        >>> from hourglass.configuration.composition import compose_config
        >>> words = ["data=digits", "training=adversarial_reconstruction", "training.discriminator_widths=[4]"]
        >>> learner = compose(compose_config(words)[0]).learner
        >>> learner.discriminator.last
        Linear(in_features=64, out_features=1, bias=True)
    """

    any_target = False

    def make_discriminator(self, widths: Sequence[int]) -> nn.Module:
        """See `Discriminated.make_discriminator`: on samples."""
        return Critic(shape=self.model.shape, widths=widths)

    def terms_of(self, output: Output, x: Tensor, y: Tensor | None) -> dict[str, Term]:
        """See `Learner.terms_of`; `adversarial` is mean(-log D(r))."""
        adversarial = Term(F.softplus(-self.logit(output.reconstruction)).mean(), self.weight)
        return {**super().terms_of(output, x, y), "adversarial": adversarial}

    @override
    def judged(self, output: Output, x: Tensor) -> Judged:
        """The originals, and their reconstructions."""
        return Judged(self.logit(x), self.logit(output.reconstruction))


class VAEGAN(Discriminated):
    """Trains a variational autoencoder whose likeness of samples is learned by a discriminator.

    Reference: Autoencoding beyond pixels using a learned similarity metric (Larsen, Sonderby, Larochelle & Winther,
    2016). Its discriminator has batch normalisation, here it has none; its gamma weighs the features against the
    contest for the decoder, here `weight` is of the contest.

    Args:
        features: weight of the difference in features, at least 0.
        pixels: weight of the reconstruction loss, at least 0; in the reference 0: features alone.

    The other arguments and errors: `Discriminated`.

    Raises:
        ValueError: a code without a prior to draw from.

    Example:
        >>> from hourglass.pipeline.compose import compose
        >>> from hourglass.configuration.composition import compose_config
        >>> words = ["data=digits", "bottleneck=gaussian", "training=vae_gan", "training.discriminator_widths=[4]"]
        >>> learner = compose(compose_config(words)[0]).learner
        >>> learner.discriminator.last
        Linear(in_features=64, out_features=1, bias=True)
    """

    any_target = False
    contested = ("adversarial", "features")

    features: Tensor
    pixels: Tensor

    def __init__(self, *, features: float, pixels: float, **shared: Unpack[DiscriminatedArguments]) -> None:
        super().__init__(**shared)
        check_level("features", features)
        check_level("pixels", pixels)
        self.register_buffer("features", torch.tensor(features), persistent=False)
        self.register_buffer("pixels", torch.tensor(pixels), persistent=False)
        if self.model.classes:
            raise ValueError("samples are drawn from a prior, which has no classes to tell; set condition=none")
        if self.trained_prior(1) is None:
            raise ValueError("samples are drawn from a prior, and the model's code has none; set bottleneck=gaussian")

    def make_discriminator(self, widths: Sequence[int]) -> nn.Module:
        """See `Discriminated.make_discriminator`: on samples."""
        return Critic(shape=self.model.shape, widths=widths)

    def terms_of(self, output: Output, x: Tensor, y: Tensor | None) -> dict[str, Term]:
        """See `Learner.terms_of`; `features` is mean(1/2 |d(x) - d(r)|^2), `adversarial` the decoder's contest."""
        terms = super().terms_of(output, x, y)
        seen = cast(Critic, self.discriminator).hidden
        apart = wide(seen(output.reconstruction)) - wide(seen(x))
        made = torch.cat([self.model.decode(output.code.detach()), self.samples(len(x))])
        return {
            **terms,
            "reconstruction": Term(terms["reconstruction"].value, self.pixels),
            "features": Term(0.5 * apart.square().sum(dim=1).mean(), self.features),
            "adversarial": Term(F.softplus(-self.logit(made)).mean(), self.weight),
        }

    @override
    def judged(self, output: Output, x: Tensor) -> Judged:
        """The originals; their reconstructions, and as many samples."""
        with torch.no_grad():
            samples = self.samples(len(x))
        return Judged(self.logit(x), self.logit(torch.cat([output.reconstruction, samples])))

    def samples(self, count: int) -> Tensor:
        """What the decoder makes of draws of the prior, (count, *shape)."""
        code = self.trained_prior(count)
        assert code is not None, "the constructor has seen to it"
        return self.model.decode(code)
