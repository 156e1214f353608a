"""Fully connected autoencoders: vanilla (no hidden layer) and multilayer.

With layers l = 1..depth of widths n_l, the encoder is

    a_0 = x,    a_l = s(W_l a_{l-1} + b_l),    h = bottleneck(W a_depth + b)

and the decoder the same in reverse order, with the output activation at its end. Its weights are its own, or the
encoder's transposed (`tied`).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from hourglass.activations import activation as build_activation
from hourglass.bottlenecks import Bottleneck, Deterministic
from hourglass.models.autoencoder import (
    Autoencoder,
    exact_squared_jacobian,
    initialise,
    one_layer_squared_jacobian,
)
from hourglass.models.layers import TiedLinear, dense, in_a_row, with_activations
from hourglass.models.staged import Stage, paired
from hourglass.system.checks import check_whole, check_widths

__all__ = ["MLP", "taper"]


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
        target_shape: shape of one target; null: the target is the input.

    Raises:
        ValueError: a number out of its range, widths that don't fit the depth, or tied weights without a mirror image.

    Example:
        >>> from functools import partial
        >>> from hourglass.bottlenecks import Deterministic
        >>> MLP(
        ...     shape=(1, 2, 2),
        ...     code_size=2,
        ...     depth=1,
        ...     widths=[3],
        ...     decoder_widths=None,
        ...     tied=False,
        ...     unit_norm=False,
        ...     activation="relu",
        ...     output_activation="sigmoid",
        ...     bottleneck=partial(Deterministic, activation="relu"),
        ... )
        MLP(
          (encoder): Sequential(
            (0): Flatten(start_dim=1, end_dim=-1)
            (1): Linear(in_features=4, out_features=3, bias=True)
            (2): ReLU()
            (3): Linear(in_features=3, out_features=2, bias=True)
          )
          (bottleneck): Deterministic(
            code_size=2
            (activation): ReLU()
          )
          (decoder): Sequential(
            (0): Linear(in_features=2, out_features=3, bias=True)
            (1): ReLU()
            (2): Linear(in_features=3, out_features=4, bias=True)
            (3): Unflatten(dim=1, unflattened_size=(1, 2, 2))
          )
          (output_activation): Sigmoid()
        )
    """

    def __init__(
        self,
        *,
        shape: Sequence[int],
        code_size: int = 64,
        depth: int = 0,
        widths: Sequence[int] | None = None,
        decoder_widths: Sequence[int] | None = None,
        tied: bool = False,
        unit_norm: bool = False,
        activation: str = "relu",
        output_activation: str = "sigmoid",
        bottleneck: Callable[..., Bottleneck] = Deterministic,
        target_shape: Sequence[int] | None = None,
    ) -> None:
        shape, wanted = tuple(shape), tuple(target_shape or shape)
        inputs, outputs = (int(torch.Size(each).numel()) for each in (shape, wanted))
        hidden, mirrored = _hidden(inputs, code_size, depth, widths, decoder_widths)
        neck = bottleneck(code_size=code_size)
        build_activation(activation)  # a wrong name is a mistake also where no hidden layer needs it
        if tied:
            _check_tied(neck, hidden, mirrored)
            if inputs != outputs:
                raise ValueError(f"tied must be false for targets of {outputs} values and inputs of {inputs}, got true")
        encoder = dense([inputs, *hidden, neck.inputs], activation)
        if tied:
            up = [TiedLinear(stage[0]) for stage in reversed(encoder)]  # type: ignore[arg-type]
            decoder = with_activations(up, activation, unit_norm=unit_norm)
        else:
            decoder = dense([code_size, *mirrored, outputs], activation, unit_norm=unit_norm)
        encoder[0].insert(0, nn.Flatten())
        decoder[-1].append(nn.Unflatten(1, wanted))
        rows = {"encoder": in_a_row(encoder), "decoder": in_a_row(decoder)}
        super().__init__(
            shape=shape, bottleneck=neck, output_activation=output_activation, target_shape=target_shape, **rows
        )
        initialise(self.encoder, self.decoder)
        self.depth, self.widths, self.decoder_widths = depth, hidden, mirrored
        self._encoders, self._decoders = tuple(encoder), tuple(decoder)

    def stages(self) -> list[Stage]:
        """See `Staged.stages`: a stage for each hidden layer, and one for the code."""
        if self.decoder_widths != self.widths[::-1]:
            raise ValueError(
                f"decoder_widths must be null or the mirror image {self.widths[::-1]} for a model of stages,"
                f" got {self.decoder_widths}"
            )
        return paired(self, self._encoders, self._decoders)

    @property
    def has_closed_jacobian(self) -> bool:
        """See `Autoencoder.has_closed_jacobian`: without hidden layers, of a code that is elementwise."""
        return self.depth == 0 and self.bottleneck.is_elementwise

    def squared_jacobian(self, x: Tensor) -> Tensor:
        """See `Autoencoder.squared_jacobian`; without hidden layers in closed form."""
        slope = self.bottleneck.slope(self.encoder(x))  # (B, code_size)
        if self.depth > 0 or slope is None:
            return exact_squared_jacobian(self.encode, x)
        (weight, _bias) = self.encoder.parameters()  # (code_size, inputs)
        return one_layer_squared_jacobian(slope, weight)


def taper(inputs: int, code_size: int, depth: int) -> list[int]:
    """Widths of `depth` layers that shrink by the same factor from `inputs` to `code_size`.

    n_l = inputs (code_size / inputs)^(l / (depth + 1)),  l = 1..depth, rounded.
    """
    factor = (code_size / inputs) ** (1 / (depth + 1))
    return [max(1, round(inputs * factor**layer)) for layer in range(1, depth + 1)]


def _hidden(
    inputs: int, code_size: int, depth: int, widths: Sequence[int] | None, decoder_widths: Sequence[int] | None
) -> tuple[list[int], list[int]]:
    """Widths of the hidden layers of encoder and decoder; ValueError for numbers out of their range."""
    check_whole("code_size", code_size, lowest=1)
    check_whole("depth", depth, lowest=0)
    hidden = list(widths) if widths is not None else taper(inputs, code_size, depth)
    if len(hidden) != depth:
        raise ValueError(f"widths must list one width for each of depth={depth} hidden layers or be null, got {hidden}")
    mirrored = list(decoder_widths) if decoder_widths is not None else hidden[::-1]
    check_widths("widths", hidden)
    check_widths("decoder_widths", mirrored)
    return hidden, mirrored


def _check_tied(neck: Bottleneck, hidden: Sequence[int], mirrored: Sequence[int]) -> None:
    """ValueError unless each layer of the decoder can use the weight of the one that it mirrors."""
    if mirrored != hidden[::-1]:
        raise ValueError(f"tied needs decoder_widths to be null or the mirror image {hidden[::-1]}, got {mirrored}")
    if neck.inputs != neck.code_size:
        raise ValueError(
            f"tied needs a bottleneck that takes one value for each of the {neck.code_size} code units,"
            f" but {type(neck).__name__} takes {neck.inputs}"
        )
