"""How much of a network's loss is kept when a layer's activations are replaced by their reconstructions.

With L the mean cross-entropy of the network's classes, of the activations x, their reconstructions r, and what is left
when the layer says nothing, zeros or the mean m of the training set:

    loss_recovered = (L(a) - L(r)) / (L(a) - L(x)),   a = 0 or a = m

1: the reconstruction serves the network as well as the activations do; 0: as badly as the ablation; below 0 worse. As
dictionary_learning (`loss_recovered`) and SAELens (`ce_loss_score`) have it, both with zeros. Explained variance counts
every direction by its variance, this by what the network makes of it.

Reference: Sparse autoencoders find highly interpretable features in language models (Cunningham et al., 2023).
"""

from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from hourglass.measures.health import is_rounding

__all__ = ["DenseHead", "Host", "Losses", "losses"]


class Host(Protocol):
    """The part of a network that follows the layer: any object that gives logits."""

    def __call__(self, activations: Tensor, /) -> Tensor:
        """(B, D) activations in the network's own units to logits (B, K)."""


class DenseHead(nn.Module):
    """The rest of a network of dense layers: W_n relu(... relu(W_1 h + b_1)) + b_n, from its weights alone.

    Args:
        path: a .safetensors file with `0.weight` (units, D), `0.bias` (units,), `1.weight`, ...: the layers that
            follow, counted from 0, a ReLU between two of them.

    Raises:
        ValueError: what can't be read, or makes no such network.
    """

    def __init__(self, *, path: str) -> None:
        super().__init__()
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        file = Path(str(path)).expanduser()
        try:
            held = load_file(file)
        except (OSError, SafetensorError) as error:
            raise ValueError(f"path must be a .safetensors file of dense layers, got {path}: {error}") from error
        layers = [f"{number}.{part}" for number in range(len(held) // 2) for part in ("weight", "bias")]
        if not held or set(held) != set(layers):
            raise ValueError(
                f"path must hold the weight and the bias of layers from 0 on, as 0.weight, got {sorted(held)} in {file}"
            )
        weights = [held[f"{number}.weight"].float() for number in range(len(held) // 2)]
        self.layers = nn.ModuleList()
        for number, weight in enumerate(weights):
            fits = weight.ndim == 2 and held[f"{number}.bias"].shape == weight.shape[:1]
            if not fits or (number and weight.shape[1] != weights[number - 1].shape[0]):
                raise ValueError(
                    f"path must hold layers that follow each other, got another shape in {number} of {file}"
                )
            layer = nn.Linear(weight.shape[1], weight.shape[0])
            layer.load_state_dict({"weight": weight, "bias": held[f"{number}.bias"].float()})
            self.layers.append(layer)

    @property
    def inputs(self) -> int:
        """D, values of an activation."""
        return int(self.layers[0].in_features)  # type: ignore[arg-type]

    def forward(self, activations: Tensor) -> Tensor:
        """See `Host`."""
        for number, layer in enumerate(self.layers):
            activations = layer(activations if number == 0 else activations.relu())
        return activations


class Losses(NamedTuple):
    """Mean cross-entropies of the network, in nats."""

    clean: float
    """With its own activations."""
    reconstructed: float
    zero: float
    """With zeros in their place."""
    mean: float
    """With the mean of the training set in their place."""

    def recovered(self, ablated: float) -> float | None:
        """The share of the loss between an ablation and the clean network; None where the ablation costs nothing.

        It costs nothing where the difference is rounding beside the loss itself, or beside one nat, which is about what
        a guess between three classes costs: a network that is sure has losses of 1e-8, in 32 bits.
        """
        lost = ablated - self.clean
        return None if is_rounding(lost, max(1.0, ablated)) else (ablated - self.reconstructed) / lost


@torch.no_grad()
def losses(host: Host, x: Tensor, reconstruction: Tensor, y: Tensor, mean: Tensor) -> Tensor:
    """The sums over a batch of the four cross-entropies of `Losses`, in their order, (4,) float64.

    Args:
        host: what follows the layer.
        x: (B, D) activations.
        reconstruction: (B, D).
        y: (B,) classes.
        mean: (D,) of the training activations.
    """
    replaced = (x, reconstruction, torch.zeros_like(x), mean.expand_as(x))
    found = [nn.functional.cross_entropy(host(each), y, reduction="sum").double() for each in replaced]
    return torch.stack(found)
