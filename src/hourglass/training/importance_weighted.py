"""Importance weighting: several draws of the code bound the likelihood more tightly than one.

With k draws z_i of the posterior q(z | x),

    log w_i = log p(x | z_i) + log p(z_i) - log q(z_i | x)
    loss    = -mean_b log(1/k sum_i w_i)

One draw gives the evidence lower bound of the variational autoencoder; with more, the bound rises to log p(x). A
tighter bound tells the encoder less, because its gradient drowns in its own noise. So the k draws may be parted into M
groups with a bound of their own each, and the evidence lower bound have a share e in the loss:

    loss = -mean_b  (1 - e) 1/M sum_m log(M/k sum_{i in m} w_i)  +  e 1/k sum_i log w_i

    M = 1          IWAE
    M groups       MIWAE
    M = 1, e > 0   CIWAE
    M for the encoder, 1 for the decoder    PIWAE
"""

import math
from typing import Unpack, cast

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks import HasDensity
from hourglass.losses import Likelihood, Term
from hourglass.models import Output
from hourglass.system.checks import check_level, check_whole
from hourglass.training.bounds import check_bound
from hourglass.training.minibatch import Minibatch, MinibatchArguments

__all__ = ["ImportanceWeighted"]


class ImportanceWeighted(Minibatch):
    """Trains a variational autoencoder on the importance-weighted bound.

    The loss comes apart into terms that compare with the variational autoencoder's: `reconstruction` and `kl`, means
    over the draws, and `importance`, at most zero, the nats that the bound of `draws` gains over that of one. The sum
    is the loss up to the constant that the reconstruction loss leaves out of -log p(x | z). In validation and test the
    code is drawn as well, so that `val/loss` is a bound; quality is measured on the mean code.

    Where decoder and encoder have different groups, the loss that is shown is the decoder's. Weights of the bottleneck
    itself learn as the encoder's do.

    References: Importance weighted autoencoders (Burda, Grosse & Salakhutdinov, 2016); Tighter variational bounds are
    not necessarily better (Rainforth et al., 2018).

    Args:
        draws: k, codes drawn for each sample, at least 1, a multiple of the numbers of groups.
        groups: M, at least 1.
        decoder_groups: M of the bound that the decoder is trained on, at least 1; null: the same.
        elbo: e, the share of the evidence lower bound, from 0 to 1.

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
    decodes_disturbed = False  # but draws of its own
    elbo: Tensor

    def __init__(
        self,
        *,
        draws: int,
        groups: int = 1,
        decoder_groups: int | None = None,
        elbo: float = 0.0,
        **shared: Unpack[MinibatchArguments],
    ) -> None:
        super().__init__(**shared)
        check_whole("draws", draws, lowest=1)
        check_whole("groups", groups, lowest=1)
        check_whole("decoder_groups", decoder_groups, lowest=1, null=True)
        check_level("elbo", elbo, 1.0)
        self.draws = draws
        self.groups = groups
        self.decoder_groups = groups if decoder_groups is None else decoder_groups
        for key, number in (("groups", self.groups), ("decoder_groups", self.decoder_groups)):
            if draws % number:
                raise ValueError(f"draws must be a multiple of {key}={number}, got {draws}")
        self.register_buffer("elbo", torch.tensor(elbo), persistent=False)
        check_bound(self)

    @override
    def terms_of(self, output: Output, x: Tensor, y: Tensor | None) -> dict[str, Term]:
        """See `Learner.terms_of`; the codes are drawn anew, `draws` for each sample."""
        draws = cast(HasDensity, self.model.bottleneck).draws(output.encoded, self.draws)
        told = None if y is None else y.repeat(self.draws)
        reconstruction = self.model.decode(draws.code.flatten(0, 1), told)  # (k B, *shape)
        target = x.expand(self.draws, *x.shape).flatten(0, 1)
        log_likelihood = cast(Likelihood, self.loss).log_density(reconstruction, target).view(self.draws, len(x))
        divergence = draws.log_posterior - draws.log_prior  # (k, B)
        log_weight = log_likelihood - divergence
        bound = self.bound(log_weight, self.groups)  # (B,)
        if self.decoder_groups != self.groups:
            bound = bound + self._decoders(bound, log_weight.detach(), draws.code.detach().flatten(0, 1), target, told)
        return {
            "reconstruction": Term(self.loss(reconstruction, target)),
            "kl": Term(divergence.mean()),
            "importance": Term((log_weight.mean(dim=0) - bound).mean()),
            **self.penalties(self.model, self.clean(output, x), output, target=x),
        }

    def bound(self, log_weight: Tensor, groups: int) -> Tensor:
        """Logarithms of the weights (k, B) to the bound of so many groups, (B,)."""
        size = self.draws // groups
        each = log_weight.view(groups, size, -1).logsumexp(dim=1) - math.log(size)  # (M, B)
        return (1 - self.elbo) * each.mean(dim=0) + self.elbo * log_weight.mean(dim=0)

    def shares(self, log_weight: Tensor, groups: int) -> Tensor:
        """The gradient of `bound` in the logarithms of the weights, (k, B): how much each draw has to say."""
        each = log_weight.view(groups, self.draws // groups, -1).softmax(dim=1) / groups
        return (1 - self.elbo) * each.view(self.draws, -1) + self.elbo / self.draws

    def _decoders(self, bound: Tensor, log_weight: Tensor, code: Tensor, target: Tensor, y: Tensor | None) -> Tensor:
        """What to add to the encoder's bound (B,), for the value of the decoder's and its gradient in the decoder.

        Codes that are held fixed give the decoder the difference of both bounds' shares, and the encoder nothing.

        """
        difference = self.shares(log_weight, self.decoder_groups) - self.shares(log_weight, self.groups)
        again = cast(Likelihood, self.loss).log_density(self.model.decode(code, y), target).view(log_weight.shape)
        added = (difference * again).sum(dim=0)
        return added - added.detach() + self.bound(log_weight, self.decoder_groups) - bound.detach()

    @override
    def step(self, x: Tensor, corrupted: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        return self.backpropagate(x, corrupted, y)
