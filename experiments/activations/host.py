"""The network whose activations are stored: 784-256-10, ReLU, on MNIST. Writes its hidden layer as shards.

Run: python experiments/activations/host.py

Makes, in runs/activations:

    shards/train_0.npy ... train_5.npy    (10000, 256) float16 each, of the 60,000 training digits
    shards/test_0.npy                     of the 10,000 test digits
    pixels/train_0.npy ..., test_0.npy    (10000, 784), what the layer was given: a transcoder's samples
    labels.npy                            (70000,) their digits, all shards in the order of their names
    head.safetensors                      the layer that follows: 0.weight (10, 256), 0.bias (10,)
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config

FOLDER = Path("runs/activations")
UNITS, EPOCHS, BATCH, ROWS = 256, 5, 128, 10_000


def main() -> int:
    """Train, and write; a network that is there already is kept."""
    trained, given = (FOLDER / "head.safetensors").exists(), (FOLDER / "pixels" / "train_5.npy").exists()
    if trained and given:
        return 0
    data = build(compose_config(["data=mnist", "data.validation=test"])[0].data)
    if not given:
        for name, split in (("test", data.test), ("train", data.train)):
            _write("pixels", name, data.scaled(split.x).flatten(1))
    if trained:
        return 0
    torch.manual_seed(0)
    below, head = nn.Sequential(nn.Flatten(), nn.Linear(784, UNITS), nn.ReLU()), nn.Linear(UNITS, 10)
    _train(below, head, data.scaled(data.train.x), data.train.y)
    labels = []
    for name, split in (("test", data.test), ("train", data.train)):  # in the order of their names
        x, y = data.scaled(split.x), split.y
        with torch.no_grad():
            hidden = below(x)
            right = (head(hidden).argmax(1) == y).float().mean().item()
        print(f"{name}: accuracy {right:.2%}, {int((hidden > 0).any(0).sum())} of {UNITS} units on", file=sys.stderr)
        _write("shards", name, hidden)
        labels.append(y.numpy())
    np.save(FOLDER / "labels.npy", np.concatenate(labels))
    save_file({"0.weight": head.weight.detach(), "0.bias": head.bias.detach()}, FOLDER / "head.safetensors")
    return 0


def _write(folder: str, name: str, rows: Tensor) -> None:
    """The rows as shards, in the same order in every folder."""
    (FOLDER / folder).mkdir(parents=True, exist_ok=True)
    for number, some in enumerate(rows.split(ROWS)):
        np.save(FOLDER / folder / f"{name}_{number}.npy", some.numpy().astype(np.float16))


def _train(below: nn.Module, head: nn.Module, x: Tensor, y: Tensor) -> None:
    optimizer = torch.optim.Adam([*below.parameters(), *head.parameters()], lr=1e-3)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(x)).split(BATCH):
            loss = nn.functional.cross_entropy(head(below(x[chosen])), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


if __name__ == "__main__":
    sys.exit(main())
