"""Codes and errors of many samples."""

import torch
from torch import Tensor

from hourglass.data.dataset import EVAL_BATCH
from hourglass.training import Learner
from hourglass.training.batches import blocks_of


@torch.no_grad()
def encode(learner: Learner, x: Tensor, y: Tensor | None = None) -> Tensor:
    """Codes (N, code_size) of clean samples (N, *shape), and their classes where there are any, on the CPU."""
    blocks = [
        learner.model.encode(learner.data.scaled(block.to(learner.device)), told(learner, classes)).float().cpu()
        for block, classes in blocks_of(x, y)
    ]
    return torch.cat(blocks)


def told(learner: Learner, y: Tensor | None) -> Tensor | None:
    """The classes (B,) of samples where the learner has its model."""
    return None if y is None else y.to(learner.device)


@torch.no_grad()
def squared_errors(learner: Learner, x: Tensor, y: Tensor | None = None, *, goal: Tensor | None = None) -> Tensor:
    """Mean squared error (N,) per element of each clean sample (N, *shape), on the CPU.

    y: their classes, where there are any. goal: their targets (N, *target shape); None: they themselves.
    """
    data, blocks = learner.data, []
    goals = torch.split(x if goal is None else goal, EVAL_BATCH)
    for (block, classes), wanted in zip(blocks_of(x, y), goals, strict=True):
        seen = data.target(block.to(learner.device))
        target = data.goal(seen, None if goal is None else wanted.to(learner.device))
        reconstruction = learner.model(data.filled(seen), told(learner, classes)).reconstruction
        blocks.append((reconstruction - target).square().flatten(1).nanmean(1).float().cpu())
    return torch.cat(blocks)
