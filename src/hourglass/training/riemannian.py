"""Hamiltonian dynamics that know the shape of the codes: the momentum's metric is learned with the model.

The inverse metric G^-1(z) lies around the codes c_i of samples x_i with matrices L_i that a network makes of them (see
`samplers.geometry`), so that steps are long near samples and short where none is. A draw z_0 of q(z | x) is moved, as
`training.dynamics` says, in

    H(z, v) = -log p(x | z) - log p(z) + log(det G(z)) / 2 + v^T G^-1(z) v / 2

by the generalised leapfrog step, whose first line, of v' and z', is solved by iterating it:

    v_0 = G(z_0)^(1/2) g / sqrt(b_0),   g ~ N(0, I)
    v' = v - e/2 dH/dz(z, v'),    z' = z + e/2 (G^-1(z) + G^-1(z')) v'
    v <- sqrt(b_{k-1} / b_k) (v' - e/2 dH/dz(z', v')),    z <- z'

    loss = -mean_b  log p(x | z_K) + log p(z_K) + log N(v_K; 0, G(z_K))
                    - log q(z_0 | x) - log N(sqrt(b_0) v_0; 0, G(z_0))

A training step takes the samples of its batch for centroids. What is measured, and drawn after the training
(`sampler=riemannian`), goes by those of training samples, which the end of every epoch encodes anew.
"""

import math
from typing import Unpack, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.bottlenecks.variational import Variational
from hourglass.models import Output
from hourglass.samplers.geometry import Geometry, Place
from hourglass.system.checks import check_above, check_count
from hourglass.system.errors import HourglassError
from hourglass.system.modes import evaluating
from hourglass.system.precision import full_precision, wide
from hourglass.training.batches import blocks_of, some_of
from hourglass.training.dynamics import Dynamics, DynamicsArguments, Moved
from hourglass.training.lightning_internals import is_fitting
from hourglass.training.plain import is_own

__all__ = ["Metric", "Riemannian"]

LARGEST_CODE = 128
"""Units of a code, at most: the metric has as many numbers squared for every centroid and every sample."""


