"""Penalties on mean and covariance of the codes of a batch.

dip   sum_i!=j C_ij^2 + d sum_i (C_ii - 1)^2:  uncorrelated units of variance 1
"""

from typing import Literal, cast

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks import HasPosterior
from hourglass.models import Autoencoder, Output
from hourglass.regularizers.regularizer import Penalty
from hourglass.system.checks import check_choice, check_level
from hourglass.system.precision import full_precision, wide

__all__ = ["DIP"]


class DIP(Penalty):
    """Covariance of a gaussian code over the samples, which is to be that of the prior, the identity.

    P = sum_i!=j C_ij^2 + d sum_i (C_ii - 1)^2

        means (DIP-VAE-I)     C = Cov_b[m_b]
        codes (DIP-VAE-II)    C = Cov_b[m_b] + 1/B sum_b diag(exp(v_b))

    with means m and log variances v of the batch. On top of the divergence, which leaves open how the codes of
    different samples go together.

    Reference: Variational inference of disentangled latent concepts from unlabeled observations (Kumar, Sattigeri &
    Balakrishnan, 2018).

    Args:
        weight: lambda_od, of the covariances of different units.
        diagonal: d = lambda_d / lambda_od, at least 0; in the reference 10 of means, 1 of codes.
        of: `means` or `codes`.

    Example:
        >>> DIP(weight=10.0, diagonal=10.0, of="means")
        DIP(weight=10, diagonal=10, of=means)
    """

    mixes_samples = True
    diagonal: Tensor

    def __init__(
        self, *, weight: float = 10.0, diagonal: float = 10.0, of: Literal["means", "codes"] = "means"
    ) -> None:
        super().__init__(weight=weight)
        check_level("diagonal", diagonal)
        check_choice("of", of, ("means", "codes"))
        self.of = of
        self.register_buffer("diagonal", torch.tensor(diagonal), persistent=False)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, diagonal={self.diagonal.item():g}, of={self.of}"

    @override
    def attach(self, model: Autoencoder, *, batch_size: int) -> None:
        """See `Regularizer.attach`: refuses a code that is not drawn from a gaussian."""
        super().attach(model, batch_size=batch_size)
        if not isinstance(model.bottleneck, HasPosterior):
            raise ValueError(
                "needs a code with a gaussian posterior, but the model's has none: set bottleneck=gaussian"
            )

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        mean, log_variance = cast(HasPosterior, model.bottleneck).posterior(wide(output.encoded))
        active = model.bottleneck.active
        with full_precision(x):
            centred = mean - mean.mean(dim=0)
            covariance = centred.T @ centred / len(mean)  # (code_size, code_size), zero where a unit is not active
            variance = covariance.diagonal()
            between = covariance.square().sum() - variance.square().sum()
            if self.of == "codes":
                variance = variance + log_variance.exp().mean(dim=0)
            return between + self.diagonal * ((variance - 1).square() * active).sum()
