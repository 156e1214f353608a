"""How probable does a generative autoencoder think new data are: the test log-likelihood, by importance sampling.

With codes z_1 ... z_K drawn from the posterior q(z|x) of an input x, prior p(z) and the density p(x|z) that the
reconstruction loss stands for (`Loss.log_density`):

    log p(x) ~ log 1/K sum_k  p(x|z_k) p(z_k) / q(z_k|x)

In expectation a lower bound, which rises with K: K = 1 is the evidence lower bound, K to infinity log p(x) itself.

Reference: Importance weighted autoencoders (Burda, Grosse & Salakhutdinov, 2016).
"""

import math
from itertools import repeat

import torch
from torch import Tensor

from hourglass.bottlenecks import HasDensity
from hourglass.losses import Loss
from hourglass.models import Autoencoder

_ELEMENTS = 8_000_000  # values of the reconstructions that are held at a time: 32 MB, and as much for each temporary


@torch.no_grad()
def log_likelihood(
    model: Autoencoder, x: Tensor, loss: Loss, *, draws: int, seed: int, y: Tensor | None = None
) -> Tensor | None:
    """Log p(x) of each sample in nats, (B, *shape) to (B,); None where the code has no density.

    Args:
        model: the autoencoder, on the device of x and in evaluation mode.
        x: (B, *shape) in the data's own range.
        loss: the reconstruction loss, whose density p(x|z) is.
        draws: K, codes drawn for each sample, at least 1.
        seed: of the draws; the caller's random numbers stay as they were.
        y: (B,) their classes, for a model that takes them: then it is log p(x | y).

    Raises:
        ValueError: no draws.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        torch.manual_seed(seed)
        blocks = []
        rows = max(1, _ELEMENTS // x[0].numel() // draws)
        told = repeat(None) if y is None else torch.split(y, rows)
        for block, classes in zip(torch.split(x, rows), told, strict=False):
            weights = _log_weights(model, block, classes, loss, draws=draws)
            if weights is None:
                return None
            blocks.append(weights.logsumexp(0) - math.log(draws))
    return torch.cat(blocks)


def _log_weights(model: Autoencoder, x: Tensor, y: Tensor | None, loss: Loss, *, draws: int) -> Tensor | None:
    """Log p(x|z_k) p(z_k) / q(z_k|x): (B, *shape) to (draws, B), in float64."""
    if not isinstance(model.bottleneck, HasDensity):
        return None
    drawn = model.bottleneck.draws(model.encoded(x, y), draws)
    rows = max(1, _ELEMENTS // x.numel())  # fewer than `draws` only where one sample's draws are too many
    fits = torch.cat(
        [
            loss.log_density(
                model.decode(codes.flatten(0, 1), None if y is None else y.repeat(len(codes))),
                x.repeat(len(codes), *[1] * (x.ndim - 1)),
            )
            for codes in torch.split(drawn.code, rows)
        ]
    ).view(draws, len(x))
    return fits.double() + drawn.log_prior.double() - drawn.log_posterior.double()
