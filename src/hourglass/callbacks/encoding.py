"""Codes and errors of many samples."""

import torch
from torch import Tensor

from hourglass.data.dataset import EVAL_BATCH
from hourglass.training import Learner


@torch.no_grad()
def encode(learner: Learner, x: Tensor) -> Tensor:
    """Codes (N, code_size) of clean samples (N, *shape), on the CPU."""
    blocks = [
        learner.model.encode(learner.data.scaled(block.to(learner.device))).float().cpu()
        for block in torch.split(x, EVAL_BATCH)
    ]
    return torch.cat(blocks)


@torch.no_grad()
def squared_errors(learner: Learner, x: Tensor, goal: Tensor | None = None) -> Tensor:
    """Mean squared error (N,) per element of each clean sample (N, *shape), on the CPU.

    goal: their targets (N, *target shape); None: they themselves.
    """
    blocks = []
    for block, wanted in zip(
        *(torch.split(each, EVAL_BATCH) for each in (x, x if goal is None else goal)), strict=True
    ):
        seen = learner.data.target(block.to(learner.device))
        target = learner.data.goal(seen, None if goal is None else wanted.to(learner.device))
        reconstruction = learner.model(learner.data.filled(seen)).reconstruction
        blocks.append((reconstruction - target).square().flatten(1).nanmean(1).float().cpu())
    return torch.cat(blocks)
