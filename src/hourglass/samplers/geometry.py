"""A Riemannian metric of the code space, which training samples give it: distances are short near them.

Of a centroid c_i, the code of a training sample, and a lower triangular L_i, the inverse of the metric at a code z is

    G^-1(z) = sum_i L_i L_i^T exp(-|z - c_i|^2 / T^2) + r I

and sqrt(det G^-1(z)) is large near centroids and r^(n/2) far from all of them: as a density it draws codes between and
around those of the training set. All that its use takes is one derivative, of which S = G(z) makes that of
log sqrt(det G^-1(z)), and S = v v^T that of v^T G^-1(z) v / 2:

    d/dz tr(S G^-1(z)) / 2 = -1/T^2 sum_i exp(-|z - c_i|^2 / T^2) tr(S L_i L_i^T) (z - c_i)

Reference: Geometry-aware Hamiltonian variational auto-encoder (Chadebec, Mantoux & Allassonnière, 2020).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from hourglass.system.precision import full_precision

__all__ = ["Geometry", "Place"]


class Place(NamedTuple):
    """The metric at codes."""

    shares: Tensor
    """(B, centroids): exp(-|z - c_i|^2 / T^2)."""
    inverse: Tensor
    """(B, code_size, code_size): G^-1."""
    metric: Tensor
    """(B, code_size, code_size): G."""
    root: Tensor
    """(B, code_size, code_size): C, upper triangular, with G = C C^T."""
    log_volume: Tensor
    """(B,): log sqrt(det G^-1)."""


class Geometry(NamedTuple):
    """A metric, known at every code.

    Example:
        >>> geometry = Geometry(torch.zeros(1, 2), torch.eye(2)[None], torch.tensor(1.0), torch.tensor(0.5))
        >>> geometry.at(torch.zeros(1, 2)).inverse
        tensor([[[1.5000, 0.0000],
                 [0.0000, 1.5000]]])
    """

    centroids: Tensor
    """(centroids, code_size): c."""
    matrices: Tensor
    """(centroids, code_size, code_size): L L^T; 0 for a centroid that there is none of."""
    temperature: Tensor
    """(): T, how far a centroid is felt."""
    ridge: Tensor
    """(): r, the least eigenvalue of G^-1."""

    def shares(self, z: Tensor) -> Tensor:
        """Codes (B, code_size) to what each centroid counts there, (B, centroids)."""
        with full_precision(z):
            squares = z.square().sum(1, keepdim=True) + self.centroids.square().sum(1) - 2 * z @ self.centroids.T
            return (-squares.clamp(min=0) / self.temperature.square()).exp()

    def inverse(self, z: Tensor) -> Tensor:
        """Codes (B, code_size) to G^-1, (B, code_size, code_size)."""
        return self._inverse(self.shares(z))

    def _inverse(self, shares: Tensor) -> Tensor:
        size = self.centroids.shape[1]
        with full_precision(shares):
            found = (shares @ self.matrices.flatten(1)).view(-1, size, size)
        return found + self.ridge * torch.eye(size, dtype=found.dtype, device=found.device)

    def at(self, z: Tensor) -> Place:
        """The metric at codes (B, code_size); NaN where numbers are too large or too small for it."""
        shares = self.shares(z)
        inverse = self._inverse(shares)
        with full_precision(z):
            factor, _ = torch.linalg.cholesky_ex(inverse)  # without an error: a loss that is NaN is told of as such
            unit = torch.eye(z.shape[1], dtype=factor.dtype, device=factor.device)
            root = torch.linalg.solve_triangular(factor, unit, upper=False).mT
            log_volume = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
            return Place(shares, inverse, root @ root.mT, root, log_volume)

    def gradient(self, z: Tensor, shares: Tensor, weights: Tensor) -> Tensor:
        """Of tr(S G^-1(z)) / 2 by z, (B, code_size).

        Args:
            z: codes (B, code_size).
            shares: see `shares`, there.
            weights: S, (B, code_size, code_size), symmetric, which is held.
        """
        with full_precision(z):
            pulls = shares * (weights.flatten(1) @ self.matrices.flatten(1).T)
            return -(pulls.sum(1, keepdim=True) * z - pulls @ self.centroids) / self.temperature.square()
