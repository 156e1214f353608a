"""Penalties on derivatives: how fast the code changes with the input, and the reconstruction with the code.

contractive        |d h / d x|_F^2
decoder_gradient   |d g / d h|_F^2
"""

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.models import Autoencoder, Output
from hourglass.regularizers.regularizer import Penalty
from hourglass.system.modes import evaluating

__all__ = ["Contractive", "DecoderGradient"]


class Contractive(Penalty):
    """Squared Frobenius norm of the encoder's Jacobian at the clean input, averaged over the batch.

    P = 1/B sum_b |d h / d x (x_b)|_F^2

    In closed form for one elementwise layer, otherwise exact by differentiation of every code unit, which costs as
    many backward passes through the encoder as there are units. The code is the one outside training: nothing is
    drawn or dropped. It must have a gradient, if only a straight-through one.

    Reference: Contractive auto-encoders: explicit invariance during feature extraction (Rifai et al., 2011).

    Args:
        weight: lambda.

    Example:
        >>> Contractive(weight=0.1)
        Contractive(weight=0.1)
    """

    def attach(self, model: Autoencoder, *, batch_size: int) -> None:
        """See `Regularizer.attach`: refuses a code that has no gradient outside training."""
        super().attach(model, batch_size=batch_size)
        neck = model.bottleneck
        if model.classes:
            raise ValueError("needs a code of the sample alone, but the model is told its class; set condition=none")
        with evaluating(neck):
            code = neck(neck.active.new_zeros(1, neck.inputs).requires_grad_()).code
        if not code.requires_grad:
            raise ValueError("needs a code with a gradient, but the model's has none; choose another bottleneck")

    def __init__(self, *, weight: float = 1e-3) -> None:
        super().__init__(weight=weight)

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        with evaluating(model.bottleneck):
            return model.squared_jacobian(x).mean()


class DecoderGradient(Penalty):
    """Squared Frobenius norm of the decoder's Jacobian at the codes of the batch, which makes the decoder smooth.

    P = 1/B sum_b |d g / d h (h_b)|_F^2

    Exact, by forward-mode differentiation, which costs two passes through the decoder for each code unit. Without
    noise on the code it does what noise does for a variational autoencoder, so that codes between codes decode well.

    Reference: From variational to deterministic autoencoders (Ghosh et al., 2020).

    Args:
        weight: lambda.

    Example:
        >>> DecoderGradient(weight=0.1)
        DecoderGradient(weight=0.1)
    """

    def __init__(self, *, weight: float = 1e-4) -> None:
        super().__init__(weight=weight)

    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        """See `Penalty.penalty`; units that are not active have no derivative."""
        code = output.code

        def squared_column(unit: Tensor) -> Tensor:
            """The squared derivative by one unit, summed over batch and values."""
            column: Tensor = torch.func.jvp(lambda h: model.decode(h, output.y), (code,), (unit.expand_as(code),))[1]
            return column.square().sum()

        units = torch.diag(model.bottleneck.active).to(code.dtype)  # (code_size, code_size), one unit each
        # Units are taken in groups, whose derivatives of the reconstructions fill about 256 MB at most.
        group = max(1, 64_000_000 // max(code.numel(), x.numel()))
        squares: Tensor = torch.func.vmap(squared_column, chunk_size=group)(units)
        return squares.sum() / len(code)
