"""Greedy layer-wise pretraining: a stack of denoising autoencoders, trained one after another, then the whole.

With the stages (f_l, g_l), l = 1..L, of a model, the outermost first, and h_0 = x, h_l = f_l(h_{l-1}), stage l learns

    min  loss_l(g_l(f_l(C(h_{l-1}))), h_{l-1})

with the stages before it held fixed. The corruption C stands at the stage's own input, the stages before it see clean
activations; loss_1 is the configured loss, further ones are squared errors. What follows is backpropagation through
the whole model.
"""

from typing import Unpack

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.losses import MSE
from hourglass.models import stages_of
from hourglass.system.checks import check_whole
from hourglass.system.errors import HourglassError
from hourglass.training.minibatch import Minibatch, MinibatchArguments

__all__ = ["Layerwise"]


class Layerwise(Minibatch):
    """Trains the stages of an autoencoder one after another, outermost first, and then all together.

    Of `epochs`, the first `pretrain_epochs` belong to the first stage, as many to the second, and so on; the rest
    fine-tunes the whole, as `Backprop` does. So budgets compare. Every stage has an optimizer of its own, and so has
    the fine-tuning; learning rate schedules run over the whole training. While stage l is trained, `train/stage_l` is
    logged and equals `train/loss`; penalties and the terms of the bottleneck join with the fine-tuning, and only its
    epochs can be the best. `val/...` is of the whole model throughout.

    Noise on hidden activations reaches from the lowest to the highest value of their batch, where it needs bounds.

    References: Greedy layer-wise training of deep networks (Bengio et al., 2007); Stacked denoising autoencoders
    (Vincent et al., 2010).

    Args:
        pretrain_epochs: epochs of each stage, at least 0; 0 leaves plain backpropagation.
        others: see `Minibatch`.

    Raises:
        ValueError: no epoch left for fine-tuning; a model that has no stages; noise that doesn't suit hidden
            activations, or is frozen; and what `Minibatch` refuses.

    Example:
        >>> from hourglass.pipeline.compose import compose
        >>> from hourglass.configuration.composition import compose_config
        >>> config, _ = compose_config(["data=digits", "model=multilayer", "training=layerwise"])
        >>> learner = compose(config).learner
        >>> len(learner.stages), learner.pretrain_epochs
        (2, 5)
    """

    any_target = False

    def __init__(self, *, pretrain_epochs: int, **shared: Unpack[MinibatchArguments]) -> None:
        super().__init__(**shared)
        check_whole("pretrain_epochs", pretrain_epochs, lowest=0)
        self.stages = stages_of(self.model)
        pretraining = pretrain_epochs * len(self.stages)
        if shared["epochs"] <= pretraining:
            raise ValueError(
                f"epochs must exceed pretrain_epochs x stages, {pretrain_epochs} x {len(self.stages)} = {pretraining},"
                f" got {shared['epochs']}"
            )
        if self.noise.frozen:
            raise ValueError("hidden activations change while they are learned from: set noise.frozen=false")
        self.pretrain_epochs = pretrain_epochs
        self.stage_optimizers = [self.make_optimizer(params=list(stage.parameters)) for stage in self.stages]
        self.hidden_loss = MSE(reduction=self.loss.reduction)
        self._check_noise()
        if self.noise.processes:
            self.alone = "it corrupts hidden activations within the bounds of the whole batch"

    def _check_noise(self) -> None:
        """Every process must suit the activations of every stage but the last."""
        with torch.no_grad():
            h = torch.zeros(1, *self.data.shape)
            for number, stage in enumerate(self.stages[:-1], start=1):
                h = stage.encode(h)
                for name, process in self.noise.processes.items():
                    try:
                        process.check(h.shape[1:])  # type: ignore[operator]
                    except ValueError as error:
                        raise ValueError(
                            f"noise={name} doesn't suit the activations of stage {number}: {error}"
                        ) from error

    @property
    @override
    def settled(self) -> bool:
        return super().settled and self.current_epoch >= self.pretrain_epochs * len(self.stages)

    @override
    def setup(self, stage: str) -> None:
        super().setup(stage)
        pretraining = self.pretrain_epochs * len(self.stages)
        if stage == "fit" and self.settings.epochs <= pretraining:
            raise HourglassError(
                f"pl.Trainer must have more epochs than training.pretrain_epochs x stages, {self.pretrain_epochs} x"
                f" {len(self.stages)} = {pretraining}, got max_epochs={self.trainer.max_epochs}"
            )

    def optimizers_used(self) -> list[torch.optim.Optimizer]:
        """One of each stage, and that of the fine-tuning."""
        return [*self.stage_optimizers, self.optimizer]

    def step(self, x: Tensor, corrupted: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """See `Minibatch.step`: of the stage whose turn it is, or of the whole."""
        turn = self.current_epoch // self.pretrain_epochs if self.pretrain_epochs else len(self.stages)
        if turn >= len(self.stages):
            return self.backpropagate(x, corrupted, y)
        stage, target, given, loss = self.stages[turn], x, corrupted, self.loss
        if turn > 0:
            with torch.no_grad():
                for before in self.stages[:turn]:
                    target = before.encode(target)
                given = self._corrupt(target)
            loss = self.hidden_loss
        h = stage.encode(given)
        if turn == len(self.stages) - 1:
            h = self.penalties.disturb(h)
        error = loss(stage.decode(h), target)
        self.descend(error, self.stage_optimizers[turn])
        return dict.fromkeys(("loss", f"stage_{turn + 1}"), error.detach())

    def _corrupt(self, h: Tensor) -> Tensor:
        """Hidden activations (B, ...) to corrupted ones, in their own bounds, not in the data's."""
        bounds = torch.stack(h.aminmax())
        for process in self.noise.processes.values():
            h = process(h, bounds)
        return h
