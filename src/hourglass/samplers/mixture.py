"""Mixtures of gaussians; a single gaussian is the mixture of one.

p(z) = sum_k w_k N(z; m_k, L_k L_k^T)
"""

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks import Bottleneck
from hourglass.samplers.geometry import Geometry
from hourglass.samplers.sampler import Sampler, check_codes
from hourglass.system.checks import check_whole

__all__ = ["Mixture"]

_RIDGE = 1e-6  # added to the variances, in units of each unit's own, so that no component collapses onto a sample
_ITERATIONS = 300


class Mixture(Sampler):
    """A mixture of gaussians with full covariances, fitted by expectation maximisation from k-means.

    Units are scaled to variance 1 for the fit, so that it is the same for small and large codes; a unit that never
    changes keeps its value in every draw. Takes components x code_size^2 numbers, and as many times the samples
    multiplications for each iteration.

    Reference: From variational to deterministic autoencoders (Ghosh et al., 2020), with 10 components.

    Args:
        code_size: number of code units.
        components: gaussians, at least 1; as many training samples are needed, and two.

    Example:
        >>> Mixture(code_size=2, components=10)
        Mixture(code_size=2, components=10)
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, *, code_size: int, components: int) -> None:
        super().__init__(code_size=code_size)
        check_whole("components", components, lowest=1)
        self.components = components
        self.register_buffer("weights", torch.zeros(components))
        self.register_buffer("means", torch.zeros(components, code_size))
        self.register_buffer("factors", torch.zeros(components, code_size, code_size))

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, components={self.components}"

    @override
    def check(self, bottleneck: Bottleneck, *, samples: int, geometry: Geometry | None = None) -> None:
        """See `Sampler.check`: refuses symbols, which have no density, and too few samples."""
        check_codes(bottleneck, samples=samples)
        if samples < self.components:
            raise ValueError(f"components must be at most the training samples, {samples}, got {self.components}")

    @override
    def fit(self, codes: Tensor, *, geometry: Geometry | None = None) -> None:
        """See `Sampler.fit`; the same for the same codes."""
        import warnings

        import numpy as np
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        h = codes.detach().double().cpu().numpy()
        offset, scale = h.mean(axis=0), h.std(axis=0)
        scale[scale <= 1e-12 * np.abs(offset)] = 0.0  # rounding
        units = (h - offset) / np.where(scale > 0, scale, 1.0)
        mixture = GaussianMixture(self.components, reg_covar=_RIDGE, max_iter=_ITERATIONS, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct codes than components are no mistake
            mixture.fit(units)
        self.weights.copy_(torch.from_numpy(mixture.weights_))
        self.means.copy_(torch.from_numpy(offset + scale * mixture.means_))
        self.factors.copy_(torch.from_numpy(scale[:, None] * np.linalg.cholesky(mixture.covariances_)))

    def log_density(self, code: Tensor) -> Tensor | None:
        """See `HasLogDensity.log_density`."""
        if not bool((self.factors.diagonal(dim1=1, dim2=2) > 0).all()):
            return None
        each = torch.distributions.MultivariateNormal(self.means, scale_tril=self.factors, validate_args=False)
        log_densities = each.log_prob(code.to(self.means)[..., None, :])  # type: ignore[no-untyped-call] # (..., components)
        return torch.logsumexp(log_densities + self.weights.log(), dim=-1).to(code.device)

    @override
    def sample(self, count: int) -> Tensor:
        chosen = torch.multinomial(self.weights, count, replacement=True)
        draws = torch.randn(count, self.code_size, device=self.means.device)
        for component in range(self.components):
            rows = (chosen == component).nonzero().flatten()
            draws[rows] = self.means[component] + draws[rows] @ self.factors[component].T
        return draws
