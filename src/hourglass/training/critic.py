"""A discriminator of samples: what tells originals from what a decoder makes.

Of images each layer convolves and halves, of rows it is dense; then one number for the sample:

    h_0 = x,    h_l = s(W_l * h_{l-1} + b_l),    logit = w . h_L + b,    s(a) = max(a, a / 5)

What the last hidden layer h_L sees in two samples is a measure of how much they differ to the eye.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Critic"]


class Critic(nn.Module):
    """Samples (B, *shape) to logits (B, 1), by layers without normalisation, so that each sample is judged by itself.

    Reference: Unsupervised representation learning with deep convolutional generative adversarial networks (Radford,
    Metz & Chintala, 2016).

    Args:
        shape: of a sample: an image (channels, height, width), a signal (channels, length) or a row (features,).
        widths: channels, or units, of each hidden layer.

    Raises:
        ValueError: more layers than the image can be halved.

    Example:
        >>> Critic(shape=(1, 8, 8), widths=[4])
        Critic(
          (hidden): Sequential(
            (0): Conv2d(1, 4, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1))
            (1): LeakyReLU(negative_slope=0.2)
            (2): Flatten(start_dim=1, end_dim=-1)
          )
          (last): Linear(in_features=64, out_features=1, bias=True)
        )
    """

    def __init__(self, *, shape: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        sides = shape[1:]
        if sides and min(sides) < 2 ** len(widths):
            raise ValueError(
                f"discriminator_widths must list at most {min(sides).bit_length() - 1} layers for samples of shape"
                f" {tuple(shape)}, each of which halves them, got {list(widths)}"
            )
        layers: list[nn.Module] = []
        before = shape[0]
        for width in widths:
            layers += [_layer(before, width, len(sides)), nn.LeakyReLU(0.2)]
            before = width
        self.hidden = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            features = self.hidden(torch.zeros(1, *shape)).shape[1]
        self.last = nn.Linear(features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Samples (B, *shape) to log D / (1 - D), (B, 1)."""
        logit: Tensor = self.last(self.hidden(x))
        return logit


def _layer(inputs: int, outputs: int, axes: int) -> nn.Module:
    if not axes:
        return nn.Linear(inputs, outputs)
    kind = nn.Conv2d if axes == 2 else nn.Conv1d
    return kind(inputs, outputs, kernel_size=4, stride=2, padding=1)
