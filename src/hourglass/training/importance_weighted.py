"""Importance weighting: several draws of the code bound the likelihood more tightly than one.

With k draws z_i of the posterior q(z | x),

    log w_i = log p(x | z_i) + log p(z_i) - log q(z_i | x)
    loss    = -mean_b log(1/k sum_i w_i)

One draw gives the evidence lower bound of the variational autoencoder; with more, the bound rises to log p(x).
"""

import math
from typing import Unpack, cast

from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks import HasDensity
from hourglass.losses import Term
from hourglass.models import Output
from hourglass.system.checks import check_whole
from hourglass.training.minibatch import Minibatch, MinibatchArguments

__all__ = ["ImportanceWeighted"]


class ImportanceWeighted(Minibatch):
    """Trains a variational autoencoder on the importance-weighted bound.

    The loss comes apart into terms that compare with the variational autoencoder's: `reconstruction` and `kl`, means
    over the draws, and `importance`, at most zero, the nats that `draws` of them gain over one. The sum is the loss up
    to the constant that the reconstruction loss leaves out of -log p(x | z). In validation and test the code is drawn
    as well, so that `val/loss` is a bound; quality is measured on the mean code.

    Reference: Importance weighted autoencoders (Burda, Grosse & Salakhutdinov, 2016).

    Args:
        draws: k, codes drawn for each sample, at least 1.

    The other arguments and errors: `Minibatch`.

    Raises:
        ValueError: a code without a density, a weighted divergence, a loss that is no sum; a number out of its range.

    Example:
        >>> from hourglass.pipeline.compose import compose
        >>> from hourglass.configuration.composition import compose_config
        >>> words = ["data=digits", "bottleneck=gaussian", "loss.reduction=sum", "training=importance_weighted"]
        >>> config, _ = compose_config(words)
        >>> learner = compose(config).learner
        >>> learner.draws
        5
    """

    stackable = True

    def __init__(self, *, draws: int, **shared: Unpack[MinibatchArguments]) -> None:
        super().__init__(**shared)
        check_whole("draws", draws, lowest=1)
        bottleneck, reduction = self.model.bottleneck, self.loss.reduction
        if not isinstance(bottleneck, HasDensity):
            raise ValueError("importance weights need a code with a density; set bottleneck=gaussian")
        if reduction != "sum":
            raise ValueError(f"the bound is in nats per sample: set loss.reduction=sum, got {reduction}")
        # In log w the divergence has weight 1; any other would be passed over in silence.
        for key, neutral in (("beta", 1), ("warmup_steps", 0)):
            given = float(getattr(bottleneck, key, neutral))
            if given != neutral:
                raise ValueError(f"the bound has no weights: set model.bottleneck.{key}={neutral}, got {given:g}")
        self.draws = draws

    @override
    def terms_of(self, output: Output, x: Tensor, y: Tensor | None) -> dict[str, Term]:
        """See `Learner.terms_of`; the codes are drawn anew, `draws` for each sample."""
        draws = cast(HasDensity, self.model.bottleneck).draws(output.encoded, self.draws)
        reconstruction = self.model.decode(draws.code.flatten(0, 1))  # (k B, *shape)
        target = x.expand(self.draws, *x.shape).flatten(0, 1)
        log_likelihood = self.loss.log_density(reconstruction, target).view(self.draws, len(x))
        divergence = draws.log_posterior - draws.log_prior  # (k, B)
        log_weight = log_likelihood - divergence
        bound = log_weight.logsumexp(dim=0) - math.log(self.draws)  # (B,)
        return {
            "reconstruction": Term(self.loss(reconstruction, target)),
            "kl": Term(divergence.mean()),
            "importance": Term((log_weight.mean(dim=0) - bound).mean()),
            **self.penalties(self.model, self.clean(output, x), output, target=x),
        }

    @override
    def step(self, x: Tensor, corrupted: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        return self.backpropagate(x, corrupted, y)
