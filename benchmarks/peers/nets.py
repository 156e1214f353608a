"""The three nets in plain PyTorch, for the bare loop, Lightning and pythae.

    small   784-64-784
    deep    784-512-256-64-256-512-784
    conv    28-14-7-4 | 4-8-16-14-28 with 16-8-8 | 8-8-16-1 channels of 3x3 (the third decoder convolution unpadded)

ReLU inside, sigmoid at the end.
"""

from itertools import pairwise

from torch import nn

WIDTHS = {"small": [784, 64, 784], "deep": [784, 512, 256, 64, 256, 512, 784]}
PARAMETERS = {"small": 101_200, "deep": 1_100_112, "conv": 4_385}


def dense(widths: list[int]) -> list[nn.Module]:
    """Linear layers, each with a ReLU."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return layers


def stage(inputs: int, outputs: int, scale: nn.Module, padding: int = 1) -> list[nn.Module]:
    """Convolution 3x3, ReLU and a change of scale."""
    return [nn.Conv2d(inputs, outputs, 3, padding=padding), nn.ReLU(), scale]


def halves(net: str) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder of a net."""
    if net == "conv":
        pool, up = nn.MaxPool2d(2, ceil_mode=True), nn.Upsample(scale_factor=2)
        encoder = [*stage(1, 16, pool), *stage(16, 8, pool), *stage(8, 8, pool)]
        decoder = [*stage(8, 8, up), *stage(8, 8, up), *stage(8, 16, up, padding=0)]
        return nn.Sequential(*encoder), nn.Sequential(*decoder, nn.Conv2d(16, 1, 3, padding=1), nn.Sigmoid())
    widths = WIDTHS[net]
    middle = widths.index(64)
    decoder = dense(widths[middle:])
    decoder[-1] = nn.Sigmoid()
    return nn.Sequential(*dense(widths[: middle + 1])), nn.Sequential(*decoder)


def shape(net: str) -> tuple[int, ...]:
    """A sample's shape."""
    return (1, 28, 28) if net == "conv" else (784,)


def count(model: nn.Module) -> int:
    """The number of parameters."""
    return sum(p.numel() for p in model.parameters())
