"""What procedures share that move a draw of the code to where the data speak for, as Hamiltonian dynamics do.

A draw z_0 of q(z | x) gets a momentum rho_0 and is moved K times, while it cools down: a step has a size of its own for
each unit, and scales the momentum,

    rho_0 = 1 / sqrt(b_0) times a draw of its distribution,    rho <- sqrt(b_{k-1} / b_k) rho
    1 / sqrt(b_k) = 1 / sqrt(b_0) + (1 - 1 / sqrt(b_0)) k^2 / K^2

The volume is kept but for that scaling, which is undone at the end, so that the bound needs no Jacobian:

    loss = -mean_b  log p(x | z_K) + log p(z_K) + log p(rho_K | z_K) - log q(z_0 | x) - log p(rho_0 sqrt(b_0) | z_0)
"""

import math
from abc import abstractmethod
from typing import NamedTuple, Unpack, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.bottlenecks import HasDensity, HasQuantiles
from hourglass.losses import Likelihood, Term
from hourglass.models import Output
from hourglass.system.checks import check_above, check_whole
from hourglass.training.bounds import check_bound
from hourglass.training.minibatch import Minibatch, MinibatchArguments

__all__ = ["Dynamics", "DynamicsArguments", "Leapfrog", "Moved"]


class Leapfrog(nn.Module):
    """The step size of each unit, from 0 to `largest`, and sqrt(b_0), from 0 to 1, both learned.

    Args:
        code_size: number of code units.
        steps: K.
        largest: the step size that can't be reached; steps begin at a tenth of it.

    Example:
        >>> leapfrog = Leapfrog(code_size=2, steps=3, largest=0.2)
        >>> leapfrog.sizes.detach()
        tensor([0.0200, 0.0200])
    """

    def __init__(self, *, code_size: int, steps: int, largest: float) -> None:
        super().__init__()
        self.steps = steps
        self.largest = largest
        self.size = nn.Parameter(torch.full((code_size,), math.log(1 / 9)))
        self.heat = nn.Parameter(torch.tensor(0.0))

    @property
    def sizes(self) -> Tensor:
        """e: (code_size,)."""
        return self.largest * self.size.sigmoid()

    @property
    def cold(self) -> Tensor:
        """sqrt(b_k) for k = 0 to K, which is 1: (K + 1,)."""
        hot = 1 / self.heat.sigmoid()  # 1 / sqrt(b_0)
        part = (torch.arange(self.steps + 1, dtype=hot.dtype, device=hot.device) / self.steps).square()
        return 1 / (hot + (1 - hot) * part)


class Moved(NamedTuple):
    """Where draws have got to."""

    code: Tensor
    """(B, code_size): z_K."""
    cost: Tensor
    """(B,): log p(rho_0 sqrt(b_0) | z_0) - log p(rho_K | z_K), what the momentum costs in nats."""


class DynamicsArguments(MinibatchArguments):
    """The arguments of `Dynamics`, which a procedure with more of its own takes as `**shared: Unpack[...]`."""

    steps: int
    largest: float


class Dynamics(Minibatch):
    """Trains a variational autoencoder on the bound of a posterior that dynamics have moved; which, `follow` says.

    `reconstruction` is of the moved code, `kl` the rest of the bound: what code and momentum cost. The code in use is
    the encoder's mean, and quality is measured on it; step sizes and heat are kept as `leapfrog.safetensors`.

    Args:
        steps: K, leapfrog steps, at least 1.
        largest: bound of the step sizes, above 0.

    The other arguments and errors: `Minibatch`.

    Raises:
        ValueError: a code without a density, or with another prior than N(0, 1); a weighted divergence; a loss that is
            no sum or no density; a number out of its range.
    """

    stackable = True
    decodes_disturbed = False  # but draws of its own

    def __init__(self, *, steps: int, largest: float, **shared: Unpack[MinibatchArguments]) -> None:
        super().__init__(**shared)
        check_whole("steps", steps, lowest=1)
        check_above("largest", largest)
        check_bound(self)
        neck = self.model.bottleneck
        quantile = neck.prior_quantiles(torch.tensor([0.8413447])) if isinstance(neck, HasQuantiles) else None
        if quantile is None or abs(quantile.item() - 1) > 1e-3:
            raise ValueError("the dynamics are those of the prior N(0, 1); set bottleneck=gaussian")
        self.leapfrog = Leapfrog(code_size=self.model.code_size, steps=steps, largest=largest)
        self.optimizer = self.make_optimizer(params=[*self.model.parameters(), *self.leapfrog.parameters()])

    @abstractmethod
    def follow(self, z: Tensor, g: Tensor, x: Tensor, output: Output) -> Moved:
        """Move codes, (B, code_size), with draws of N(0, 1) that become their momenta, (B, code_size).

        Args:
            z: z_0.
            g: 0 in units that aren't active.
            x: the target, see `Learner.terms_of`.
            output: the model's.
        """

    @override
    def terms_of(self, output: Output, x: Tensor, y: Tensor | None) -> dict[str, Term]:
        """See `Learner.terms_of`; code and momentum are drawn anew."""
        active = self.model.bottleneck.active
        draws = cast(HasDensity, self.model.bottleneck).draws(output.encoded, 1)
        code, cost = self.follow(draws.code[0], torch.randn_like(draws.code[0]) * active, x, output)
        reconstruction = self.model.decode(code, output.y)
        rate = draws.log_posterior[0] + cost + 0.5 * code.square().sum(dim=1)
        constant = 0.5 * math.log(2 * math.pi) * active.sum()  # of the prior
        return {
            "reconstruction": Term(self.loss(reconstruction, x)),
            "kl": Term((rate + constant).mean()),
            **self.penalties(self.model, self.clean(output, x), output, target=x),
        }

    def force(self, z: Tensor, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The gradient of log p(x | z) + log p(z) by z, (B, code_size)."""
        # Not of `torch.autograd`, which a stack's vmap doesn't go through.
        found: Tensor = torch.func.grad(lambda code: self._log_joint(code, x, y).sum())(z)
        return found

    def _log_joint(self, code: Tensor, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Log p(x, z) less a constant, (B,)."""
        likelihood = cast(Likelihood, self.loss).log_density(self.model.decode(code, y), x)
        return likelihood - 0.5 * code.square().sum(dim=1)

    @override
    def step(self, x: Tensor, corrupted: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        return self.backpropagate(x, corrupted, y)

    def auxiliary_networks(self) -> dict[str, nn.Module]:
        """Step sizes and heat."""
        return {**super().auxiliary_networks(), "leapfrog": self.leapfrog}
