"""A second variational autoencoder, of the codes of the first: its draws follow the codes, not the prior.

Two stages, with u of as many units as z:

    first      x -> z ~ q(z | x)               the model, whose codes fill a shape that no prior has
    second     z -> u ~ N(m(z), s(z)^2),  z ~ N(f(u), gamma^2),    min_b KL(q(u | z), N(0, 1)) - log p(z | u)
    a draw     u ~ N(0, 1),   z = f(u) + gamma e,   x = g(z)

The codes of the first fill all of their space, if with noise alone, so that the second has no manifold to find and its
prior is met.
"""

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.bottlenecks import Bottleneck
from hourglass.samplers.descent import descend, own_random
from hourglass.samplers.geometry import Geometry
from hourglass.samplers.sampler import Sampler, check_codes
from hourglass.samplers.units import Units
from hourglass.system.checks import check_count

__all__ = ["TwoStage"]


class TwoStage(Sampler):
    """The second stage of a two-stage variational autoencoder.

    Takes about 5 s for 2,000 steps of 128 units on a core. gamma is learned, one for all units.

    Reference: Diagnosing and enhancing VAE models (Dai & Wipf, 2019), with three hidden layers of 1,024 units and 800
    epochs.

    Args:
        code_size: number of code units.
        width: units of each of the two hidden layers of encoder and decoder, 1 to 4,096.
        steps: of Adam, on batches of 256 codes, at least 1.

    Example:
        >>> TwoStage(code_size=2, width=128, steps=2000)
        TwoStage(
          code_size=2, width=128, steps=2000
          (units): Units()
          (decoder): Sequential(
            (0): Linear(in_features=2, out_features=128, bias=True)
            (1): ReLU()
            (2): Linear(in_features=128, out_features=128, bias=True)
            (3): ReLU()
            (4): Linear(in_features=128, out_features=2, bias=True)
          )
        )
    """

    def __init__(self, *, code_size: int, width: int, steps: int) -> None:
        super().__init__(code_size=code_size)
        check_count("width", width, high=4096)
        check_count("steps", steps)
        self.width = width
        self.steps = steps
        self.units = Units(code_size=code_size)
        with own_random():  # weights are drawn when it is fitted
            self.decoder = _network(code_size, width, code_size)
            self.log_gamma = nn.Parameter(torch.zeros(()))

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, width={self.width}, steps={self.steps}"

    @override
    def check(self, bottleneck: Bottleneck, *, samples: int, geometry: Geometry | None = None) -> None:
        """See `Sampler.check`."""
        check_codes(bottleneck, samples=samples)

    @override
    def fit(self, codes: Tensor, *, geometry: Geometry | None = None) -> None:
        """See `Sampler.fit`; the same for the same codes. Of the second encoder nothing is kept."""
        with own_random():
            encoder = _network(self.code_size, self.width, 2 * self.code_size)
        self.log_gamma.data.zero_()

        def loss(z: Tensor) -> Tensor:
            mean, log_variance = encoder(z).chunk(2, dim=1)
            u = mean + (log_variance / 2).exp() * torch.randn_like(mean)
            error = (z - self.decoder(u)).square() / (2 * self.log_gamma).exp()
            divergence = (mean.square() + log_variance.exp() - 1 - log_variance) / 2
            # Without log 2 pi / 2, which nothing changes.
            bound: Tensor = (error / 2 + self.log_gamma + divergence).sum(1).mean()
            return bound

        descend(self.units.fit(codes), loss, networks=(encoder, self), steps=self.steps)

    @override
    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        u = torch.randn(count, self.code_size, device=self.log_gamma.device)
        z: Tensor = self.decoder(u)
        return self.units.undo(z + self.log_gamma.exp() * torch.randn_like(z))


def _network(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()), nn.Linear(width, outputs)
    )
