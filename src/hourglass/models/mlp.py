"""Fully connected autoencoders: vanilla (no hidden layer) and multilayer.

With layers l = 1..depth of widths n_l, the encoder is

    a_0 = x,    a_l = s(W_l a_{l-1} + b_l),    h = bottleneck(W a_depth + b)

and the decoder the same in reverse order, with the output activation at its end. Its weights are its own, or the
encoder's transposed (`tied`).
"""

from collections.abc import Callable, Sequence
from itertools import chain, pairwise

import torch
from torch import Tensor, nn

from hourglass.activations import activation as build_activation
from hourglass.bottlenecks import Bottleneck
from hourglass.models.autoencoder import Autoencoder, Stage, exact_squared_jacobian, initialise
from hourglass.models.layers import TiedLinear, UnitNormLinear


class MLP(Autoencoder):
    """A fully connected autoencoder over inputs of any shape, which it flattens.

    `depth` counts the hidden layers of the encoder before the code. For MNIST (784 inputs) and code size 64:

    - depth 0 is the vanilla autoencoder 784-64-784;
    - depth 1 with widths [128] is 784-128-64-128-784;
    - depth 2 with widths null tapers geometrically: 784-340-148-64-148-340-784.

    Reference: Reducing the dimensionality of data with neural networks (Hinton & Salakhutdinov, 2006).

    Args:
        shape: shape of one sample.
        code_size: number of code units, at least 1; more than the inputs is an overcomplete code.
        depth: hidden layers of the encoder, at least 0.
        widths: units of each hidden layer of the encoder, `depth` of them; null: a geometric taper.
        decoder_widths: units of each hidden layer of the decoder, as many as one likes; null: the mirror image.
        tied: whether each layer of the decoder uses the transposed weight of the one that it mirrors, see `TiedLinear`.
        unit_norm: whether the decoder's weight vector of each code unit has norm 1, see `UnitNormLinear`.
        activation: activation of the hidden layers.
        output_activation: activation of the reconstruction.
        bottleneck: builds the bottleneck from the code size.

    Raises:
        ValueError: a number out of its range, widths that don't fit the depth, or tied weights without a mirror image.
    """

    def __init__(
        self,
        *,
        shape: Sequence[int],
        code_size: int,
        depth: int,
        widths: Sequence[int] | None,
        decoder_widths: Sequence[int] | None,
        tied: bool,
        unit_norm: bool,
        activation: str,
        output_activation: str,
        bottleneck: Callable[..., Bottleneck],
    ) -> None:
        shape = tuple(shape)
        inputs = int(torch.Size(shape).numel())
        if code_size < 1:
            raise ValueError(f"code_size must be at least 1, got {code_size}")
        if depth < 0:
            raise ValueError(f"depth must be at least 0, got {depth}")
        hidden = list(widths) if widths is not None else taper(inputs, code_size, depth)
        if len(hidden) != depth:
            raise ValueError(
                f"widths must list one width for each of depth={depth} hidden layers or be null, got {hidden}"
            )
        mirrored = list(decoder_widths) if decoder_widths is not None else hidden[::-1]
        for key, values in (("widths", hidden), ("decoder_widths", mirrored)):
            if any(width < 1 for width in values):
                raise ValueError(f"{key} must be at least 1, got {values}")
        neck = bottleneck(code_size=code_size)
        if tied and mirrored != hidden[::-1]:
            raise ValueError(f"tied needs decoder_widths to be null or the mirror image {hidden[::-1]}, got {mirrored}")
        if tied and neck.inputs != code_size:
            raise ValueError(
                f"tied needs a bottleneck that takes one value for each of the {code_size} code units,"
                f" but {type(neck).__name__} takes {neck.inputs}"
            )
        down = [nn.Linear(*sizes) for sizes in pairwise([inputs, *hidden, neck.inputs])]
        up: list[nn.Linear] | list[TiedLinear] = (
            [TiedLinear(layer) for layer in reversed(down)]
            if tied
            else [nn.Linear(*sizes) for sizes in pairwise([code_size, *mirrored, inputs])]
        )
        first = UnitNormLinear(up[0]) if unit_norm else up[0]
        build_activation(activation)  # a wrong name is a mistake also where no hidden layer needs it
        encoder, decoder = _with_activations(down, activation), _with_activations([first, *up[1:]], activation)
        encoder[0].insert(0, nn.Flatten())
        decoder[-1].append(nn.Unflatten(1, shape))
        super().__init__(
            shape=shape,
            encoder=nn.Sequential(*chain(*encoder)),
            bottleneck=neck,
            decoder=nn.Sequential(*chain(*decoder)),
            output_activation=output_activation,
        )
        initialise(self.encoder)
        initialise(self.decoder)
        self.depth = depth
        self.widths, self.decoder_widths = hidden, mirrored
        self._lengths = [len(stage) for stage in encoder], [len(stage) for stage in decoder]

    def stages(self) -> list[Stage]:
        """See `Autoencoder.stages`: a stage for each hidden layer, and one for the code."""
        if self.decoder_widths != self.widths[::-1]:
            raise ValueError(
                f"decoder_widths must be null or the mirror image {self.widths[::-1]} for a model of stages,"
                f" got {self.decoder_widths}"
            )
        return self._cut(*self._lengths)

    @property
    def has_closed_jacobian(self) -> bool:
        """See `Autoencoder.has_closed_jacobian`: without hidden layers, of a code that is elementwise."""
        some = next(self.encoder.parameters()).new_zeros(1, self.bottleneck.inputs)
        return self.depth == 0 and self.bottleneck.slope(some) is not None

    def squared_jacobian(self, x: Tensor) -> Tensor:
        """See `Autoencoder.squared_jacobian`; without hidden layers in closed form (Rifai et al., 2011):

        |J(x)|^2 = sum_j s'(a_j)^2 sum_k W_jk^2
        """
        slope = self.bottleneck.slope(self.encoder(x))  # (B, code_size)
        if self.depth > 0 or slope is None:
            return exact_squared_jacobian(self.encode, x)
        (weight, _bias) = self.encoder.parameters()  # (code_size, inputs)
        return slope.square() @ weight.square().sum(dim=1)


def taper(inputs: int, code_size: int, depth: int) -> list[int]:
    """Widths of `depth` layers that shrink by the same factor from `inputs` to `code_size`.

    n_l = inputs (code_size / inputs)^(l / (depth + 1)),  l = 1..depth, rounded.
    """
    factor = (code_size / inputs) ** (1 / (depth + 1))
    return [max(1, round(inputs * factor**layer)) for layer in range(1, depth + 1)]


def _with_activations(layers: Sequence[nn.Module], activation: str) -> list[list[nn.Module]]:
    """Each layer with the activation after it, but for the last."""
    return [*([layer, build_activation(activation)] for layer in layers[:-1]), [layers[-1]]]
