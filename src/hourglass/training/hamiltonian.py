"""A posterior that follows the likelihood: Hamiltonian dynamics move a draw of the encoder to where the data speak for.

A draw z_0 of q(z | x) is given a momentum and moved K times by a leapfrog step in the potential
U(z) = -log p(x | z) - log p(z), while it cools down (see `training.dynamics`):

    rho_0 = g sqrt(1 / b_0),   g ~ N(0, 1)
    rho' = rho - e/2 U'(z),    z <- z + e rho',    rho <- sqrt(b_{k-1} / b_k) (rho' - e/2 U'(z))

    loss = -mean_b  log p(x | z_K) + log p(z_K) + log N(rho_K) - log q(z_0 | x) - log N(g)
"""

from torch import Tensor
from typing_extensions import override

from hourglass.models import Output
from hourglass.training.dynamics import Dynamics, Moved

__all__ = ["Hamiltonian"]


class Hamiltonian(Dynamics):
    """Trains a variational autoencoder on the bound of a posterior that Hamiltonian dynamics have moved.

    Each leapfrog step costs one gradient of the decoder, the first two; the bound of the step sizes is in units of the
    prior.

    Reference: Hamiltonian variational auto-encoder (Caterini, Doucet & Sejdinovic, 2018).

    Arguments and errors: `Dynamics`.

    Example:
        >>> from hourglass.pipeline.compose import compose
        >>> from hourglass.configuration.composition import compose_config
        >>> words = ["data=digits", "bottleneck=gaussian", "loss.reduction=sum", "training=hamiltonian"]
        >>> compose(compose_config(words)[0]).learner.leapfrog.steps
        3
    """

    @override
    def follow(self, z: Tensor, g: Tensor, x: Tensor, output: Output) -> Moved:
        code, momentum = self.moved(z, g, x, output.y)
        return Moved(code, 0.5 * (momentum.square() - g.square()).sum(dim=1))  # the constants of both cancel

    def moved(self, z: Tensor, g: Tensor, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Codes and draws of N(0, 1), (B, code_size) both, to the code and the momentum after the last step."""
        sizes, cold = self.leapfrog.sizes * self.model.bottleneck.active, self.leapfrog.cold
        rho, force = g / cold[0], self.force(z, x, y)
        for k in range(1, self.leapfrog.steps + 1):
            rho = rho + sizes / 2 * force
            z = z + sizes * rho
            force = self.force(z, x, y)  # with which the next step begins as well
            rho = cold[k - 1] / cold[k] * (rho + sizes / 2 * force)
        return z, rho
