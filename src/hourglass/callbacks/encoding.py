"""Codes of many samples."""

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
