"""Noise: the corruption processes C(x~ | x) of a denoising autoencoder.

The model sees x~, a draw of the process; the target of the reconstruction is always the clean x
(Vincent et al., 2008). A `Corruption` is a chain of processes, by name; an empty chain is the identity.
Levels are buffers, so that models that differ only in their noise level can be trained as one stack; they are settings
and no weights, so no checkpoint holds them.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Process(nn.Module):
    """One corruption process: (B, *shape) to (B, *shape), drawn from torch's global random numbers."""

    @abstractmethod
    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        """Corrupt x; `bounds` (2,) holds the lowest and the highest value of the training data."""


class Masking(Process):
    """Masking noise: each input is set to zero with probability p.

    x~_i = m_i x_i,  m_i ~ Bernoulli(1 - p)

    Reference: Extracting and composing robust features with denoising autoencoders (Vincent et al., 2008).

    Args:
        share: p, the expected share of inputs set to zero, in [0, 1].
    """

    share: Tensor

    def __init__(self, *, share: float) -> None:
        super().__init__()
        _check("share", share, highest=1.0)
        self.register_buffer("share", torch.tensor(share), persistent=False)

    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:  # noqa: ARG002
        """See `Process.forward`."""
        return x * (torch.rand_like(x) >= self.share)


class Gaussian(Process):
    """Additive white Gaussian noise, clipped to the range of the data or not.

    x~ = x + sigma e,  e ~ N(0, 1);  clipped: min(max(x~, low), high)

    Clipping changes what a PSNR means, so it is a key and never implied.

    Args:
        sigma: standard deviation in the unit of the data, at least 0.
        clip: whether to clip to the lowest and highest value of the training data.
    """

    sigma: Tensor

    def __init__(self, *, sigma: float, clip: bool) -> None:
        super().__init__()
        _check("sigma", sigma)
        self.register_buffer("sigma", torch.tensor(sigma), persistent=False)
        self.clip = clip

    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        """See `Process.forward`."""
        noisy = x + self.sigma * torch.randn_like(x)
        return noisy.clamp(bounds[0], bounds[1]) if self.clip else noisy


class SaltAndPepper(Process):
    """Salt-and-pepper noise by share: each input becomes, with probability p, the lowest or highest value.

    x~_i = x_i with probability 1 - p, low with p/2, high with p/2

    Reference: Stacked denoising autoencoders (Vincent et al., 2010).

    Args:
        share: p, the expected share of inputs hit, in [0, 1].
    """

    share: Tensor

    def __init__(self, *, share: float) -> None:
        super().__init__()
        _check("share", share, highest=1.0)
        self.register_buffer("share", torch.tensor(share), persistent=False)

    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        """See `Process.forward`."""
        u = torch.rand_like(x)
        # One uniform number decides both: u < p/2 is pepper, p/2 <= u < p is salt.
        return torch.where(u >= self.share, x, torch.where(u < self.share / 2, bounds[0], bounds[1]).to(x.dtype))


class SaltAndPepperCount(Process):
    """Salt-and-pepper noise by count: k inputs of each sample, drawn with replacement, become low or high.

    Because of the replacement at most k inputs change, on average n (1 - (1 - 1/n)^k) of n.

    Args:
        count: k, draws per sample, at least 0.
    """

    def __init__(self, *, count: int) -> None:
        super().__init__()
        if count < 0:
            raise ValueError(f"count must be at least 0, got {count}")
        self.count = count

    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        """See `Process.forward`."""
        flat = x.flatten(1)
        hit = torch.randint(flat.shape[1], (len(flat), self.count), device=x.device)
        value = bounds.to(x.dtype)[torch.randint(2, hit.shape, device=x.device)]
        return flat.scatter(1, hit, value).view_as(x)


class Corruption(nn.Module):
    """A chain of corruption processes, applied in the order of their names in the configuration.

    Args:
        bounds: lowest and highest value of the training data.
        frozen: draw the corruption of the training set once, instead of anew at every step.
        seed: seed of the draws for validation, test and frozen training data, so that metrics are comparable.
        processes: the processes by name; none is the identity.
    """

    bounds: Tensor

    def __init__(self, *, bounds: Sequence[float], frozen: bool, seed: int, **processes: Process) -> None:
        super().__init__()
        low, high = bounds
        self.register_buffer("bounds", torch.tensor([low, high]), persistent=False)
        self.frozen = frozen and bool(processes)
        self.seed = seed
        self.processes = nn.ModuleDict(processes)

    def forward(self, x: Tensor) -> Tensor:
        """Clean (B, *shape) to corrupted (B, *shape)."""
        for process in self.processes.values():
            x = process(x, self.bounds)
        return x

    @contextmanager
    def fixed(self, batch: int = 0) -> Iterator[None]:
        """Within, draws start from `seed` and the number of the batch; afterwards they go on as if undisturbed."""
        devices = [self.bounds.device] if self.bounds.is_cuda else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(self.seed * 1_000_003 + batch)
            yield


def _check(key: str, value: float, highest: float = math.inf) -> None:
    if not 0 <= value <= highest or math.isinf(value):
        allowed = "at least 0 and finite" if math.isinf(highest) else f"from 0 to {highest:g}"
        raise ValueError(f"{key} must be {allowed}, got {value}")
