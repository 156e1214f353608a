"""One step of an optimizer, once its weights have their gradients."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hourglass.training.replicas import Replicas

__all__ = ["apply_gradients"]


def apply_gradients(
    weights: Sequence[Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    clip: float | None,
    scaler: torch.amp.GradScaler | None,
    replicas: Replicas,
) -> None:
    """Average the gradients over the devices, scale them back, clip them, and make the step.

    Args:
        weights: of the optimizer, with their gradients.
        optimizer: whose step it is.
        clip: largest norm of the gradient; None: no clipping.
        scaler: what the loss was scaled by; None: it wasn't.
        replicas: the devices that make the step together.
    """
    # Before they are scaled back: one that isn't finite is so for all devices, and all leave the step out.
    replicas.add_up([weight.grad for weight in weights if weight.grad is not None], weight=replicas.weight)
    if scaler is not None:
        scaler.unscale_(optimizer)
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(weights, clip)
    if scaler is None:
        optimizer.step()
    else:
        scaler.step(optimizer)
        scaler.update()
    # An autocast region around several steps keeps its casts of the weights: without this, every step but
    # the chunk's first would see the weights of the first.
    torch.clear_autocast_cache()
