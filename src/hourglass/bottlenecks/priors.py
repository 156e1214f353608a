"""Priors: the distribution p(z) that the codes of a variational autoencoder are brought to, and drawn from.

    normal     N(0, 1)
    mixture    sum_k w_k N(m_k, exp(v_k)),   learned
    vamp       1/K sum_k q(z | u_k),   the posteriors of learned inputs u_k

What a prior says of a draw enters the divergence, the importance weights, and the likelihood; new samples are decoded
from its draws. Inactive units are left out of every density, and are 0 in every draw.

Example:
    >>> prior = StandardNormal(code_size=2)
    >>> prior.log_density(torch.zeros(1, 2), torch.ones(2))  # -ln 2 pi
    tensor([-1.8379])
"""

import math
from abc import abstractmethod
from typing import cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.bottlenecks.bottleneck import Bottleneck, HasPosterior
from hourglass.system.checks import check_whole
from hourglass.system.precision import wide

__all__ = ["MixturePrior", "Prior", "StandardNormal", "VampPrior", "mixture_log_density", "normal_log_density"]


class Prior(nn.Module):
    """A distribution of codes.

    Args:
        code_size: number of code units.
    """

    asks_encoder = False
    """See `Bottleneck.asks_encoder`."""

    def __init__(self, *, code_size: int) -> None:
        super().__init__()
        self.code_size = code_size

    def attach(self, *, bottleneck: Bottleneck, encoder: nn.Module, shape: tuple[int, ...]) -> None:
        """Take notice of the code whose prior it is, see `Bottleneck.attach`: nothing, as a rule.

        Raises:
            ValueError: it can't be the prior of such a code.
        """

    def begin(self, x: Tensor) -> None:
        """See `Bottleneck.begin`: nothing, as a rule."""

    @abstractmethod
    def log_density(self, z: Tensor, active: Tensor) -> Tensor:
        """Log p(z) in nats: codes (..., code_size) to (...).

        active: (code_size,), 1 for units that count and 0 for others.

        """

    @abstractmethod
    def draw(self, count: int, active: Tensor) -> Tensor:
        """Draws (count, code_size), on the device of `active`."""

    def divergences(self, mean: Tensor, log_variance: Tensor) -> Tensor | None:  # noqa: ARG002
        """Of normal distributions (B, code_size) from the prior, unit by unit; None where there is no formula."""
        return None

    def quantiles(self, shares: Tensor) -> Tensor | None:  # noqa: ARG002
        """See `HasQuantiles.prior_quantiles`: no formula, as a rule."""
        return None


class StandardNormal(Prior):
    """N(0, 1), the same for every unit.

    KL(N(m, exp(v)), N(0, 1)) = 1/2 (m^2 + exp(v) - 1 - v)

    Reference: Auto-encoding variational Bayes (Kingma & Welling, 2014).

    Args:
        code_size: number of code units.

    Example:
        >>> StandardNormal(code_size=2)
        StandardNormal()
    """

    @override
    def log_density(self, z: Tensor, active: Tensor) -> Tensor:
        return -0.5 * (z.square().sum(dim=-1) + math.log(2 * math.pi) * active.sum())

    @override
    def draw(self, count: int, active: Tensor) -> Tensor:
        return torch.randn(count, self.code_size, device=active.device) * active

    @override
    def divergences(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)

    @override
    def quantiles(self, shares: Tensor) -> Tensor:
        values: Tensor = torch.special.ndtri(shares.double())
        return values.float()


class MixturePrior(Prior):
    """A mixture of gaussians with diagonal covariances, which is learned with the code.

    p(z) = sum_k w_k N(z; m_k, exp(v_k)),   w = softmax(l)

    The means begin as draws of N(0, 1), the variances at 1 and the weights all alike.

    Reference: the mixture of gaussians that VAE with a VampPrior (Tomczak & Welling, 2018) is compared with there.

    Args:
        code_size: number of code units.
        components: K, at least 1.

    Example:
        >>> MixturePrior(code_size=2, components=10)
        MixturePrior(components=10)
    """

    def __init__(self, *, code_size: int, components: int = 50) -> None:
        super().__init__(code_size=code_size)
        check_whole("components", components, lowest=1)
        self.means = nn.Parameter(torch.randn(components, code_size))
        self.log_variances = nn.Parameter(torch.zeros(components, code_size))
        self.logits = nn.Parameter(torch.zeros(components))

    def extra_repr(self) -> str:
        """The settings."""
        return f"components={len(self.logits)}"

    @override
    def log_density(self, z: Tensor, active: Tensor) -> Tensor:
        means, log_variances = self.means * active, self.log_variances * active
        return mixture_log_density(z, means, log_variances, self.logits.log_softmax(dim=0), active)

    @override
    def draw(self, count: int, active: Tensor) -> Tensor:
        chosen = torch.multinomial(self.logits.softmax(dim=0), count, replacement=True)
        return _of_normals(self.means[chosen], self.log_variances[chosen]) * active


