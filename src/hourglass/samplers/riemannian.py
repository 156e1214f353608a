"""Draws by the metric that was learned with the model: codes near those of training are likely.

    p(z) = sqrt(det G^-1(z)) / Z,    see `samplers.geometry`

within the smallest box that holds all centroids, and T more on each side: far from all of them the density is low and
does not end, and in many units there is so much room that long chains end there. Hamiltonian Monte Carlo draws from it.
A chain begins at a centroid c_i, and in each of its moves goes K leapfrog steps with a new momentum m, to be kept with
probability min(1, exp(H - H')):

    H = -log sqrt(det G^-1(z)) + |m|^2 / 2,    m ~ N(0, I)
"""

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks import Bottleneck
from hourglass.samplers.geometry import Geometry
from hourglass.samplers.sampler import Sampler, check_codes
from hourglass.system.checks import check_above, check_count

__all__ = ["Riemannian"]

_BLOCK = 250  # chains at a time: what they take stays in the cache, and does not grow with the draws


class Riemannian(Sampler):
    """Hamiltonian Monte Carlo chains, one for each draw, from centroids of the learned metric.

    A draw takes moves x steps x 2 centroids x code_size^2 multiplications.

    Reference: Data augmentation in high dimensional low sample size setting using a geometry-based variational
    autoencoder (Chadebec, Thibeau-Sutre, Burgos & Allassonnière, 2022).

    Args:
        code_size: number of code units.
        moves: of a chain, at least 1: the more, the farther from the centroid that it began at.
        steps: K, leapfrog steps of a move, at least 1.
        size: of a step, above 0.

    Example:
        >>> Riemannian(code_size=2, moves=10, steps=5, size=0.1)
        Riemannian(code_size=2, moves=10, steps=5, size=0.1)
    """

    centroids: Tensor
    matrices: Tensor
    temperature: Tensor
    ridge: Tensor

    def __init__(self, *, code_size: int, moves: int, steps: int, size: float) -> None:
        super().__init__(code_size=code_size)
        check_count("moves", moves)
        check_count("steps", steps)
        check_above("size", size)
        self.moves, self.steps, self.size = moves, steps, size
        self.register_buffer("centroids", torch.zeros(1, code_size))
        self.register_buffer("matrices", torch.zeros(1, code_size, code_size))
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("ridge", torch.ones(()))

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, moves={self.moves}, steps={self.steps}, size={self.size:g}"

    @override
    def check(self, bottleneck: Bottleneck, *, samples: int, geometry: Geometry | None = None) -> None:
        """See `Sampler.check`: refuses a training that learns no metric too."""
        check_codes(bottleneck, samples=samples)
        if geometry is None:
            raise ValueError(
                "draws go by a metric that is learned with the model: set training=riemannian, or sampler=none"
            )

    @override
    def fit(self, codes: Tensor, *, geometry: Geometry | None = None) -> None:
        """See `Sampler.fit`: the metric is all of it."""
        assert geometry is not None, "`check` asks for one"
        for name, value in geometry._asdict().items():
            setattr(self, name, value.detach().clone())

    @override
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # A metric has as many centroids as its training has kept.
        count = len(state_dict.get(f"{prefix}centroids", self.centroids))
        self.centroids = self.centroids.new_empty(count, self.code_size)
        self.matrices = self.matrices.new_empty(count, self.code_size, self.code_size)
        super()._load_from_state_dict(state_dict, prefix, *args)

    @override
    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        starts = torch.randint(len(self.centroids), (count,), device=self.centroids.device)
        return torch.cat([self._moved(self.centroids[block]) for block in torch.split(starts, _BLOCK)])

    def _moved(self, z: Tensor) -> Tensor:
        """Codes (B, code_size) after all moves of their chains."""
        geometry = Geometry(self.centroids, self.matrices, self.temperature, self.ridge)
        low, high = self.centroids.amin(0) - self.temperature, self.centroids.amax(0) + self.temperature
        height, force = _slope(geometry, z)
        for _ in range(self.moves):
            m = torch.randn_like(z)
            end, above, pull = z, height, force
            energy = 0.5 * m.square().sum(1) - height
            for _ in range(self.steps):
                m = m + self.size / 2 * pull
                end = end + self.size * m
                above, pull = _slope(geometry, end)
                m = m + self.size / 2 * pull
            lost = energy - 0.5 * m.square().sum(1) + above
            within = ((end >= low) & (end <= high)).all(1)
            kept = within & (torch.rand_like(lost).log() < lost)  # never where it is NaN
            height = above.where(kept, height)
            z, force = (new.where(kept[:, None], old) for new, old in ((end, z), (pull, force)))
        return z


def _slope(geometry: Geometry, z: Tensor) -> tuple[Tensor, Tensor]:
    """Codes (B, code_size) to log sqrt(det G^-1), (B,), and its gradient."""
    place = geometry.at(z)
    return place.log_volume, geometry.gradient(z, place.shares, place.metric)
