"""Fitting a density by gradients: Adam on batches of codes, the same for the same codes."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

BATCH = 256
RATE = 3e-3
"""Of Adam at the first step; it falls to 0 as a cosine does."""


@contextmanager
def own_random(seed: int = 0) -> Iterator[None]:
    """Within, torch's random numbers begin with a seed; the caller's stay as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def descend(rows: Tensor, loss: Callable[[Tensor], Tensor], *, networks: Iterable[nn.Module], steps: int) -> None:
    """Train networks from new weights until so many steps have been made.

    Args:
        rows: (N, ...) what is learned from; batches of `BATCH`, drawn with replacement.
        loss: of a batch, a scalar.
        networks: whose parameters learn; their weights are drawn anew first, by one seed.
        steps: at least 1.
    """
    networks = list(networks)
    with own_random(), torch.inference_mode(False), torch.enable_grad():
        rows = rows.clone()  # one of inference mode takes no part in gradients
        for each in networks:
            each.apply(_begin_anew)
        parameters = [weight for each in networks for weight in each.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(rows[torch.randint(len(rows), (BATCH,))]).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, 10.0)
            optimizer.step()
            schedule.step()


def _begin_anew(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if reset is not None:
        reset()