class VampPrior(Prior):
    """The mixture of the posteriors of pseudo-inputs, which are learned with the code.

    p(z) = 1/K sum_k q(z | u_k)

    Nearest to the optimal prior, the mixture of the posteriors of all training samples, that K components come. The
    pseudo-inputs u_k begin as K training samples, evenly spread over the set, as the reference offers beside draws; and
    unlike there nothing keeps them in the range of the data. Each step encodes them anew, beside its batch.

    Reference: VAE with a VampPrior (Tomczak & Welling, 2018).

    Args:
        code_size: number of code units.
        pseudo_inputs: K, at least 1.

    Example:
        >>> VampPrior(code_size=2, pseudo_inputs=100)
        VampPrior(pseudo_inputs=100)
    """

    inputs: Tensor

    asks_encoder = True

    def __init__(self, *, code_size: int, pseudo_inputs: int = 100) -> None:
        super().__init__(code_size=code_size)
        check_whole("pseudo_inputs", pseudo_inputs, lowest=1)
        self.pseudo_inputs = pseudo_inputs
        self._around: tuple[Bottleneck, nn.Module] | None = None

    def extra_repr(self) -> str:
        """The settings."""
        return f"pseudo_inputs={self.pseudo_inputs}"

    @override
    def attach(self, *, bottleneck: Bottleneck, encoder: nn.Module, shape: tuple[int, ...]) -> None:
        if not isinstance(bottleneck, HasPosterior):
            raise ValueError(
                "prior is of posteriors whose density has a formula, and that of a flow has none: set flow=none"
                " or prior=mixture"
            )
        self._around = (bottleneck, encoder)  # in a tuple, since they are no parts of the prior: it is theirs
        self.inputs = nn.Parameter(torch.rand(self.pseudo_inputs, *shape))

    @override
    def begin(self, x: Tensor) -> None:
        rows = torch.linspace(0, len(x) - 1, self.pseudo_inputs).round().long()
        with torch.no_grad():
            self.inputs.copy_(x[rows] / (255 if x.dtype == torch.uint8 else 1))

    def components(self) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | u_k), each (K, code_size)."""
        assert self._around is not None, "a model attaches it"
        bottleneck, encoder = self._around
        return cast(HasPosterior, bottleneck).posterior(wide(encoder(self.inputs)))

    @override
    def log_density(self, z: Tensor, active: Tensor) -> Tensor:
        means, log_variances = self.components()
        return mixture_log_density(z, means, log_variances, z.new_full((), -math.log(self.pseudo_inputs)), active)

    @override
    def draw(self, count: int, active: Tensor) -> Tensor:
        means, log_variances = self.components()
        chosen = torch.randint(self.pseudo_inputs, (count,), device=active.device)
        return _of_normals(means[chosen], log_variances[chosen]) * active


def normal_log_density(e: Tensor, log_variance: Tensor, active: Tensor) -> Tensor:
    """Log N(z; m, exp(v)) of codes z = m + exp(v / 2) e, over active units: (..., code_size) to (...).

    -1/2 sum_j (e_j^2 + v_j + ln 2 pi)

    e and log_variance are 0 for units that aren't active.
    """
    return -0.5 * ((e.square() + log_variance).sum(dim=-1) + math.log(2 * math.pi) * active.sum())


def mixture_log_density(z: Tensor, means: Tensor, log_variances: Tensor, log_weights: Tensor, active: Tensor) -> Tensor:
    """Log sum_k w_k N(z; m_k, exp(v_k)), over active units: (..., code_size) to (...).

    Args:
        z: codes; like the means and log variances 0 for units that aren't active.
        means: (K, code_size).
        log_variances: (K, code_size).
        log_weights: (K,), or a scalar for all.
        active: (code_size,), 1 for units that count and 0 for others.
    """
    # By products, since (..., K, code_size) differences would be too many; around the mean of the means, so that
    # little is lost in the difference of squares.
    middle = means.mean(dim=0)
    z, means, precisions = z - middle, means - middle, (-log_variances).exp()
    squares = z.square() @ precisions.T - 2 * z @ (means * precisions).T + (means.square() * precisions).sum(dim=1)
    constants = log_variances.sum(dim=1) + math.log(2 * math.pi) * active.sum()
    return (log_weights - 0.5 * (squares.clamp(min=0) + constants)).logsumexp(dim=-1)


def _of_normals(means: Tensor, log_variances: Tensor) -> Tensor:
    return means + (0.5 * log_variances).exp() * torch.randn_like(means)
