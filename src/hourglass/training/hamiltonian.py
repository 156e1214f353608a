"""A posterior that follows the likelihood: Hamiltonian dynamics move a draw of the encoder to where the data speak for.

A draw z_0 of q(z | x) is given a momentum and moved K times by a leapfrog step in the potential
U(z) = -log p(x | z) - log p(z), while it cools down:

    rho_0 = g sqrt(1 / b_0),   g ~ N(0, 1)
    rho' = rho - e/2 U'(z),    z <- z + e rho',    rho <- sqrt(b_{k-1} / b_k) (rho' - e/2 U'(z))
    1 / sqrt(b_k) = 1 / sqrt(b_0) + (1 - 1 / sqrt(b_0)) k^2 / K^2

Each step keeps the volume, or scales it by what is known, so that the bound needs no Jacobian:

    loss = -mean_b  log p(x | z_K) + log p(z_K) + log N(rho_K) - log q(z_0 | x) - log N(g)
"""

import math
from typing import Unpack, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.bottlenecks import HasDensity, HasQuantiles
from hourglass.losses import Likelihood, Term
from hourglass.models import Output
from hourglass.system.checks import check_above, check_whole
from hourglass.training.bounds import check_bound
from hourglass.training.minibatch import Minibatch, MinibatchArguments

__all__ = ["Hamiltonian", "Leapfrog"]


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


class Hamiltonian(Minibatch):
    """Trains a variational autoencoder on the bound of a posterior that Hamiltonian dynamics have moved.

    `reconstruction` is of the moved code, `kl` the rest of the bound: what code and momentum cost. The code in use is
    the encoder's mean, and quality is measured on it; step sizes and heat are kept as `leapfrog.safetensors`.

    Reference: Hamiltonian variational auto-encoder (Caterini, Doucet & Sejdinovic, 2018).

    Args:
        steps: K, leapfrog steps, at least 1; each costs two gradients of the decoder.
        largest: bound of the step sizes, above 0, in units of the prior.

    The other arguments and errors: `Minibatch`.

    Raises:
        ValueError: a code without a density, or with another prior than N(0, 1); a weighted divergence; a loss that is
            no sum or no density; a number out of its range.

    Example:
        >>> from hourglass.pipeline.compose import compose
        >>> from hourglass.configuration.composition import compose_config
        >>> words = ["data=digits", "bottleneck=gaussian", "loss.reduction=sum", "training=hamiltonian"]
        >>> compose(compose_config(words)[0]).learner.leapfrog.steps
        3
    """

    stackable = True

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

    @override
    def terms_of(self, output: Output, x: Tensor, y: Tensor | None) -> dict[str, Term]:
        """See `Learner.terms_of`; code and momentum are drawn anew."""
        active = self.model.bottleneck.active
        draws = cast(HasDensity, self.model.bottleneck).draws(output.encoded, 1)
        start, g = draws.code[0], torch.randn_like(draws.code[0]) * active
        code, momentum = self.moved(start, g, x, output.y)
        reconstruction = self.model.decode(code, output.y)
        # The constants of N(rho_K) and N(g) cancel.
        cost = draws.log_posterior[0] + 0.5 * (momentum.square() - g.square() + code.square()).sum(dim=1)
        constant = 0.5 * math.log(2 * math.pi) * active.sum()  # of the prior
        return {
            "reconstruction": Term(self.loss(reconstruction, x)),
            "kl": Term((cost + constant).mean()),
            **self.penalties(self.model, self.clean(output, x), output, target=x),
        }

    def moved(self, z: Tensor, g: Tensor, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Codes and draws of N(0, 1), (B, code_size) both, to the code and the momentum after the last step."""
        sizes, cold = self.leapfrog.sizes * self.model.bottleneck.active, self.leapfrog.cold
        # Not of `torch.autograd`, which a stack's vmap doesn't go through.
        force = torch.func.grad(lambda code: self._log_joint(code, x, y).sum())
        rho = g / cold[0]
        for k in range(1, self.leapfrog.steps + 1):
            rho = rho + sizes / 2 * force(z)
            z = z + sizes * rho
            rho = cold[k - 1] / cold[k] * (rho + sizes / 2 * force(z))
        return z, rho

    def _log_joint(self, code: Tensor, x: Tensor, y: Tensor | None = None) -> Tensor:
        """-U less a constant, (B,)."""
        likelihood = cast(Likelihood, self.loss).log_density(self.model.decode(code, y), x)
        return likelihood - 0.5 * code.square().sum(dim=1)

    @override
    def step(self, x: Tensor, corrupted: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        return self.backpropagate(x, corrupted, y)

    def auxiliary_networks(self) -> dict[str, nn.Module]:
        """Step sizes and heat."""
        return {**super().auxiliary_networks(), "leapfrog": self.leapfrog}
