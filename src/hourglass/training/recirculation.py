"""Recirculation: a local learning rule for one hidden layer, without backpropagation.

The activity of the visible units goes around the loop twice, and each unit learns from the difference between its
two visits. With v_0 = x, encoder f(v) = s(W v + b), decoder g(h) = s(V h + c) and regression r,

    h_1 = f(v_0)        v_2 = r v_0 + (1 - r) g(h_1)        h_3 = r h_1 + (1 - r) f(v_2)

    dV = h_1 (v_0 - v_2)^T     dc = v_0 - v_2     dW = v_2 (h_1 - h_3)^T     db = h_1 - h_3

Each weight changes by what the two units that it joins know. Where W is near V^T and r near 1, this approximates the
gradient of the squared error: h_1 - h_3 is then, to first order, the code's derivative that backpropagation computes.
"""

from typing import Unpack

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.models import stages_of
from hourglass.system.checks import check_fraction
from hourglass.training.minibatch import Minibatch, MinibatchArguments

__all__ = ["Recirculation"]


class Recirculation(Minibatch):
    """Trains an autoencoder of one layer on each side by the local rule; nothing is differentiated.

    The optimizer gets minus the changes above, averaged over the batch, in place of a gradient, so that learning
    rates, momentum and clipping work as ever. With noise, the first visit's h_1 is of the corrupted input.

    Reference: Learning representations by recirculation (Hinton & McClelland, 1988).

    Args:
        regression: r, the share of a unit's first visit in its second, in [0, 1).
        others: see `Minibatch`.

    Raises:
        ValueError: regression out of its range; a model with hidden layers, with convolutions, or with tied weights;
            a code that is not an activation unit by unit; penalties; and what `Minibatch` refuses.

    Example:
        >>> from hourglass.pipeline.compose import compose
        >>> from hourglass.configuration.composition import compose_config
        >>> config, _ = compose_config(["data=digits", "training=recirculation"])
        >>> learner = compose(config).learner
        >>> learner.regression
        0.75
    """

    scales_loss = False

    any_target = False

    def __init__(self, *, regression: float, **shared: Unpack[MinibatchArguments]) -> None:
        super().__init__(**shared)
        check_fraction("regression", regression)
        if len(self.penalties.regularizers):
            raise ValueError("recirculation computes no gradients, which penalties need: set regularizer=none")
        if not self.model.bottleneck.is_elementwise:
            raise ValueError("recirculation needs a code that is an activation, unit by unit: set bottleneck=linear")
        stages = stages_of(self.model)
        if len(stages) != 1:
            raise ValueError(
                f"recirculation trains one layer on each side, got {len(stages)}: set model=vanilla, or model.depth=0"
            )
        (self.stage,) = stages
        if [weight.ndim for weight in self.stage.parameters] != [2, 1, 2, 1]:
            raise ValueError(
                "recirculation trains two fully connected layers with weights of their own: set model=vanilla"
            )
        self.regression = regression

    @override
    def step(self, x: Tensor, corrupted: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """See `Minibatch.step`; the reconstruction loss is what the model makes of the input, before the change."""
        with torch.no_grad():
            keep, encode, decode = self.regression, self.stage.encode, self.stage.decode
            h1 = encode(corrupted)  # (B, code_size)
            reconstruction = decode(h1)
            v2 = keep * x + (1 - keep) * reconstruction  # (B, *shape)
            h3 = keep * h1 + (1 - keep) * encode(v2)
            visible, hidden = (x - v2).flatten(1), h1 - h3
            changes = (hidden.T @ v2.flatten(1), hidden.sum(0), visible.T @ h1, visible.sum(0))
            for weight, change in zip(self.stage.parameters, changes, strict=True):
                weight.grad = change.to(weight.dtype).div(-len(x))
            self.update(self.stage.parameters, self.optimizer)
            return dict.fromkeys(("loss", "reconstruction"), self.loss(reconstruction, x))
