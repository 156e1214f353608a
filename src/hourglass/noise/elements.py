"""Noise on each element of a sample by itself, for data of any shape."""

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.noise.process import Process
from hourglass.system.checks import check_level, check_whole

__all__ = ["Gaussian", "Masking", "SaltAndPepper", "SaltAndPepperCount", "Speckle", "Swap"]


class Masking(Process):
    """Masking noise: each input is set to zero with probability p.

    x~_i = m_i x_i,  m_i ~ Bernoulli(1 - p)

    Reference: Extracting and composing robust features with denoising autoencoders (Vincent et al., 2008).

    Args:
        share: p, the expected share of inputs set to zero, in [0, 1].

    Example:
        >>> Masking(share=0.25)
        Masking(share=0.25)
    """

    share: Tensor
    baselines = ("biharmonic", "mean")

    def __init__(self, *, share: float = 0.5) -> None:
        super().__init__()
        check_level("share", share, highest=1.0)
        self.register_buffer("share", torch.tensor(share), persistent=False)

    @override
    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        return x * (torch.rand_like(x) >= self.share)


class Gaussian(Process):
    """Additive white Gaussian noise, clipped to the range of the data or not.

    x~ = x + sigma e,  e ~ N(0, 1);  clipped: min(max(x~, low), high)

    Clipping changes what a PSNR means, so it is a key and never implied.

    Args:
        sigma: standard deviation in the unit of the data, at least 0.
        clip: whether to clip to the lowest and highest value of the training data.

    Example:
        >>> Gaussian(sigma=0.5, clip=True)
        Gaussian(sigma=0.5, clip=True)
    """

    sigma: Tensor
    baselines = ("median", "wavelet", "non_local_means")

    def __init__(self, *, sigma: float = 0.5, clip: bool = True) -> None:
        super().__init__()
        check_level("sigma", sigma)
        self.register_buffer("sigma", torch.tensor(sigma), persistent=False)
        self.clip = clip

    @override
    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, clip={self.clip}"

    @override
    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        noisy = x + self.sigma * torch.randn_like(x)
        return noisy.clamp(bounds[0], bounds[1]) if self.clip else noisy


class Speckle(Process):
    """Speckle: multiplicative Gaussian noise, as coherent light and radar make it, clipped to the range or not.

    x~ = x (1 + sigma e),  e ~ N(0, 1);  clipped: min(max(x~, low), high)

    Reference: Some fundamental properties of speckle (Goodman, 1976); the Gaussian is its limit of many looks.

    Args:
        sigma: standard deviation relative to the value, at least 0.
        clip: whether to clip to the lowest and highest value of the training data.

    Example:
        >>> Speckle(sigma=0.5, clip=True)
        Speckle(sigma=0.5, clip=True)
    """

    sigma: Tensor
    baselines = ("median", "wavelet", "non_local_means")

    def __init__(self, *, sigma: float = 0.5, clip: bool = True) -> None:
        super().__init__()
        check_level("sigma", sigma)
        self.register_buffer("sigma", torch.tensor(sigma), persistent=False)
        self.clip = clip

    @override
    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, clip={self.clip}"

    @override
    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        noisy = x * (1 + self.sigma * torch.randn_like(x))
        return noisy.clamp(bounds[0], bounds[1]) if self.clip else noisy


class SaltAndPepper(Process):
    """Salt-and-pepper noise by share: each input becomes, with probability p, the lowest or highest value.

    x~_i = x_i with probability 1 - p, low with p/2, high with p/2

    Reference: Stacked denoising autoencoders (Vincent et al., 2010).

    Args:
        share: p, the expected share of inputs hit, in [0, 1].

    Example:
        >>> SaltAndPepper(share=0.1)
        SaltAndPepper(share=0.1)
    """

    share: Tensor
    baselines = ("median",)

    def __init__(self, *, share: float = 0.1) -> None:
        super().__init__()
        check_level("share", share, highest=1.0)
        self.register_buffer("share", torch.tensor(share), persistent=False)

    @override
    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        u = torch.rand_like(x)
        # One uniform number decides both: u < p/2 is pepper, p/2 <= u < p is salt.
        return torch.where(u >= self.share, x, torch.where(u < self.share / 2, bounds[0], bounds[1]).to(x.dtype))


class SaltAndPepperCount(Process):
    """Salt-and-pepper noise by count: k inputs of each sample, drawn with replacement, become low or high.

    Because of the replacement at most k inputs change, on average n (1 - (1 - 1/n)^k) of n.

    Args:
        count: k, draws per sample, at least 0.

    Example:
        >>> SaltAndPepperCount(count=20)
        SaltAndPepperCount(count=20)
    """

    baselines = ("median",)

    def __init__(self, *, count: int = 10) -> None:
        super().__init__()
        check_whole("count", count, lowest=0)
        self.count = count

    @override
    def extra_repr(self) -> str:
        return f"count={self.count}"

    @override
    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        flat = x.flatten(1)
        hit = torch.randint(flat.shape[1], (len(flat), self.count), device=x.device)
        value = bounds.to(x.dtype)[torch.randint(2, hit.shape, device=x.device)]
        return flat.scatter(1, hit, value).view_as(x)


class Swap(Process):
    """Swap noise: each input is, with probability p, that of another sample of the batch.

    x~_bi = x_bi with probability 1 - p,  x_ki with p / (B - 1) for each k != b

    Every value stays one that its column can take, which makes it the noise for tables of mixed scales. The draws
    depend on the batch: what a sample becomes depends on its neighbours, also where the noise is fixed or frozen, and
    a batch of one stays as it is.

    Reference: the winning entry of Porto Seguro's safe driver prediction (Jahrer, 2017); VIME (Yoon et al., 2020).

    Args:
        share: p, the expected share of inputs taken from elsewhere, in [0, 1].

    Example:
        >>> Swap(share=0.15)
        Swap(share=0.15)
    """

    share: Tensor

    def __init__(self, *, share: float = 0.15) -> None:
        super().__init__()
        check_level("share", share, highest=1.0)
        self.register_buffer("share", torch.tensor(share), persistent=False)

    @override
    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        flat = x.flatten(1)
        rows = torch.arange(len(flat), device=x.device)[:, None]
        # 1 to B - 1 places further on, and round the end: another sample, each with equal probability.
        donors = (rows + torch.randint(1, max(2, len(flat)), flat.shape, device=x.device)) % len(flat)
        hit = torch.rand(flat.shape, device=x.device) < self.share
        return torch.where(hit, flat.gather(0, donors), flat).view_as(x)
