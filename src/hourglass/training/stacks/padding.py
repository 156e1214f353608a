"""Padding: how models of different sizes become slices of one tensor.

A smaller model is a larger one whose further units are cut off. Each of its tensors w lies within the larger one's W,

    W[place] = w,    W = 0 elsewhere

as a rule at the beginning of every axis. Only what the encoder puts out may come in blocks of one value per code unit,
[means | log variances], in which the smaller model's values are the beginning of each block.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from hourglass.training.minibatch import Minibatch

Place = tuple[slice | Tensor, ...]
"""What to index a tensor of the larger model with to have the smaller one's."""


def tensors(learner: Minibatch) -> dict[str, Tensor]:
    """Parameters and buffers of a learner by name, each once."""
    return {**dict(learner.named_parameters()), **dict(learner.named_buffers())}


def places(learner: Minibatch, within: Minibatch) -> dict[str, Place]:
    """Where each tensor of a learner lies within that of the same name of another, which is at least as large."""
    neck, large = learner.model.bottleneck, within.model.bottleneck
    rows = blocks(neck.code_size, large.code_size, count=large.inputs // large.code_size)
    code_layer = _code_layer(learner)
    found: dict[str, Place] = {}
    for name, small in tensors(learner).items():
        place: list[slice | Tensor] = [slice(0, length) for length in small.shape]
        if name.rpartition(".")[0] == code_layer and len(small) == neck.inputs:
            place[0] = rows.to(small.device)
        found[name] = tuple(place)
    return found


def blocks(size: int, large: int, *, count: int) -> Tensor:
    """Where `count` blocks of `size` values lie within as many blocks of `large` values: (count size,)."""
    return torch.arange(count * large).view(count, large)[:, :size].flatten()


def _code_layer(learner: Minibatch) -> str:
    """Name of the encoder's last layer."""
    weights = [name for name, weight in learner.model.encoder.named_parameters() if weight.ndim >= 2]
    return f"model.encoder.{weights[-1].rpartition('.')[0]}"


def pack(like: Tensor, parts: Sequence[Tensor], at: Sequence[Place]) -> Tensor:
    """Tensors of several models in one (len(parts), *like.shape), zero where a model has nothing."""
    stacked = like.new_zeros(len(parts), *like.shape)
    for row, part, place in zip(stacked, parts, at, strict=True):
        row[place] = part.detach()
    return stacked


@torch.no_grad()
def unpack(stacked: Tensor, parts: Sequence[Tensor], at: Sequence[Place]) -> None:
    """The inverse of `pack`: each model gets its own values back, in place."""
    for row, part, place in zip(stacked, parts, at, strict=True):
        part.copy_(row[place])


def empty(shapes: Mapping[str, Tensor], at: Sequence[Mapping[str, Place]]) -> dict[str, Tensor]:
    """Where models have nothing, (members, *shape), for those of the tensors where some model doesn't have all."""
    found: dict[str, Tensor] = {}
    for name, like in shapes.items():
        mask = torch.ones(len(at), *like.shape, dtype=torch.bool, device=like.device)
        for row, place in zip(mask, at, strict=True):
            row[place[name]] = False
        if bool(mask.any()):
            found[name] = mask
    return found
