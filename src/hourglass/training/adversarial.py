"""Adversarial training: a second network brings the distribution of the codes to a prior.

A discriminator D tells draws p of the prior from codes h = f(x~); the encoder learns to be taken for the prior:

    autoencoder:    reconstruction + ... + weight mean(-log D(h))
    discriminator:  1/2 mean(-log D(p)) + 1/2 mean(-log(1 - D(h)))

Where D can't tell them apart, a code drawn from the prior decodes to a sample. See `training.discriminated`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hourglass.bottlenecks import Symbolic
from hourglass.losses import Term
from hourglass.models import Autoencoder, Output
from hourglass.system.checks import check_above, check_choice, check_level, check_whole
from hourglass.training.discriminated import Discriminated, DiscriminatedArguments, Judged
from hourglass.training.head import Head

__all__ = ["PRIORS", "Adversarial"]

PRIORS = ("gaussian", "mixture")


class Adversarial(Discriminated):
    """Trains an autoencoder and, in turn, a discriminator on its code.

    Each step is one of the autoencoder, down its terms and `adversarial` together, then one of the discriminator.
    Makhzani et al. make two steps of the first; in one, `weight` keeps its meaning under optimizers that scale
    gradients themselves (Adam). `loss` is the autoencoder's; `discriminator` and `discriminator_accuracy` are logged
    beside it and are no part of it.

    Reference: Adversarial autoencoders (Makhzani, Shlens, Jaitly, Goodfellow & Frey, 2016).

    Args:
        prior: `gaussian`: N(0, 1) in every unit; `mixture`: of gaussians with their centres evenly on a circle in the
            plane of the first two units, N(0, 1) in the others.
        components: gaussians of the mixture, at least 1.
        radius: of the circle, at least 0.
        sigma: standard deviation of each gaussian of the mixture, above 0.

    The other arguments and errors: `Discriminated`.

    Raises:
        ValueError: a code that can't follow the prior: one with bounds, one made of symbols, a mixture with a single
            unit; a number out of its range.

    Example:
        >>> from hourglass.pipeline.compose import compose
        >>> from hourglass.configuration.composition import compose_config
        >>> words = ["data=digits", "bottleneck=linear", "training=adversarial", "training.discriminator_widths=[4]"]
        >>> config, _ = compose_config([*words, "model.code_size=8"])
        >>> learner = compose(config).learner
        >>> learner.discriminator
        Head(
          (0): Linear(in_features=8, out_features=4, bias=True)
          (1): ReLU()
          (2): Linear(in_features=4, out_features=1, bias=True)
        )
    """

    radius: Tensor
    sigma: Tensor

    def __init__(
        self,
        *,
        prior: Literal["gaussian", "mixture"],
        components: int,
        radius: float,
        sigma: float,
        **shared: Unpack[DiscriminatedArguments],
    ) -> None:
        super().__init__(**shared)
        check_choice("prior", prior, PRIORS)
        check_whole("components", components, lowest=1)
        check_above("sigma", sigma)
        check_level("radius", radius)
        _check_code(self.model, prior)
        self.kind = prior
        self.components = components
        self.register_buffer("radius", torch.tensor(radius), persistent=False)
        self.register_buffer("sigma", torch.tensor(sigma), persistent=False)

    def make_discriminator(self, widths: Sequence[int]) -> nn.Module:
        """See `Discriminated.make_discriminator`: on the code."""
        return Head(sizes=[self.model.code_size, *widths, 1])

    def trained_prior(self, count: int) -> Tensor:
        """Draws (count, code_size) of the prior; zero in inactive units."""
        settings = {"prior": self.kind, "components": self.components, "radius": self.radius, "sigma": self.sigma}
        return self.prior_of(settings, self.model, count)

    @staticmethod
    def prior_of(settings: Mapping[str, Any], model: Autoencoder, count: int) -> Tensor:
        """See `BringsPrior.prior_of`: the one that the discriminator knows."""
        active = model.bottleneck.active
        draws = torch.randn(count, model.code_size, device=active.device)
        if settings["prior"] == "mixture":
            components = int(settings["components"])
            angle = torch.randint(components, (count,), device=active.device) * (2 * math.pi / components)
            centres = settings["radius"] * torch.stack([angle.cos(), angle.sin()], dim=1)  # (count, 2)
            draws[:, :2] = centres + settings["sigma"] * draws[:, :2]
        return draws * active

    def log_prior(self, code: Tensor) -> Tensor:
        """See `BringsDensity.log_prior`: of the prior that the discriminator knows, over active units."""
        active = self.model.bottleneck.active
        normal = -0.5 * (code.square() + math.log(2 * math.pi)) * active
        if self.kind == "gaussian":
            return normal.sum(-1)
        angles = torch.arange(self.components, device=code.device) * (2 * math.pi / self.components)
        centres = self.radius * torch.stack([angles.cos(), angles.sin()], dim=1)  # (components, 2)
        apart = (code[..., None, :2] - centres).square().sum(-1) / self.sigma.square()  # (..., components)
        scale = math.log(self.components) + 2 * self.sigma.log() + math.log(2 * math.pi)
        return (-0.5 * apart).logsumexp(-1) - scale + normal[..., 2:].sum(-1)

    def terms_of(self, output: Output, x: Tensor, y: Tensor | None) -> dict[str, Term]:
        """See `Learner.terms_of`; `adversarial` is mean(-log D(h)), weighted with `weight`."""
        adversarial = Term(F.softplus(-self.logit(output.code)).mean(), self.weight)
        return {**super().terms_of(output, x, y), "adversarial": adversarial}

    @override
    def judged(self, output: Output, x: Tensor) -> Judged:
        """As many draws of the prior as there are codes, and the codes."""
        return Judged(self.logit(self.trained_prior(len(output.code))), self.logit(output.code))


def _check_code(model: Autoencoder, prior: str) -> None:
    """ValueError for a code that can't follow the prior."""
    low, high = model.bottleneck.code_range
    if (low, high) != (-math.inf, math.inf):
        raise ValueError(
            f"the prior's draws may have any value, but the model's code lies in [{low:g}, {high:g}];"
            " set bottleneck=linear, or bottleneck=gaussian"
        )
    if isinstance(model.bottleneck, Symbolic):
        raise ValueError("the prior is continuous, but the model's code is made of symbols; set bottleneck=linear")
    if prior == "mixture" and model.code_size < 2:
        raise ValueError(f"prior mixture lies in a plane: model.code_size must be at least 2, got {model.code_size}")
