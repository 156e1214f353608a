"""What is said of a batch of codes, and of the symbols that discrete codes chose; see `measures.streaming`."""

import math

import torch
from torch import Tensor


def symbol_metrics(counts: Tensor, *, samples: int) -> dict[str, float]:
    """What is said of symbols, by how often each was chosen, (groups, K).

    A group that never chose is a codebook of a tree that no sample has come to: its symbols are there, and not in use.
    """
    choices = counts.sum(1)  # (groups,): a multiple of the samples where parts of the code share a codebook
    entropy = torch.special.entr(counts / choices.clamp(min=1).unsqueeze(1)).sum(1)  # -p ln p, 0 for p = 0
    parts = choices / samples
    return {
        "code_usage": (counts > 0).double().mean().item(),
        "code_perplexity": entropy.exp().mean().item(),
        "code_bits": (parts * entropy).sum().item() / math.log(2),
        "code_bits_capacity": parts.sum().item() * math.log2(counts.shape[1]),
    }


def hoyer(h: Tensor, l1: Tensor) -> Tensor:
    """Hoyer's sparseness (B,) of h (B, n), n > 1, h >= 0.

    An all-zero code has no direction; it counts as 1, the sparsest, because it uses no unit at all; `code_active_units`
    tells a collapse from sparsity.
    """
    root = math.sqrt(h.shape[1])
    # Divided by its largest unit, so that squares of small or large codes stay inside float32.
    peak = h.amax(1)
    l2 = (h / peak[:, None]).square().sum(1).sqrt() * peak
    value = ((root - l1 / l2) / (root - 1)).clamp(0, 1)
    return torch.where(peak == 0, torch.ones_like(value), value)
