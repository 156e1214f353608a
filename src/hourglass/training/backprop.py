"""Training by backpropagation: the one step that serves every gradient-trained type.

    output = model(noise(x))
    terms  = {reconstruction: loss(output.reconstruction, x), **output.losses, **penalties(model, x, output)}
    total  = sum(terms)

The target is always the clean x.
"""

from torch import Tensor
from typing_extensions import override

from hourglass.training.minibatch import Minibatch

__all__ = ["Backprop"]


class Backprop(Minibatch):
    """Trains an autoencoder by stochastic gradient descent on loss, bottleneck terms and penalties.

    Arguments and errors: `Minibatch`.

    Example:
        >>> from hourglass.pipeline.compose import compose
        >>> from hourglass.configuration.composition import compose_config
        >>> config, _ = compose_config(["data=digits", "training.epochs=2"])
        >>> learner = compose(config).learner
        >>> learner.settings.batch_size
        256
        >>> learner.steps
        12
    """

    stackable = True

    @override
    def step(self, x: Tensor, corrupted: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        return self.backpropagate(x, corrupted, y)