class Metric(nn.Module):
    """The network of the matrices L, and what it made of training samples, with their codes.

    Args:
        inputs: values of a sample.
        code_size: number of code units.
        width: units of the one hidden layer.
        centroids: training samples that are kept.

    Example:
        >>> metric = Metric(inputs=4, code_size=2, width=8, centroids=10)
        >>> lower = metric(torch.zeros(1, 4), torch.ones(2))[0]
        >>> bool(lower[0, 1] == 0), bool((lower.diagonal() > 0).all())
        (True, True)
    """

    centroids: Tensor
    matrices: Tensor

    def __init__(self, *, inputs: int, code_size: int, width: int, centroids: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(width)
        self.hidden = nn.Linear(inputs, width)
        # Of whole matrices, though nothing above the diagonal is used: in a stack a smaller one begins a larger one.
        self.weight = nn.Parameter(torch.empty(code_size, code_size, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(code_size, code_size))
        self.register_buffer("centroids", torch.zeros(centroids, code_size))
        self.register_buffer("matrices", torch.zeros(centroids, code_size, code_size))  # 0 counts nowhere

    @override
    def forward(self, x: Tensor, active: Tensor) -> Tensor:
        """Samples (B, *shape) to L, (B, code_size, code_size), 0 in units that aren't `active`, (code_size,)."""
        hidden = self.hidden(x.flatten(1)).relu()
        values = wide(torch.einsum("bw,ijw->bij", hidden, self.weight) + self.bias)
        lower = values.tril(-1) + torch.diag_embed(values.diagonal(dim1=-2, dim2=-1).exp())
        return lower * active * active[:, None]


class Riemannian(Dynamics):
    """Trains a variational autoencoder on the bound of a posterior that dynamics of a learned metric have moved.

    Network and centroids are kept as `metric.safetensors`. Each leapfrog step costs one gradient of the decoder, and
    code_size^2 multiplications of each sample with each centroid, for every iteration.

    References: Geometry-aware Hamiltonian variational auto-encoder (Chadebec, Mantoux & Allassonnière, 2020); Data
    augmentation in high dimensional low sample size setting using a geometry-based variational autoencoder (Chadebec,
    Thibeau-Sutre, Burgos & Allassonnière, 2022).

    Args:
        temperature: T, how far a centroid is felt, above 0.
        ridge: r, the least eigenvalue of G^-1, above 0; lambda in the references.
        width: units of the hidden layer of the network of L, at least 1.
        centroids: training samples, at most, that the metric is kept of, a random subset; 1 to 10,000.
        iterations: in which each of the two is solved, at least 1.

    The other arguments and errors: `Dynamics`.

    Raises:
        ValueError: a code of more than 128 units; a number out of its range.
        HourglassError: a loader of a person's own.

    Example:
        >>> from hourglass.pipeline.compose import compose
        >>> from hourglass.configuration.composition import compose_config
        >>> words = ["data=digits", "bottleneck=gaussian", "training=riemannian", "model.code_size=2"]
        >>> compose(compose_config(words)[0]).learner.metric.centroids.shape
        torch.Size([500, 2])
    """

    mixes_samples = True
    temperature: Tensor
    ridge: Tensor

    def __init__(
        self,
        *,
        temperature: float,
        ridge: float,
        width: int,
        centroids: int,
        iterations: int,
        **shared: Unpack[DynamicsArguments],
    ) -> None:
        super().__init__(**shared)
        check_above("temperature", temperature)
        check_above("ridge", ridge)
        check_count("width", width)
        check_count("centroids", centroids, high=10_000)
        check_count("iterations", iterations)
        size = self.model.code_size
        if size > LARGEST_CODE:
            raise ValueError(
                "the metric has code_size^2 numbers for every centroid: model.code_size must be at most"
                f" {LARGEST_CODE}, got {size}"
            )
        self.iterations = iterations
        self.register_buffer("temperature", torch.tensor(temperature), persistent=False)
        self.register_buffer("ridge", torch.tensor(ridge), persistent=False)
        self.metric = Metric(inputs=math.prod(self.model.shape), code_size=size, width=width, centroids=centroids)
        learned = (self.model, self.leapfrog, self.metric)
        self.optimizer = self.make_optimizer(params=[weight for part in learned for weight in part.parameters()])

    @property
    @override
    def geometry(self) -> Geometry:
        """The metric of training samples, as the last epoch has left them."""
        kept = self.metric.matrices.flatten(1).any(1)
        return self._geometry(self.metric.centroids[kept], self.metric.matrices[kept])

    def _geometry(self, centroids: Tensor, matrices: Tensor) -> Geometry:
        return Geometry(centroids, matrices, self.temperature, self.ridge)

    def around(self, given: Tensor, encoded: Tensor) -> Geometry:
        """The metric of samples: what the encoder was given (B, *shape), and what it put out (B, bottleneck.inputs)."""
        neck = cast(Variational, self.model.bottleneck)
        lower = self.metric(given, neck.active)
        with full_precision(lower):
            return self._geometry(wide(neck.in_use(encoded)), lower @ lower.mT)

    @override
    def follow(self, z: Tensor, g: Tensor, x: Tensor, output: Output) -> Moved:
        assert output.given is not None
        if self.training:
            geometry = self.around(output.given, output.encoded)
        else:
            geometry = self._geometry(self.metric.centroids, self.metric.matrices)
        return self.moved(wide(z), wide(g), x, geometry, output.y)

    def moved(self, z: Tensor, g: Tensor, x: Tensor, geometry: Geometry, y: Tensor | None = None) -> Moved:
        """Codes and draws of N(0, 1), (B, code_size) both, to the code after the last step and the momentum's cost."""
        sizes, cold = self.leapfrog.sizes * self.model.bottleneck.active, self.leapfrog.cold
        here = geometry.at(z)
        before = here.log_volume - 0.5 * g.square().sum(1)
        v = _times(here.root, g) / cold[0]
        force = self.force(z, x, y)
        for k in range(1, self.leapfrog.steps + 1):
            half = v
            for _ in range(self.iterations):
                half = v + sizes / 2 * (force + _pull(geometry, z, here, half))
            there = here.inverse
            for _ in range(self.iterations - 1):
                there = geometry.inverse(z + sizes / 2 * _times(here.inverse + there, half))
            end = z + sizes / 2 * _times(here.inverse + there, half)
            z, here, force = end, geometry.at(end), self.force(end, x, y)
            v = cold[k - 1] / cold[k] * (half + sizes / 2 * (force + _pull(geometry, z, here, half)))
        after = here.log_volume - 0.5 * (v * _times(here.inverse, v)).sum(1)
        return Moved(z, before - after)  # the constants of both cancel

    @torch.no_grad()
    def keep_centroids(self) -> None:
        """Make the metric anew of training samples, with the weights as they are; noise is the same every time."""
        x, y = some_of(self.data.train, len(self.metric.centroids))
        first = 0
        with evaluating(self.model), torch.autocast(self.device.type, enabled=False):
            for index, (block, told) in enumerate(blocks_of(x, y)):
                clean = self.data.scaled(block.to(self.device)).to(self.dtype)
                with self.noise.seeded(index):
                    given = self.noise(clean)
                    encoded = self.model.encoded(given, None if told is None else told.to(self.device))
                found = self.around(given, encoded)
                rows = slice(first, first := first + len(block))
                self.metric.centroids[rows], self.metric.matrices[rows] = found.centroids, found.matrices

    @override
    def on_train_start(self) -> None:
        super().on_train_start()
        if not is_own(self.trainer.train_dataloader):
            raise HourglassError(
                "training=riemannian needs the training samples that the module was made of, whose codes its metric"
                " goes by, got a loader of your own"
            )

    @override
    def on_validation_epoch_start(self) -> None:
        """Keep the metric of this epoch's weights, and measure by it."""
        if is_fitting(self.trainer):
            self.keep_centroids()
        super().on_validation_epoch_start()

    @override
    def on_fit_end(self) -> None:
        """Keep the metric of the weights that are kept, before the sampler is fitted to it."""
        self.keep_centroids()
        super().on_fit_end()

    @override
    def auxiliary_networks(self) -> dict[str, nn.Module]:
        """Step sizes, heat and the metric."""
        return {**super().auxiliary_networks(), "metric": self.metric}


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """(B, n, n) and (B, n) to (B, n)."""
    with full_precision(vectors):
        return (matrices @ vectors[..., None])[..., 0]


def _pull(geometry: Geometry, z: Tensor, here: Place, v: Tensor) -> Tensor:
    """-d/dz (log(det G) / 2 + v^T G^-1 v / 2), (B, code_size)."""
    return geometry.gradient(z, here.shares, here.metric - v[:, :, None] * v[:, None, :])
