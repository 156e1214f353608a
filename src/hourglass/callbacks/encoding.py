"""Codes of many samples."""

import torch
from torch import Tensor

from hourglass.training import Learner


@torch.no_grad()
def encode(learner: Learner, x: Tensor) -> Tensor:
    """Codes (N, code_size) of clean samples (N, *shape), on the CPU."""
    blocks = [
        learner.model.encode(learner.data.scaled(block.to(learner.device))).float().cpu()
        for block in torch.split(x, 1000)
    ]
    return torch.cat(blocks)
