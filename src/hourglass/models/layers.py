"""Linear layers of a decoder whose weights are bound to something.

    tied        y = W^T h + b,      W the weight of the encoder's layer that the decoder's layer mirrors
    unit norm   y = V h + b,        V_ij = W_ij / |W_.j|: what each unit j adds to y has length |h_j|

Both are functions of the weight in the forward pass, so gradients are exact and no weight is held twice.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class TiedLinear(nn.Module):
    """A linear layer with the transposed weight of another one, and its own bias.

    Reference: Stacked denoising autoencoders (Vincent et al., 2010).

    Args:
        mirrored: the layer whose weight it uses, (inputs, outputs) here; it stays where it is and trains with both.
    """

    def __init__(self, mirrored: nn.Linear) -> None:
        super().__init__()
        self._mirrored = (mirrored,)  # in a tuple, so that its parameters are not this layer's too
        self.bias = nn.Parameter(mirrored.weight.new_zeros(mirrored.in_features))

    @property
    def weight(self) -> Tensor:
        """(outputs, inputs)"""
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
