"""New codes from known ones, without a density: on the sphere that they lie on, or between two of them.

    hypersphere    z = R u / |u|,  u ~ N(0, I),  R the mean of |h_i|
    slerp          z = (sin((1 - t) a) h_i + sin(t a) h_j) / sin a,  a the angle of h_i and h_j,  t ~ U(0, 1)
    neighbours     z = h_i + t (h_j - h_i),  h_j one of the k nearest of h_i,  t ~ U(0, 1)

Draws of a gaussian in many dimensions lie near a sphere, and straight lines between two leave it; neighbours keep to
where codes are, however bent that is, and invent little.
"""

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks import Bottleneck
from hourglass.samplers.geometry import Geometry
from hourglass.samplers.sampler import Sampler, check_codes
from hourglass.system.checks import check_count

__all__ = ["Hypersphere", "Neighbours", "Slerp"]


class Hypersphere(Sampler):
    """Evenly on the sphere around the origin with the codes' mean norm; units that are always 0 stay so.

    References: Hyperspherical variational auto-encoders (Davidson et al., 2018), whose codes all lie on one; pythae's
    sampler of that name (Chadebec, Vincent & Allassonnière, 2022).

    Args:
        code_size: number of code units.

    Example:
        >>> sampler = Hypersphere(code_size=3)
        >>> sampler.fit(torch.tensor([[3.0, 4.0, 0.0], [0.0, 5.0, 0.0]]))
        >>> draws = sampler.sample(4)
        >>> draws.norm(dim=1), draws[:, 2].abs()
        (tensor([5., 5., 5., 5.]), tensor([0., 0., 0., 0.]))
    """

    radius: Tensor
    used: Tensor

    def __init__(self, *, code_size: int) -> None:
        super().__init__(code_size=code_size)
        self.register_buffer("radius", torch.zeros(()))
        self.register_buffer("used", torch.zeros(code_size))

    @override
    def check(self, bottleneck: Bottleneck, *, samples: int, geometry: Geometry | None = None) -> None:
        """See `Sampler.check`."""
        check_codes(bottleneck, samples=samples)

    @override
    def fit(self, codes: Tensor, *, geometry: Geometry | None = None) -> None:
        """See `Sampler.fit`."""
        self.radius.copy_(codes.double().norm(dim=1).mean())
        self.used.copy_((codes != 0).any(0))

    @override
    def sample(self, count: int) -> Tensor:
        u = torch.randn(count, self.code_size, device=self.used.device) * self.used
        norms: Tensor = u.norm(dim=1, keepdim=True).clamp(min=torch.finfo(u.dtype).tiny)
        return self.radius * u / norms


class _Held(Sampler):
    """Keeps some of the codes that it is fitted to, in random order: `kept`, (codes, code_size).

    Args:
        code_size: number of code units.
        codes: how many, at least 2; as many training samples are needed.
    """

    kept: Tensor

    def __init__(self, *, code_size: int, codes: int) -> None:
        super().__init__(code_size=code_size)
        check_count("codes", codes, low=2)
        self.codes = codes
        self.register_buffer("kept", torch.zeros(codes, code_size))

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, codes={self.codes}"

    @override
    def check(self, bottleneck: Bottleneck, *, samples: int, geometry: Geometry | None = None) -> None:
        """See `Sampler.check`."""
        check_codes(bottleneck, samples=samples)
        if samples < self.codes:
            raise ValueError(f"codes must be at most the training samples, {samples}, got {self.codes}")

    @override
    def fit(self, codes: Tensor, *, geometry: Geometry | None = None) -> None:
        """See `Sampler.fit`; the same for the same codes."""
        order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(0))
        self.kept.copy_(codes[order[: self.codes]])

    def _drawn(self, count: int) -> Tensor:
        """Numbers of so many codes, (count,)."""
        return torch.randint(self.codes, (count,), device=self.kept.device)

    def _shares(self, count: int) -> Tensor:
        """T, (count, 1)."""
        return torch.rand(count, 1, device=self.kept.device)


class Slerp(_Held):
    """On the arc between two codes, spherical linear interpolation; on the line where they lie on one with the origin.

    Reference: Sampling generative networks (White, 2016).

    Args:
        code_size: number of code units.
        codes: training codes that are kept, at least 2; as many training samples are needed.

    Example:
        >>> Slerp(code_size=2, codes=1000)
        Slerp(code_size=2, codes=1000)
    """

    @override
    def sample(self, count: int) -> Tensor:
        return slerp(self.kept[self._drawn(count)], self.kept[self._drawn(count)], self._shares(count))


class Neighbours(_Held):
    """Between a code and one of its nearest, so that draws keep to where codes are.

    Reference: SMOTE: synthetic minority over-sampling technique (Chawla et al., 2002), with k = 5.

    Args:
        code_size: number of code units.
        codes: training codes that are kept, more than k; as many training samples are needed.
        k: nearest codes, at least 1.

    Example:
        >>> Neighbours(code_size=2, codes=1000, k=5)
        Neighbours(code_size=2, codes=1000, k=5)
    """

    nearest: Tensor

    def __init__(self, *, code_size: int, codes: int, k: int) -> None:
        super().__init__(code_size=code_size, codes=codes)
        check_count("k", k, high=codes - 1)
        self.k = k
        self.register_buffer("nearest", torch.zeros(codes, k, dtype=torch.int64))

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, k={self.k}"

    @override
    def fit(self, codes: Tensor, *, geometry: Geometry | None = None) -> None:
        super().fit(codes)
        apart = torch.cdist(self.kept, self.kept).fill_diagonal_(float("inf"))
        self.nearest.copy_(apart.topk(self.k, largest=False).indices)

    @override
    def sample(self, count: int) -> Tensor:
        chosen = self._drawn(count)
        which = torch.randint(self.k, (count,), device=chosen.device)
        start, end = self.kept[chosen], self.kept[self.nearest[chosen, which]]
        return start + self._shares(count) * (end - start)


def slerp(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Spherical linear interpolation of codes (count, n) at t (count, 1), from 0 to 1."""
    cosine = torch.cosine_similarity(start, end, dim=1).clamp(-1, 1)[:, None]
    angle = cosine.arccos()
    sine = angle.sin()
    straight = sine < 1e-4
    sine = sine.where(~straight, 1.0)
    bent = (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / sine
    return torch.where(straight, (1 - t) * start + t * end, bent)
