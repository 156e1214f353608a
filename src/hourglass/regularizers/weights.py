"""Penalties on the weights.

weight_l1       sum |w|
weight_l2       sum w^2
orthogonality   |W W^T - I|^2 of the code layer
spectral        sum_l sigma(W_l)^2 of the decoder, with the largest singular value sigma
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.models import Autoencoder, Output
from hourglass.regularizers.regularizer import Penalty
from hourglass.system.checks import check_choice
from hourglass.system.precision import full_precision, wide

__all__ = ["LAYERS", "Orthogonality", "Spectral", "WeightL1", "WeightL2"]

LAYERS = ("all", "code")
SQUARINGS = 16
TINY = 1e-30
"""What a layer of zeros is divided by."""


class _OfWeights(Penalty):
    """A penalty on weights, which a model must have."""

    where = "its encoder"

    @abstractmethod
    def weighed(self, model: Autoencoder) -> Sequence[Tensor]:
        """What it is of."""

    @override
    def attach(self, model: Autoencoder, *, batch_size: int) -> None:
        """See `Regularizer.attach`; refuses a model without such weights."""
        super().attach(model, batch_size=batch_size)
        if not self.weighed(model):
            raise ValueError(f"needs a model with weights in {self.where}, but this one has none")


class WeightL1(_OfWeights):
    """Absolute values of the weights (not the biases): P = sum |w|.

    Args:
        weight: lambda.
        layers: `all` layers, or the `code` layer alone, the encoder's last.

    Example:
        >>> WeightL1(weight=0.001, layers="all")
        WeightL1(weight=0.001, layers=all)
    """

    def __init__(self, *, weight: float = 1e-6, layers: Literal["all", "code"] = "all") -> None:
        super().__init__(weight=weight)
        check_choice("layers", layers, LAYERS)
        self.layers = layers

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, layers={self.layers}"

    @override
    def weighed(self, model: Autoencoder) -> Sequence[Tensor]:
        return _weights(model, self.layers)

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        return torch.stack([w.abs().sum() for w in self.weighed(model)]).sum()


class WeightL2(_OfWeights):
    """Squares of the weights (not the biases): P = sum w^2, weight decay as a penalty.

    Args:
        weight: lambda.
        layers: `all` layers, or the `code` layer alone, the encoder's last.

    Example:
        >>> WeightL2(weight=0.001, layers="code")
        WeightL2(weight=0.001, layers=code)
    """

    def __init__(self, *, weight: float = 1e-6, layers: Literal["all", "code"] = "all") -> None:
        super().__init__(weight=weight)
        check_choice("layers", layers, LAYERS)
        self.layers = layers

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, layers={self.layers}"

    @override
    def weighed(self, model: Autoencoder) -> Sequence[Tensor]:
        return _weights(model, self.layers)

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        return torch.stack([w.square().sum() for w in self.weighed(model)]).sum()


class Orthogonality(_OfWeights):
    """Distance of the code layer's rows from an orthonormal system, so that every unit looks elsewhere.

    P = |W W^T - I|_F^2

    W is the encoder's last weight, one row for each of its outputs (for the channels of a convolution: its kernel,
    flattened). With more rows than columns no W reaches zero.

    Reference: Can we gain more from orthogonality regularizations in training deep networks? (Bansal, Chen & Wang,
    2018).

    Args:
        weight: lambda.

    Example:
        >>> Orthogonality(weight=0.1)
        Orthogonality(weight=0.1)
    """

    def __init__(self, *, weight: float = 1e-3) -> None:
        super().__init__(weight=weight)

    @override
    def weighed(self, model: Autoencoder) -> Sequence[Tensor]:
        return _weights(model, "code")

    @override
    def attach(self, model: Autoencoder, *, batch_size: int) -> None:
        """See `Regularizer.attach`; refuses an encoder whose last weight isn't that of the code."""
        super().attach(model, batch_size=batch_size)
        rows, inputs = len(self.weighed(model)[0]), model.bottleneck.inputs
        if inputs % rows:
            raise ValueError(f"needs an encoder that ends in the code's layer, but its last weight has {rows} rows")

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        """See `Penalty.penalty`; rows of units that are not active don't count."""
        neck = model.bottleneck
        with full_precision(x):
            rows = wide(self.weighed(model)[0]).flatten(1)
            # A unit may take several rows (mean and log variance), a row may serve several units (a channel).
            shares = neck.active.repeat(neck.inputs // neck.code_size).view(len(rows), -1)
            rows = rows * shares.amax(dim=1, keepdim=True)
            gram = rows @ rows.T
            return (gram - torch.diag(shares.amax(dim=1))).square().sum()


class Spectral(_OfWeights):
    """Largest singular values of the decoder's layers, whose product bounds how fast the reconstruction can change.

    P = sum_l sigma(W_l)^2

    A convolution's kernel counts as the matrix of its first axis by all others; a tied or normalised layer with the
    weight that it acts by. Of the smaller Gram matrix (n, n) of each layer, the columns of its power m = 2^16, by
    repeated squaring, are the first eigenvector, but for a share of about log(n) / 2 m of the value at most, wherever
    the second eigenvalue lies. That costs the cube of the layer's smaller side, and Python doesn't wait for a GPU, as
    it does for a decomposition.

    References: Spectral norm regularization for improving the generalizability of deep learning (Yoshida & Miyato,
    2017); From variational to deterministic autoencoders (Ghosh et al., 2020), for decoders.

    Args:
        weight: lambda.

    Example:
        >>> Spectral(weight=0.001)
        Spectral(weight=0.001)
    """

    where = "its decoder"

    def __init__(self, *, weight: float = 1e-4) -> None:
        super().__init__(weight=weight)

    @override
    def weighed(self, model: Autoencoder) -> Sequence[Tensor]:
        return list(_acting(model.decoder))

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        with full_precision(x):
            return torch.stack([_squared_norm(wide(weight).flatten(1)) for weight in self.weighed(model)]).sum()


def _squared_norm(matrix: Tensor) -> Tensor:
    """The square of the largest singular value."""
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    with torch.no_grad():
        power = tall.T @ tall
        for _ in range(SQUARINGS):
            power = power / power.diagonal().sum().clamp(min=TINY)
            power = power @ power
        # Where the diagonal, lambda_1^m v_j^2 in the end, is largest, the eigenvector has a share of at least 1/n.
        column = power.index_select(1, power.diagonal().argmax().view(1)).squeeze(1)
        top = column / column.norm().clamp(min=TINY)
    # |W v|^2 has a maximum in v, so that v counts as a constant in its gradient too: 2 sigma u v^T.
    squared: Tensor = (tall @ top).square().sum()
    return squared


def _acting(module: nn.Module) -> Iterator[Tensor]:
    """The weights that act within a module: of a layer that makes its weight from another's, the one it makes."""
    weight = getattr(module, "weight", None)
    if weight is None:
        for child in module.children():
            yield from _acting(child)
    elif weight.ndim >= 2:
        yield weight


def _weights(model: Autoencoder, layers: str) -> Sequence[Tensor]:
    if layers == "code":
        return [weight for weight in model.encoder.parameters() if weight.ndim >= 2][-1:]
    return [weight for weight in model.parameters() if weight.ndim >= 2]
