"""Regularizers: penalties that are added to the reconstruction loss.

    total = reconstruction + sum_k  lambda_k P_k(model, x, h)

Every penalty is logged under its own name, apart from the reconstruction, so that "the loss is higher" can be
told from "the reconstruction is worse". `Penalties` holds any number of them by name; none is the plain
autoencoder. Weights are buffers, so that models that differ only in them can be trained as one stack.
"""

import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from hourglass.errors import HourglassError
from hourglass.models import Autoencoder, Output


class Regularizer(nn.Module):
    """One regularizer: it adds a term to the loss, or disturbs the code while the model trains, or both."""

    @abstractmethod
    def attach(self, model: Autoencoder) -> None:
        """Called once, before training, with the model: raise ValueError if the model's code doesn't suit."""

    @abstractmethod
    def forward(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor | None:
        """The weighted term, a scalar, or None for a regularizer that adds none; x is the clean input."""

    def prior(self, model: Autoencoder, count: int) -> Tensor | None:  # noqa: ARG002
        """Codes (count, code_size) drawn from the prior that it pulls the code to; None if it has none."""
        return None


class Penalty(Regularizer):
    """One penalty: a weight times a non-negative scalar.

    Args:
        weight: lambda, at least 0.
    """

    weight: Tensor
    code_range: tuple[float, float] = (-math.inf, math.inf)
    """The interval that the code must keep to for the penalty to make sense."""

    def __init__(self, *, weight: float) -> None:
        super().__init__()
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight must be at least 0 and finite, got {weight}")
        self.register_buffer("weight", torch.tensor(weight), persistent=False)

    def attach(self, model: Autoencoder) -> None:
        """See `Regularizer.attach`: compares the code's range with `code_range`."""
        (low, high), (code_low, code_high) = self.code_range, model.bottleneck.code_range
        if code_low < low or code_high > high:
            raise ValueError(
                f"needs a code in [{low:g}, {high:g}], but the model's code lies in"
                f" [{code_low:g}, {code_high:g}]; set model.bottleneck.activation=sigmoid"
            )

    def forward(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        """The weighted penalty, a scalar; x is the clean input."""
        return self.weight * self.penalty(model, x, output)

    @abstractmethod
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        """The penalty before weighting, a scalar."""


class L1(Penalty):
    """Absolute activity of the code, which makes most units zero for most inputs.

    reduction sample: P = 1/B sum_b sum_j |h_bj|;  reduction batch: P = sum_b sum_j |h_bj|

    `batch` is what Keras before version 3 did with `activity_regularizer`: there the same lambda weighs
    as many times more as the batch has samples.

    Reference: Sparse deep belief net model for visual area V2 (Lee et al., 2008) for sparse codes in deep nets.

    Args:
        weight: lambda.
        reduction: `sample` or `batch`.
    """

    def __init__(self, *, weight: float, reduction: Literal["sample", "batch"]) -> None:
        super().__init__(weight=weight)
        self.reduction = _reduction(reduction)

    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:  # noqa: ARG002
        """See `Penalty.penalty`."""
        total = output.code.abs().sum()
        return total / len(x) if self.reduction == "sample" else total


class L2(Penalty):
    """Squared activity of the code, which keeps it small.

    reduction sample: P = 1/B sum_b sum_j h_bj^2;  reduction batch: P = sum_b sum_j h_bj^2

    Args:
        weight: lambda.
        reduction: `sample` or `batch`.
    """

    def __init__(self, *, weight: float, reduction: Literal["sample", "batch"]) -> None:
        super().__init__(weight=weight)
        self.reduction = _reduction(reduction)

    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:  # noqa: ARG002
        """See `Penalty.penalty`."""
        total = output.code.square().sum()
        return total / len(x) if self.reduction == "sample" else total


class WeightL1(Penalty):
    """Absolute values of the weights (not the biases): P = sum |w|.

    Args:
        weight: lambda.
        layers: `all` layers, or the `code` layer alone, the encoder's last.
    """

    def __init__(self, *, weight: float, layers: Literal["all", "code"]) -> None:
        super().__init__(weight=weight)
        self.layers = _layers(layers)

    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:  # noqa: ARG002
        """See `Penalty.penalty`."""
        return torch.stack([w.abs().sum() for w in _weights(model, self.layers)]).sum()


class WeightL2(Penalty):
    """Squares of the weights (not the biases): P = sum w^2, weight decay as a penalty.

    Args:
        weight: lambda.
        layers: `all` layers, or the `code` layer alone, the encoder's last.
    """

    def __init__(self, *, weight: float, layers: Literal["all", "code"]) -> None:
        super().__init__(weight=weight)
        self.layers = _layers(layers)

    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:  # noqa: ARG002
        """See `Penalty.penalty`."""
        return torch.stack([w.square().sum() for w in _weights(model, self.layers)]).sum()


class KLSparsity(Penalty):
    """Divergence of each unit's mean activity from a target, both taken as Bernoulli probabilities.

    P = sum_j  rho log(rho / q_j) + (1 - rho) log((1 - rho) / (1 - q_j)),   q_j = 1/B sum_b h_bj

    Needs a code in [0, 1], as a sigmoid gives.

    Reference: Sparse autoencoder, CS294A lecture notes (Ng, 2011).

    Args:
        weight: lambda.
        target: rho, the wanted mean activity, strictly between 0 and 1.
    """

    target: Tensor
    code_range = (0.0, 1.0)

    def __init__(self, *, weight: float, target: float) -> None:
        super().__init__(weight=weight)
        if not 0 < target < 1:
            raise ValueError(f"target must be strictly between 0 and 1, got {target}")
        self.register_buffer("target", torch.tensor(target), persistent=False)

    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:  # noqa: ARG002
        """See `Penalty.penalty`."""
        # A unit that is off for the whole batch would make the divergence infinite.
        q = output.code.float().mean(dim=0).clamp(1e-6, 1 - 1e-6)  # (code_size,)
        rho = self.target
        divergence = rho * torch.log(rho / q) + (1 - rho) * torch.log((1 - rho) / (1 - q))
        return (divergence * model.bottleneck.active).sum()


class Contractive(Penalty):
    """Squared Frobenius norm of the encoder's Jacobian at the clean input, averaged over the batch.

    P = 1/B sum_b |d h / d x (x_b)|_F^2

    In closed form for one elementwise layer, otherwise exact by differentiation of every code unit, which costs as
    many backward passes through the encoder as there are units.

    Reference: Contractive auto-encoders: explicit invariance during feature extraction (Rifai et al., 2011).

    Args:
        weight: lambda.
    """

    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:  # noqa: ARG002
        """See `Penalty.penalty`."""
        return model.squared_jacobian(x).mean()


class Penalties(nn.Module):
    """Any number of regularizers, by name.

    Args:
        regularizers: the regularizers by the name under which the term of each is logged.
    """

    def __init__(self, **regularizers: Regularizer) -> None:
        super().__init__()
        self.regularizers = nn.ModuleDict(regularizers)

    def attach(self, model: Autoencoder) -> None:
        """Attach each to the model; raises HourglassError if one doesn't suit the model's code."""
        for name, regularizer in self._named():
            try:
                regularizer.attach(model)
            except ValueError as error:
                raise HourglassError(f"regularizer {name} {error}") from error

    def forward(self, model: Autoencoder, x: Tensor, output: Output) -> dict[str, Tensor]:
        """The weighted terms by name; x is the clean input (B, *shape)."""
        terms = {name: regularizer(model, x, output) for name, regularizer in self._named()}
        return {name: term for name, term in terms.items() if term is not None}

    def prior(self, model: Autoencoder, count: int) -> Tensor | None:
        """Codes (count, code_size) from the first prior that a regularizer pulls the code to; None without one."""
        priors = (regularizer.prior(model, count) for _, regularizer in self._named())
        return next((draw for draw in priors if draw is not None), None)

    def _named(self) -> Iterable[tuple[str, Regularizer]]:
        return self.regularizers.items()  # type: ignore[return-value]


def _weights(model: Autoencoder, layers: str) -> Sequence[Tensor]:
    if layers == "code":
        return [weight for weight in model.encoder.parameters() if weight.ndim >= 2][-1:]
    return [weight for weight in model.parameters() if weight.ndim >= 2]


def _reduction(reduction: str) -> str:
    if reduction not in ("sample", "batch"):
        raise ValueError(f"reduction must be one of sample, batch, got {reduction!r}")
    return reduction


def _layers(layers: str) -> str:
    if layers not in ("all", "code"):
        raise ValueError(f"layers must be one of all, code, got {layers!r}")
    return layers
