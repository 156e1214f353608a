"""A network on the code: what a classifier or a discriminator puts where the decoder stands otherwise.

Rectified layers, with a linear one at the end:

    h_0 = code,    h_l = max(0, W_l h_{l-1} + b_l),    logits = W_L h_{L-1} + b_L
"""

from collections.abc import Mapping, Sequence
from typing import Self

from torch import Tensor, nn

from hourglass.models.layers import dense, in_a_row


class Head(nn.Sequential):
    """Linear layers with rectifiers between them: codes (B, code_size) to logits (B, outputs).

    Args:
        sizes: code size, then the units of each hidden layer, then the number of outputs.
    """

    def __init__(self, *, sizes: Sequence[int]) -> None:
        super().__init__(*in_a_row(dense(sizes, "relu")))

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> Self:
        """The head with these weights, which say its sizes."""
        number = len(weights) // 2  # of layers, each with a weight (outputs, inputs) and a bias
        shapes = [weights[f"{2 * layer}.weight"].shape for layer in range(number)]  # rectifiers count too
        head = cls(sizes=[shapes[0][1], *(outputs for outputs, _ in shapes)])
        head.load_state_dict(weights)
        return head
