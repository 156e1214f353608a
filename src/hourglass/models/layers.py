"""Dense layers: the one block that encoders, decoders and heads are made of, and two whose weights are bound.

    dense       a_l = s(W_l a_{l-1} + b_l),  l = 1..L-1,    a_L = W_L a_{L-1} + b_L

    tied        y = W^T h + b,      W the weight of the encoder's layer that the decoder's layer mirrors
    unit norm   y = V h + b,        V_ij = W_ij / |W_.j|: what each unit j adds to y has length |h_j|

The last two are functions of the weight in the forward pass, so gradients are exact and no weight is held twice.
"""

from collections.abc import Iterable, Sequence
from itertools import chain, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hourglass.activations import activation as build_activation
from hourglass.data.dataset import Category

__all__ = ["SplitActivation", "TiedLinear", "UnitNormLinear", "dense", "in_a_row", "with_activations"]


class TiedLinear(nn.Module):
    """A linear layer with the transposed weight of another one, and its own bias.

    Reference: Stacked denoising autoencoders (Vincent et al., 2010).

    Args:
        mirrored: the layer whose weight it uses, (inputs, outputs) here; it stays where it is and trains with both.

    Example:
        >>> layer = nn.Linear(3, 2)
        >>> TiedLinear(layer)
        TiedLinear(in_features=2, out_features=3)
    """

    def __init__(self, mirrored: nn.Linear) -> None:
        super().__init__()
        self._mirrored = (mirrored,)  # in a tuple, so that its parameters are not this layer's too
        self.bias = nn.Parameter(mirrored.weight.new_zeros(mirrored.in_features))

    def extra_repr(self) -> str:
        """The settings."""
        return f"in_features={self.weight.shape[1]}, out_features={self.weight.shape[0]}"

    @property
    def weight(self) -> Tensor:
        """The mirrored weight, (outputs, inputs)."""
        return self._mirrored[0].weight.T

    def forward(self, h: Tensor) -> Tensor:
        """(B, inputs) to (B, outputs)."""
        return F.linear(h, self.weight, self.bias)


class UnitNormLinear(nn.Module):
    """A linear layer whose weight vectors, one for each input unit, have norm 1: the atoms of a dictionary.

    Without it a penalty on the code can be had for nothing, by a small code and a large decoder.

    References: Emergence of simple-cell receptive field properties (Olshausen & Field, 1996); Scaling and evaluating
    sparse autoencoders (Gao et al., 2024).

    Args:
        layer: holds the weight before it is normalised, and the bias.

    Example:
        >>> layer = UnitNormLinear(nn.Linear(2, 3))
        >>> layer
        UnitNormLinear(
          (layer): Linear(in_features=2, out_features=3, bias=True)
        )
        >>> layer.weight.detach().norm(dim=0).round(decimals=3)
        tensor([1., 1.])
    """

    def __init__(self, layer: nn.Linear | TiedLinear) -> None:
        super().__init__()
        self.layer = layer

    @property
    def weight(self) -> Tensor:
        """(outputs, inputs), columns of norm 1; one that is all zeros stays so."""
        return F.normalize(self.layer.weight, dim=0)

    def forward(self, h: Tensor) -> Tensor:
        """(B, inputs) to (B, outputs)."""
        return F.linear(h, self.weight, self.layer.bias)


class SplitActivation(nn.Module):
    """An activation for the numbers of a row, and a softmax for each group of one-hot columns.

    Args:
        activation: of the numbers.
        categories: the groups.

    Example:
        >>> split = SplitActivation(nn.Identity(), [Category("kind", 1, ("a", "b"))])
        >>> split(torch.tensor([[3.0, 0.0, 0.0]]))
        tensor([[3.0000, 0.5000, 0.5000]])
    """

    def __init__(self, activation: nn.Module, categories: Sequence[Category]) -> None:
        super().__init__()
        self.activation = activation
        self.categories = tuple(categories)

    def forward(self, preactivation: Tensor) -> Tensor:
        """(B, D) to (B, D)."""
        numbers: Tensor = self.activation(preactivation)
        parts, at = [], 0
        for category in self.categories:
            begin, end = category.span.start, category.span.stop
            parts += [numbers[..., at:begin], preactivation[..., begin:end].softmax(-1)]
            at = end
        return torch.cat([*parts, numbers[..., at:]], dim=-1)


def dense(sizes: Sequence[int], activation: str, *, unit_norm: bool = False) -> list[nn.Sequential]:
    """Linear layers from each size to the next, with an activation between them; a stage for each layer.

    Example:
        >>> in_a_row(dense([4, 3, 2], "relu"))
        Sequential(
          (0): Linear(in_features=4, out_features=3, bias=True)
          (1): ReLU()
          (2): Linear(in_features=3, out_features=2, bias=True)
        )

    Args:
        sizes: of the input and of each layer, two or more.
        activation: name of the activation.
        unit_norm: whether the first layer is a `UnitNormLinear`.
    """
    return with_activations([nn.Linear(*each) for each in pairwise(sizes)], activation, unit_norm=unit_norm)


def with_activations(
    layers: Sequence[nn.Linear | TiedLinear], activation: str, *, unit_norm: bool = False
) -> list[nn.Sequential]:
    """A stage of each layer: the layer, and the activation after it but for the last; arguments as in `dense`."""
    first, *further = layers
    stages = [nn.Sequential(layer) for layer in (UnitNormLinear(first) if unit_norm else first, *further)]
    for stage in stages[:-1]:
        stage.append(build_activation(activation))
    return stages


def in_a_row(stages: Iterable[nn.Sequential]) -> nn.Sequential:
    """The modules of all stages one after another: their places there are the names of the weights, `3.weight`."""
    return nn.Sequential(*chain.from_iterable(stages))
