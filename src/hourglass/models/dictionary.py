"""Sparse dictionaries: each sample as a sum of few atoms, in units that every data set shares.

    h = bottleneck(W u + c),   u = (x - m) / s
    r = m + s (V h + b),       |V_j| = 1 for each atom j

with m the training mean and s^2 the mean of |x - m|^2 over the training set, so that E|u|^2 = 1: penalty weights,
thresholds and learning rates mean the same for any data. W begins as the transpose of V. Where the target is not the
input (a transcoder), m and s of the way back are the target's.
"""

from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hourglass.bottlenecks import Bottleneck, Deterministic
from hourglass.models.autoencoder import (
    Autoencoder,
    Renewed,
    exact_squared_jacobian,
    initialise,
    one_layer_squared_jacobian,
)
from hourglass.models.layers import UnitNormLinear, dense
from hourglass.models.staged import Stage, paired
from hourglass.system.checks import check_whole

__all__ = ["Dictionary", "Restore", "Standardise"]

MEASURED = 10_000
"""Training samples that mean and scale are taken from, evenly spread over the set."""


class Standardise(nn.Module):
    """x to u = (x - m) / s. Both are buffers, which are kept with the weights.

    Args:
        inputs: values of a sample, flattened.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, *, inputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(()))

    def extra_repr(self) -> str:
        """The settings."""
        return f"inputs={len(self.mean)}"

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) to the same shape."""
        return (x - self.mean) / self.scale

    def measure(self, x: Tensor) -> None:
        """Take m and s from training samples (N, *shape), as a data set stores them: from up to `MEASURED`."""
        few = x[:: -(-len(x) // MEASURED)].flatten(1).double() / (255 if x.dtype == torch.uint8 else 1)
        mean = few.mean(dim=0)
        scale = (few - mean).square().sum(dim=1).mean().sqrt()
        self.mean.copy_(mean)
        self.scale.copy_(scale if scale > 0 else torch.ones(()))


class Restore(nn.Module):
    """The way back: u to x = m + s u.

    Args:
        of: what it undoes; its buffers stay where they are.
    """

    def __init__(self, of: Standardise) -> None:
        super().__init__()
        self._of = (of,)  # in a tuple, so that its buffers are not this module's too

    def forward(self, u: Tensor) -> Tensor:
        """(B, inputs) to the same shape."""
        return self._of[0].mean + self._of[0].scale * u


class Less(nn.Module):
    """The decoder's bias b taken off the encoder's input: u - b.

    Args:
        of: the decoder's layer; its bias stays where it is and trains with both.
    """

    def __init__(self, of: UnitNormLinear) -> None:
        super().__init__()
        self._of = (of,)  # in a tuple, so that its parameters are not this module's too

    def forward(self, u: Tensor) -> Tensor:
        """(B, inputs) to the same shape."""
        return u - self._of[0].layer.bias


class Dictionary(Autoencoder):
    """A sparse autoencoder as dictionary learning has it: a linear decoder whose columns are atoms of norm 1.

    Decoder and encoder that begin as transposes of each other, on centred samples, are what keeps units from being
    dead from the start. Here the training mean is taken off the input; the references take off the decoder's bias,
    which begins at the mean (`subtract_bias`) and which c could learn as well.

    References: Emergence of simple-cell receptive field properties (Olshausen & Field, 1996); Towards monosemanticity
    (Bricken et al., 2023), for the bias; Scaling and evaluating sparse autoencoders (Gao et al., 2024), for the start
    and the norms; Transcoders find interpretable LLM feature circuits (Dunefsky et al., 2024), for other targets.

    Args:
        shape: shape of one sample.
        code_size: number of atoms, at least 1; as a rule more than the data have degrees of freedom.
        bottleneck: builds the bottleneck from the code size. Of one that takes several values for each unit the first,
            a mean, begin as the transpose.
        tied_start: whether W begins as the transpose of V; null: where the target is the input.
        subtract_bias: whether the encoder is given u - b, with the decoder's bias b.
        target_shape: shape of one target; null: the target is the input.

    Raises:
        ValueError: a code size below 1; a tied start or a bias for a target of another size.

    Example:
        >>> from functools import partial
        >>> from hourglass.bottlenecks import Deterministic
        >>> Dictionary(shape=(1, 2, 2), code_size=6, bottleneck=partial(Deterministic, activation="relu"))
        Dictionary(
          (encoder): Sequential(
            (0): Flatten(start_dim=1, end_dim=-1)
            (1): Standardise(inputs=4)
            (2): Linear(in_features=4, out_features=6, bias=True)
          )
          (bottleneck): Deterministic(
            code_size=6
            (activation): ReLU()
          )
          (decoder): Sequential(
            (0): UnitNormLinear(
              (layer): Linear(in_features=6, out_features=4, bias=True)
            )
            (1): Restore()
            (2): Unflatten(dim=1, unflattened_size=(1, 2, 2))
          )
          (output_activation): Identity()
        )
    """

    def __init__(
        self,
        *,
        shape: Sequence[int],
        code_size: int = 256,
        bottleneck: Callable[..., Bottleneck] = Deterministic,
        tied_start: bool | None = None,
        subtract_bias: bool = False,
        target_shape: Sequence[int] | None = None,
    ) -> None:
        check_whole("code_size", code_size, lowest=1)
        shape, wanted = tuple(shape), tuple(target_shape or shape)
        inputs, outputs = torch.Size(shape).numel(), torch.Size(wanted).numel()
        tied = target_shape is None if tied_start is None else tied_start
        if inputs != outputs and (tied or subtract_bias):
            key = "tied_start" if tied else "subtract_bias"
            raise ValueError(f"{key} must be false for targets of {outputs} values and inputs of {inputs}, got true")
        neck, units = bottleneck(code_size=code_size), Standardise(inputs=inputs)
        back = units if target_shape is None else Standardise(inputs=outputs)
        (down,) = dense([inputs, neck.inputs], "linear")
        (up,) = dense([code_size, outputs], "linear", unit_norm=True)
        atoms = cast(UnitNormLinear, up[0])
        super().__init__(
            shape=shape,
            encoder=nn.Sequential(nn.Flatten(), units, *([Less(atoms)] if subtract_bias else []), *down),
            bottleneck=neck,
            decoder=nn.Sequential(atoms, Restore(back), nn.Unflatten(1, wanted)),
            output_activation="linear",
            target_shape=target_shape,
        )
        if target_shape is not None:
            self.target_units = back
        initialise(self.encoder, self.decoder)
        if tied:
            with torch.no_grad():
                self._layer.weight[:code_size].copy_(atoms.weight.T)

    @property
    def _layer(self) -> nn.Linear:
        return cast(nn.Linear, cast(nn.Sequential, self.encoder)[-1])

    @property
    def _atoms(self) -> UnitNormLinear:
        return cast(UnitNormLinear, self.decoder.get_submodule("0"))

    def stages(self) -> list[Stage]:
        """See `Staged.stages`: the only one, which is the whole."""
        return paired(self, [cast(nn.Sequential, self.encoder)], [cast(nn.Sequential, self.decoder)])

    @property
    def units(self) -> Standardise:
        """What brings samples to E|u|^2 = 1."""
        return cast(Standardise, self.encoder.get_submodule("1"))

    def begin(self, x: Tensor, target: Tensor | None = None) -> None:
        """See `Autoencoder.begin`: m and s, of up to `MEASURED` samples."""
        self.units.measure(x)
        if target is not None:
            self.target_units.measure(target)

    @torch.no_grad()
    def renew(self, units: Tensor, x: Tensor) -> list[Renewed]:
        """See `Renewable.renew`: atoms as u is, weights of the encoder a fifth as long as those in use are in the mean.

        For units that have begun anew the bias c is 0.

        """
        directions = F.normalize(self.units(x.flatten(1)), dim=1)  # (units, inputs)
        layer, atoms = self._layer, cast(nn.Parameter, self._atoms.layer.weight)
        others = torch.ones(len(layer.weight), dtype=torch.bool, device=x.device)
        others[units] = False
        length = layer.weight[others].norm(dim=1).mean() if bool(others.any()) else 1.0
        layer.weight[units] = 0.2 * length * directions
        layer.bias[units] = 0.0
        if self.shape == self.target_shape:  # else nobody knows where they are to point
            atoms[:, units] = directions.T * atoms.norm(dim=0).mean()
        return [
            (cast(nn.Parameter, layer.weight), (units,)),
            (layer.bias, (units,)),
            (atoms, (slice(None), units)),
        ]

    @property
    def has_closed_jacobian(self) -> bool:
        """See `Autoencoder.has_closed_jacobian`: of a code that is elementwise."""
        return self.bottleneck.is_elementwise

    def squared_jacobian(self, x: Tensor) -> Tensor:
        """See `Autoencoder.squared_jacobian`: that of W, over s^2, where the bottleneck is elementwise."""
        slope = self.bottleneck.slope(self.encoder(x))
        if slope is None:
            return exact_squared_jacobian(self.encode, x)
        return one_layer_squared_jacobian(slope, self._layer.weight) / self.units.scale.square()
