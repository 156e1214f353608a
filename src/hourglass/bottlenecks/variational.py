"""What all variational codes share: a draw from a posterior, which a prior pulls in.

The encoder gives a distribution q(z | x) of codes for each input. While training the code is a draw of it, otherwise a
value that stands for it, as its mean; the divergence from the prior p is a term of the loss:

    z ~ q(z | x),    kl = 1/B sum_b KL(q(z | x_b), p(z)),   weighted with beta

Where the divergence has no formula, it is estimated by the draw itself, log q(z | x) - log p(z): in the mean the same.
"""

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck
from hourglass.losses import Term
from hourglass.system.checks import check_level, check_whole
from hourglass.system.modes import same_draws

__all__ = ["Drawn", "Variational"]


class Drawn(NamedTuple):
    """A draw for each input."""

    code: Tensor
    """(B, code_size): the codes."""
    rates: Tensor
    """(B, units): the divergence of each unit in nats, or of each group that is drawn as one; estimated by the draw
    where there is no formula."""


class Variational(Bottleneck):
    """A code that is drawn from a distribution for each input, with its divergence from a prior as a loss term.

    The divergence is in nats per sample, so the reconstruction loss must be too (`loss.reduction=sum`): then beta 1 is
    the evidence lower bound, beta above 1 asks for independent units, and beta 0 leaves the prior out.

    Args:
        code_size: number of code units.
        inputs: values that it takes from the encoder.
        code_range: closed interval that holds every code value.
        beta: weight of the divergence, at least 0.
        warmup_steps: training steps over which beta rises linearly from zero, at least 0.
    """

    beta: Tensor
    step: Tensor
    differs = True
    per_sample = True

    def __init__(
        self, *, code_size: int, inputs: int, code_range: tuple[float, float], beta: float, warmup_steps: int
    ) -> None:
        super().__init__(code_size=code_size, inputs=inputs, code_range=code_range)
        check_level("beta", beta)
        check_whole("warmup_steps", warmup_steps, lowest=0)
        self.warmup_steps = warmup_steps
        self.register_buffer("beta", torch.tensor(beta))
        self.register_buffer("step", torch.tensor(0.0))

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, beta={self.beta.item():g}, warmup_steps={self.warmup_steps}"

    @abstractmethod
    def in_use(self, a: Tensor) -> Tensor:
        """Encoder outputs (B, inputs) to the code outside training (B, code_size)."""

    @abstractmethod
    def drawn(self, a: Tensor) -> Drawn:
        """A draw for each of the encoder outputs (B, inputs)."""

    @abstractmethod
    def exact_rates(self, a: Tensor) -> Tensor | None:
        """Encoder outputs (B, inputs) to the divergences (B, units), see `Drawn`; None where there is no formula."""

    def rates(self, a: Tensor) -> Tensor:
        """See `HasRate.rates`; without a formula of the whole code, (B, 1), estimated by one draw, always the same."""
        exact = self.exact_rates(a)
        if exact is not None:
            return exact
        with same_draws(a):
            return self.drawn(a).rates

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; the loss term is `kl`, the rate in nats per sample.

        Outside training, where nothing is drawn, it is there if it has a formula.
        """
        if not self.training:
            # An exported graph has no use for it; checks of types would keep it there, with what ONNX doesn't know.
            exact = None if torch.compiler.is_exporting() else self.exact_rates(a)
            return Bottled(self.in_use(a), {} if exact is None else {"kl": self._divergence(exact)})
        if self.warmup_steps:
            self.step += 1
        return self.as_trained(a)

    def as_trained(self, a: Tensor) -> Bottled:
        """See `Bottleneck.as_trained`: a draw."""
        code, rates = self.drawn(a)
        return Bottled(code, {"kl": self._divergence(rates)})

    def _divergence(self, rates: Tensor) -> Term:
        warm = (self.step / self.warmup_steps).clamp(max=1.0) if self.warmup_steps else 1.0
        return Term(rates.sum(dim=1).mean(), self.beta * warm)

    @property
    def settled(self) -> bool:
        """See `Bottleneck.settled`: once beta has risen."""
        return float(self.step) >= self.warmup_steps

    @override
    def slope(self, a: Tensor) -> None:
        """None: a distribution is not one value per unit."""
        return
