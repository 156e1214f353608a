"""A capacity for the code: how many nats it may hold, growing while it trains.

    P = |KL - C(t)|,   C(t) = C min(1, t / T)

The divergence KL of the code from its prior, in nats per sample, is brought to C(t) at step t instead of to zero: at
first the code may tell next to nothing, then one factor after another, as far as each lowers the reconstruction loss.
"""

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.models import Autoencoder, Output
from hourglass.regularizers.regularizer import Penalty
from hourglass.system.checks import check_level, check_whole

__all__ = ["Capacity"]


class Capacity(Penalty):
    """Distance of the code's divergence from a capacity that rises linearly.

    It takes the place of beta, which therefore has to be 0. KL is the bottleneck's own term `kl`, a mean over the
    batch, or the sum of those of all its layers. Outside training the capacity stays where the training has brought it.

    Reference: Understanding disentangling in beta-VAE (Burgess et al., 2018).

    Args:
        weight: gamma, there 1000: above the nats of reconstruction that one more nat of the code saves. More makes the
            gradient jump with the sign of KL - C: in short trainings 100 cost 2.5 nats of 20 more than 10, at one rate.
        capacity: C, nats that the code holds in the end, at least 0.
        steps: T, training steps over which the capacity rises from zero, at least 0; 0: it is C from the beginning.

    Example:
        >>> Capacity(weight=10.0, capacity=25.0, steps=2000)
        Capacity(weight=10, capacity=25, steps=2000)
    """

    mixes_samples = True
    capacity: Tensor
    steps: Tensor
    step: Tensor

    def __init__(self, *, weight: float = 10.0, capacity: float = 25.0, steps: int = 2000) -> None:
        super().__init__(weight=weight)
        check_level("capacity", capacity)
        check_whole("steps", steps, lowest=0)
        self.register_buffer("capacity", torch.tensor(capacity), persistent=False)
        self.register_buffer("steps", torch.tensor(float(steps)), persistent=False)
        self.register_buffer("step", torch.tensor(0.0))

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, capacity={self.capacity.item():g}, steps={self.steps.item():g}"

    @override
    def attach(self, model: Autoencoder, *, batch_size: int) -> None:
        """See `Regularizer.attach`: refuses a code without a divergence, or with one that has a weight of its own."""
        super().attach(model, batch_size=batch_size)
        beta = getattr(model.bottleneck, "beta", None)
        if beta is None:
            raise ValueError("needs a code with a divergence from a prior: set bottleneck=gaussian")
        if float(beta) != 0:
            raise ValueError(
                f"needs a divergence without a weight of its own, got beta {float(beta):g}: set model.bottleneck.beta=0"
            )

    @property
    @override
    def settled(self) -> bool:
        return bool(self.step >= self.steps)

    @override
    def penalty(self, model: Autoencoder, x: Tensor, output: Output) -> Tensor:
        """See `Penalty.penalty`; each call while training is a step."""
        if self.training:
            self.step += 1
        risen = torch.where(self.step < self.steps, self.step / self.steps.clamp(min=1), 1.0)
        layers = [term.value for name, term in output.losses.items() if name == "kl" or name.startswith("kl_")]
        return (torch.stack(layers).sum() - self.capacity * risen).abs()
