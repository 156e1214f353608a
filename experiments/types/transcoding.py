"""A classifier's hidden layer, replaced by few atoms: made of what the layer is given, or of what it gives."""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import hourglass

__all__ = ["replaced"]

TRAINED = 1_400
"""Digits, of 1,797, that classifier and atoms learn from; the others are tested on."""


def replaced(*, seed: int, of: str, k: int, atoms: int) -> dict[str, float]:
    """The loss of a classifier, 64-64-10, whose hidden layer is put together of k atoms, and what is missed of it.

    seed: of the classifier, the digits that it learns from, and the atoms. of: `inputs`, a transcoder, or `outputs`, a
    sparse autoencoder. k: atoms on of `atoms`.
    """
    bunch = load_digits()
    draw = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(bunch.target), generator=draw)
    x, y = torch.from_numpy(bunch.data / 16).float()[order], torch.from_numpy(bunch.target)[order]
    layer, head = _classifier(x[:TRAINED], y[:TRAINED], seed)
    with torch.no_grad():
        hidden = layer(x)
    given = {"inputs": x, "outputs": hidden}[of]
    fitted = hourglass.fit(
        given[:TRAINED],
        target=hidden[:TRAINED],
        model="dictionary",
        bottleneck="top_k",
        loss="mse",
        code_size=atoms,
        epochs=60,
        seed=seed,
        callback="quick",
        overrides={"model.bottleneck.k": k, "training.batch_size": 64, "optimizer.lr": 3e-3},
        tracking=None,
    )
    made = torch.as_tensor(fitted.reconstruct(given[TRAINED:]))
    hidden, y = hidden[TRAINED:], y[TRAINED:]
    with torch.no_grad():
        losses = [nn.functional.cross_entropy(head(h), y).item() for h in (hidden, made)]
    missed = (made - hidden).square().sum() / (hidden - hidden.mean(0)).square().sum()
    return {"host_loss": losses[0], "host_loss_reconstructed": losses[1], "unexplained": missed.item()}


def _classifier(x: Tensor, y: Tensor, seed: int) -> tuple[nn.Module, nn.Module]:
    """Hidden layer and what follows, after 30 epochs of Adam."""
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        layer, head = nn.Sequential(nn.Linear(64, 64), nn.ReLU()), nn.Linear(64, 10)
        optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=3e-3)
        for _ in range(30):
            for chosen in torch.randperm(len(x)).split(64):
                optimizer.zero_grad()
                nn.functional.cross_entropy(head(layer(x[chosen])), y[chosen]).backward()
                optimizer.step()
    return layer, head
