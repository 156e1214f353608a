"""How probable does a generative autoencoder think new data are: the test log-likelihood, by importance sampling.

With codes z_1 ... z_K drawn from the posterior q(z|x) of an input x, prior p(z) and the density p(x|z) that the
reconstruction loss stands for (`Likelihood.log_density`):

    log p(x) ~ log 1/K sum_k w_k,    w_k = p(x|z_k) p(z_k) / q(z_k|x)

Where the code is made of symbols, p(z) and q(z|x) are their probabilities. In expectation a lower bound, which rises
with K: K = 1 is the evidence lower bound, K to infinity log p(x) itself. Of the same draws the evidence lower bound is
1/K sum_k log w_k, never above the estimate of any sample. It is what training brings up where the loss is a sum, with
beta 1 and without penalties, but for constants of the density that a loss leaves out, as d/2 log pi of a squared error.

Reference: Importance weighted autoencoders (Burda, Grosse & Salakhutdinov, 2016).
"""

import math
from collections.abc import Callable
from itertools import repeat
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hourglass.bottlenecks import Draws, HasDensity, HasSymbolDraws
from hourglass.losses import Likelihood, Loss
from hourglass.models import Autoencoder

_ELEMENTS = 8_000_000  # values of the reconstructions that are held at a time: 32 MB, and as much for each temporary


class Bounds(NamedTuple):
    """What draws of the posterior say of log p(x) of each sample, in nats, (B,) each."""

    elbo: Tensor
    """The evidence lower bound, 1/K sum_k log w_k."""
    log_likelihood: Tensor
    """The estimate of log p(x), log 1/K sum_k w_k."""


def log_likelihood(model: Autoencoder, x: Tensor, loss: Loss, **how: Any) -> Tensor | None:
    """Log p(x) of each sample in nats, (B, *shape) to (B,); arguments and errors: see `bounds`."""
    found = bounds(model, x, loss, **how)
    return None if found is None else found.log_likelihood


@torch.no_grad()
def bounds(
    model: Autoencoder,
    x: Tensor,
    loss: Loss,
    *,
    draws: int,
    seed: int,
    target: Tensor | None = None,
    y: Tensor | None = None,
    log_prior: Callable[[Tensor], Tensor | None] | None = None,
) -> Bounds | None:
    """The evidence lower bound and log p(x) of each sample; None where code or loss have no density.

    Args:
        model: the autoencoder, on the device of x and in evaluation mode.
        x: (B, *shape) in the data's own range.
        loss: the reconstruction loss, whose density p(x|z) is.
        draws: K, codes drawn for each sample, at least 1.
        seed: of the draws; the caller's random numbers stay as they were.
        target: what is reconstructed, NaN where it is missing; None: x.
        y: (B,) their classes, for a model that takes them: then it is log p(x | y).
        log_prior: of the prior p(z), codes (draws, B, code_size) to (draws, B) nats, or None without a density;
            None: the bottleneck's own.

    Raises:
        ValueError: no draws.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    if not isinstance(loss, Likelihood):
        return None
    target = x if target is None else target
    rows = max(1, _ELEMENTS // x[0].numel() // draws)
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        torch.manual_seed(seed)
        blocks = []
        told = repeat(None) if y is None else torch.split(y, rows)
        for block, of_block, classes in zip(torch.split(x, rows), torch.split(target, rows), told, strict=False):
            drawn = _drawn(model, block, classes, draws)
            if drawn is None:
                return None
            if log_prior is not None:
                density = log_prior(drawn.code)
                if density is None:
                    return None
                drawn = drawn._replace(log_prior=density)
            log_weights = _log_weights(model, of_block, classes, loss, drawn)
            blocks.append(torch.stack([log_weights.mean(0), log_weights.logsumexp(0) - math.log(draws)]))
    return Bounds(*torch.cat(blocks, dim=1))


def _drawn(model: Autoencoder, x: Tensor, y: Tensor | None, count: int) -> Draws | None:
    """So many draws of the posterior of each sample; None where it has no density."""
    bottleneck = model.bottleneck
    if isinstance(bottleneck, HasDensity):
        return bottleneck.draws(model.encoded(x, y), count)
    return bottleneck.symbol_draws(model.encoded(x, y), count) if isinstance(bottleneck, HasSymbolDraws) else None


def _log_weights(model: Autoencoder, x: Tensor, y: Tensor | None, loss: Likelihood, drawn: Draws) -> Tensor:
    """Log p(x|z_k) p(z_k) / q(z_k|x) of targets (B, *shape): (draws, B), in float64."""
    rows = max(1, _ELEMENTS // x.numel())  # fewer than `draws` only where one sample's draws are too many
    fits = torch.cat(
        [
            loss.log_density(
                model.decode(codes.flatten(0, 1), None if y is None else y.repeat(len(codes))),
                x.repeat(len(codes), *[1] * (x.ndim - 1)),
            )
            for codes in torch.split(drawn.code, rows)
        ]
    ).view(len(drawn.code), len(x))
    return fits.double() + drawn.log_prior.double() - drawn.log_posterior.double()
