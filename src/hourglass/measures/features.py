"""A small classifier of the data's own classes, whose features say how alike two sets of samples are.

Distances of pixels say little, and the networks that published figures are taken in are large and trained on
photographs of a thousand things. Here the features are those of a net that learns the classes of the data themselves,
in seconds:

    a(x) = relu(W h(x) + b) / s, 32 values,    p(y | x) = softmax(s V a(x) + c)

h two convolutions, or a hidden layer where samples are no images, s such that features of training samples have the
mean square 1. The same data give the same net, which is kept in the data folder. Figures in it compare models of one
data set; with published ones, of other nets, they have nothing in common.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hourglass.data import Dataset
from hourglass.data.dataset import EVAL_BATCH
from hourglass.system.cache import cache_dir, kept

__all__ = ["FEATURES", "Features", "classifier"]

FEATURES = 32
LEARNED = 20_000
"""Training samples, at most, that it learns from: the first ones, which lie in random order."""

_VERSION = 1  # of net and training, which docs/metrics.md states: to be raised when one changes
_SAMPLES_SEEN = 100_000  # in all, about: 5 epochs of 20,000
_PASSES = 10  # at most, of fewer samples
_BATCH = 128
_LEAST = 500  # steps
_RATE = 2e-3  # in the beginning
_SEED = 0
_CONVOLVED = 8  # pixels of a side, at least
_CHANNELS = (16, 32)
_HIDDEN = 128  # units, where nothing is convolved


class Features(NamedTuple):
    """The classifier of a data set."""

    net: nn.Sequential
    """All but the last layer is what makes features; on the CPU, in evaluation mode."""
    accuracy: float
    """On the test set."""
    scale: float = 1.0
    """S, by which features are divided."""

    @torch.no_grad()
    def of(self, x: Tensor) -> Tensor:
        """Samples (N, *shape) as a model sees and makes them to features (N, `FEATURES`) on the CPU, float32."""
        device = next(self.net.parameters()).device
        blocks = [self.net[:-1](block.to(device, torch.float32)) for block in torch.split(x, EVAL_BATCH)]
        return torch.cat(blocks).cpu() / self.scale

    @torch.no_grad()
    def classes(self, x: Tensor) -> Tensor:
        """The same to the most probable classes (N,), as the data number them, counted from 0 in their order."""
        return torch.cat([self.net(block.cpu().float()).argmax(1) for block in torch.split(x, EVAL_BATCH)])


def classifier(data: Dataset) -> Features:
    """The classifier of a data set with classes, from the data folder where it has been trained before.

    Of MNIST it takes some 5 s on one core, once.

    Raises:
        ValueError: samples without classes, or of one class.
    """
    if data.train.y is None or data.test.y is None or not len(data.train):
        raise ValueError(f"features are those of a classifier, and data={data.name} has no classes")
    values = torch.unique(data.train.y)
    if len(values) < 2:
        raise ValueError(f"features are those of a classifier, and data={data.name} has one class")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        net = _net(data.shape, len(values))
        state = kept(
            cache_dir() / f"features-{_VERSION}" / f"{data.digest}.npz",
            read=lambda path: _read(path, net),
            compute=lambda: _trained(net, data, values),
            write=_write,
        )
    net.load_state_dict(state)
    found = Features(net.eval(), accuracy=0.0)
    some = found.of(data.scaled(data.train.x[:EVAL_BATCH]))
    scale = some.double().square().mean().sqrt().item() or 1.0  # a net that has learned nothing may have all off
    x, y = data.test.x[:LEARNED], data.test.y[:LEARNED]
    right = torch.cat([values[found.classes(data.scaled(block))] for block in torch.split(x, EVAL_BATCH)]) == y
    return found._replace(accuracy=right.double().mean().item(), scale=scale)


def _net(shape: tuple[int, ...], classes: int) -> nn.Sequential:
    elements = int(np.prod(shape))
    if len(shape) == 3 and min(shape[1:]) >= _CONVOLVED:
        first: list[nn.Module] = [
            nn.Conv2d(shape[0], _CHANNELS[0], 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(*_CHANNELS, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        ]
        inputs = _CHANNELS[1] * -(-shape[1] // 4) * -(-shape[2] // 4)
    else:
        first, inputs = [nn.Flatten(), nn.Linear(elements, _HIDDEN), nn.ReLU()], _HIDDEN
    return nn.Sequential(_Standard(shape), *first, nn.Linear(inputs, FEATURES), nn.ReLU(), nn.Linear(FEATURES, classes))


class _Standard(nn.Module):
    """Samples less their mean over all values, over the deviation from it."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        of = shape if len(shape) == 1 else ()  # of columns each, which are of different kinds
        self.register_buffer("mean", torch.zeros(of))
        self.register_buffer("deviation", torch.ones(of))

    def fit(self, x: Tensor) -> None:
        axes = tuple(range(x.ndim - self.mean.ndim))
        self.mean.copy_(x.mean(axes))
        self.deviation.copy_(x.std(axes).clamp(min=1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """(B, *shape) to the same."""
        return (x - self.mean) / self.deviation


def _trained(net: nn.Sequential, data: Dataset, values: Tensor) -> dict[str, Tensor]:
    """Adam on cross-entropy, about `_SAMPLES_SEEN` samples."""
    assert data.train.y is not None
    x = data.scaled(data.train.x[:LEARNED]).float()
    y = torch.searchsorted(values, data.train.y[:LEARNED])
    net[0].fit(x)  # type: ignore[operator]
    steps = max(_LEAST, min(_SAMPLES_SEEN, _PASSES * len(x)) // _BATCH)
    with torch.inference_mode(False), torch.enable_grad():
        net.train()
        optimizer = torch.optim.Adam(net.parameters(), lr=_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
        for _ in range(steps):
            chosen = torch.randint(len(x), (_BATCH,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[chosen]), y[chosen]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return net.state_dict()


def _write(path: Path, state: dict[str, Tensor]) -> None:
    np.savez(path, **{key: value.numpy() for key, value in state.items()})  # type: ignore[arg-type]


def _read(path: Path, net: nn.Sequential) -> dict[str, Tensor]:
    with np.load(path, allow_pickle=False) as held:
        state = {key: torch.from_numpy(held[key]) for key in held.files}
    if {key: value.shape for key, value in state.items()} != {key: v.shape for key, v in net.state_dict().items()}:
        raise ValueError("holds another net")
    return state
