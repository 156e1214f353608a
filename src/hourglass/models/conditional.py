"""Conditional autoencoders: encoder and decoder are told the class of a sample.

    h = f(x, y),    r = g(h, y)

The one-hot class e_y stands beside the inputs of the first layer of each, which is a vector of its own per class added
to what that layer puts out:

    [W U] [a; e_y] + b = W a + U e_y + b

in a convolution at every place, as K constant maps beside its input would do. With a variational code this bounds
log p(x | y), and the class that is decoded can be chosen.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.models.autoencoder import Autoencoder
from hourglass.models.layers import TiedLinear, UnitNormLinear
from hourglass.system.precision import wide

__all__ = ["Condition", "Conditional", "OnLabels", "ToldClass", "Unconditional", "classes_in", "in_turn"]

PARAMETER = "by_class"
"""Name of U, (outputs, K), beside the weight of the layer that it belongs to."""

LAYERS = (nn.Linear, TiedLinear, UnitNormLinear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)
"""Layers that can be told a class."""


class Condition(ABC):
    """What encoder and decoder are told besides a sample."""

    @abstractmethod
    def applied(self, model: Autoencoder, *, classes: int | None) -> Autoencoder:
        """The model under this condition.

        Args:
            model: the model as its family builds it, or under this very condition already.
            classes: of the labels of its data, 0 to `classes` - 1; None where they have none.

        Raises:
            ValueError: data or a model that it can't be applied to.
        """


class Unconditional(Condition):
    """No condition: a model sees its samples alone.

    Example:
        >>> Unconditional().applied("a model", classes=None)
        'a model'
    """

    @override
    def applied(self, model: Autoencoder, *, classes: int | None) -> Autoencoder:
        return model


class OnLabels(Condition):
    """The class of each sample, which is its label.

    Reference: Learning structured output representation using deep conditional generative models (Sohn, Lee & Yan,
    2015).
    """

    @override
    def applied(self, model: Autoencoder, *, classes: int | None) -> Autoencoder:
        """See `Condition.applied`."""
        if classes is None:
            raise ValueError("a class is told of each sample, and these data have no labels: set condition=none")
        if model.bottleneck.asks_encoder:
            raise ValueError("the prior's own inputs have no class to tell the encoder: set prior=normal or mixture")
        if not model.classes:
            return Conditional(model=model, classes=classes)
        if classes > model.classes:
            raise ValueError(f"the model knows classes from 0 to {model.classes - 1}, got labels up to {classes - 1}")
        return model


class ToldClass(nn.Module):
    """Layers in a row, the first with weights of which takes the one-hot class beside its inputs.

    Args:
        net: the layers, which stay those of the net.
        classes: K, at least 1.
        key: what the net is called in a message.

    Raises:
        ValueError: a net that doesn't begin with a dense layer or a convolution.

    Example:
        >>> told = ToldClass(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), classes=10, key="encoder")
        >>> told.net[1].by_class.shape
        torch.Size([3, 10])
    """

    def __init__(self, net: nn.Module, *, classes: int, key: str) -> None:
        super().__init__()
        self.net = net
        self.classes = classes
        weighted = (layer for layer in _in_a_row(net) if any(True for _ in layer.parameters()))
        layer = next(weighted, None)
        if not isinstance(layer, LAYERS):
            found = "has no weights" if layer is None else f"begins with {type(layer).__name__}"
            raise ValueError(
                f"a class is told to a dense layer or a convolution, and the {key} {found}: set model.code_size, or"
                " another model"
            )
        weight = layer.weight
        outputs = weight.shape[1] if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d) else weight.shape[0]
        by_class = weight.new_empty(outputs, classes)
        bound = (6 / (outputs + weight[0].numel() + classes)) ** 0.5  # Glorot's, of all inputs together
        layer.register_parameter(PARAMETER, nn.Parameter(nn.init.uniform_(by_class, -bound, bound)))

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        """(B, ...) and classes (B,) to what the net puts out."""
        for layer in _in_a_row(self.net):
            h = layer(h)
            if hasattr(layer, PARAMETER):
                each = (y[:, None] == torch.arange(self.classes, device=y.device)).to(h.dtype)  # (B, K)
                told = each @ cast(Tensor, layer.by_class).T.to(h.dtype)  # (B, outputs)
                dense = isinstance(layer, nn.Linear | TiedLinear | UnitNormLinear)  # channels stand last, not second
                places = [1] * (h.ndim - 2)
                h = h + (told.view(len(h), *places, -1) if dense else told.view(len(h), -1, *places))
        return h


def _in_a_row(net: nn.Module) -> Iterator[nn.Module]:
    """The modules of a net that work one after another."""
    if type(net) is not nn.Sequential:
        yield net
        return
    for each in net:
        yield from _in_a_row(each)


class Conditional(Autoencoder):
    """An autoencoder whose encoder and decoder are told the class of each sample.

    Reference: Learning structured output representation using deep conditional generative models (Sohn, Lee & Yan,
    2015).

    Args:
        model: the autoencoder, whose encoder, bottleneck and decoder these are from now on.
        classes: K, number of classes.

    Raises:
        ValueError: an encoder or a decoder that can't be told a class.

    Example:
        >>> from hourglass.models import MLP
        >>> model = Conditional(model=MLP(shape=(4,), code_size=2), classes=3)
        >>> model(torch.zeros(5, 4), torch.tensor([0, 1, 2, 0, 1])).reconstruction.shape
        torch.Size([5, 4])
    """

    def __init__(self, *, model: Autoencoder, classes: int) -> None:
        super().__init__(
            shape=model.shape,
            encoder=ToldClass(model.encoder, classes=classes, key="encoder"),
            bottleneck=model.bottleneck,
            decoder=ToldClass(model.decoder, classes=classes, key="decoder"),
            output_activation="linear",
            target_shape=model.target_shape,
        )
        self.code_shape = model.code_shape
        self.output_range, self.output_activation = model.output_range, model.output_activation
        self.fewest_samples = model.fewest_samples
        self.classes = classes
        for name, value in vars(model).items():  # what else it says of itself: its widths, of which stacks are made
            if not name.startswith("_"):
                self.__dict__.setdefault(name, value)

    @override
    def encoded(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return wide(self.encoder(x, self._told(y)))

    @override
    def decode(self, code: Tensor, y: Tensor | None = None) -> Tensor:
        return self.finish(self.decoder(code, self._told(y)))

    def _told(self, y: Tensor | None) -> Tensor:
        if y is None:
            raise ValueError(f"the model takes the class of each sample, from 0 to {self.classes - 1}, got none")
        return y

    @override
    def squared_jacobian(self, x: Tensor) -> Tensor:
        raise ValueError("the code is a function of a sample and its class: set condition=none")


def classes_in(sizes: Mapping[str, Sequence[int]]) -> int | None:
    """How many classes a model with tensors of these sizes, by their names, is told; None: it is told none."""
    return next((size[1] for name, size in sizes.items() if name.rpartition(".")[2] == PARAMETER), None)


def in_turn(model: Autoencoder, count: int) -> Tensor | None:
    """The classes 0, 1, 2, ... of a model again and again, (count,); None for one that takes none."""
    if not model.classes:
        return None
    return torch.arange(count, device=model.bottleneck.active.device) % model.classes
