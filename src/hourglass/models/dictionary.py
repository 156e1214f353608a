"""Sparse dictionaries: each sample as a sum of few atoms, in units that every data set shares.

    h = bottleneck(W u + c),   u = (x - m) / s
    r = m + s (V h + b),       |V_j| = 1 for each atom j

with m the training mean and s^2 the mean of |x - m|^2 over the training set, so that E|u|^2 = 1: penalty weights,
thresholds and learning rates mean the same for any data. W begins as the transpose of V.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from hourglass.bottlenecks import Bottleneck
from hourglass.models.autoencoder import exact_squared_jacobian
from hourglass.models.mlp import MLP

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

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) to the same shape."""
        return (x - self.mean) / self.scale


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


class Dictionary(MLP):
    """A sparse autoencoder as dictionary learning has it: a linear decoder whose columns are atoms of norm 1.

    Decoder and encoder that begin as transposes of each other, on centred samples, are what keeps units from being
    dead from the start. The reference also takes a learned bias off the input; here that is the training mean, and
    what it would learn beyond is in c.

    References: Emergence of simple-cell receptive field properties (Olshausen & Field, 1996); Scaling and evaluating
    sparse autoencoders (Gao et al., 2024), for the start and the norms.

    Args:
        shape: shape of one sample.
        code_size: number of atoms, at least 1; as a rule more than the data have degrees of freedom.
        bottleneck: builds the bottleneck from the code size. Of one that takes several values for each unit the first,
            a mean, begin as the transpose.

    Raises:
        ValueError: a code size below 1.
    """

    def __init__(self, *, shape: Sequence[int], code_size: int, bottleneck: Callable[..., Bottleneck]) -> None:
        super().__init__(
            shape=shape,
            code_size=code_size,
            depth=0,
            widths=None,
            decoder_widths=None,
            tied=False,
            unit_norm=True,
            activation="linear",
            output_activation="linear",
            bottleneck=bottleneck,
        )
        flatten, down = self.encoder.children()
        up, unflatten = self.decoder.children()
        units = Standardise(inputs=torch.Size(self.shape).numel())
        self.encoder = nn.Sequential(flatten, units, down)
        self.decoder = nn.Sequential(up, Restore(units), unflatten)
        self._lengths = [3], [3]
        with torch.no_grad():
            down.get_parameter("weight")[:code_size].copy_(up.weight.T)  # type: ignore[arg-type]

    @property
    def units(self) -> Standardise:
        """What brings samples to E|u|^2 = 1."""
        found: Standardise = self.encoder[1]  # type: ignore[index]
        return found

    def begin(self, x: Tensor) -> None:
        """See `Autoencoder.begin`: m and s, of up to `MEASURED` samples."""
        few = x[:: -(-len(x) // MEASURED)].flatten(1).double() / (255 if x.dtype == torch.uint8 else 1)
        mean = few.mean(dim=0)
        scale = (few - mean).square().sum(dim=1).mean().sqrt()
        self.units.mean.copy_(mean)
        self.units.scale.copy_(scale if scale > 0 else torch.ones(()))

    def squared_jacobian(self, x: Tensor) -> Tensor:
        """See `Autoencoder.squared_jacobian`: sum_j s'(a_j)^2 |W_j|^2 / s^2 where the bottleneck is elementwise."""
        slope = self.bottleneck.slope(self.encoder(x))
        if slope is None:
            return exact_squared_jacobian(self.encode, x)
        (weight, _bias) = self.encoder.parameters()
        return slope.square() @ weight.square().sum(dim=1) / self.units.scale.square()
