"""Models that can be taken apart into a stack of small autoencoders, which some procedures train one by one.

With an encoder f = f_L ... f_1 and a decoder g = g_1 ... g_L that mirrors it, stage l is the autoencoder (f_l, g_l) of
the activations that the stages before it put out. The outermost stage decodes to data, with the output's activation;
the innermost has the bottleneck in it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from hourglass.models.autoencoder import Autoencoder
from hourglass.system.precision import wide

__all__ = ["Stage", "Staged", "paired", "stages_of"]


class Stage(NamedTuple):
    """One layer of the encoder and the layer of the decoder that mirrors it: a small autoencoder of its own."""

    encode: Callable[[Tensor], Tensor]
    """What the stages before it put out (samples, for the first) to this stage's activations."""
    decode: Callable[[Tensor], Tensor]
    """Those activations back to what the stage was given."""
    parameters: Sequence[nn.Parameter]
    """The weights of both, in order: the encoder's weight and bias, the decoder's; a tied decoder has only its bias.
    Parameters of the bottleneck come last."""


@runtime_checkable
class Staged(Protocol):
    """A model whose layers are a stack of autoencoders."""

    def stages(self) -> list[Stage]:
        """The stages, the outermost first, the code's last.

        Raises:
            ValueError: the decoder doesn't mirror the encoder layer by layer.
        """


def stages_of(model: Autoencoder) -> list[Stage]:
    """The stages of a model.

    Raises:
        ValueError: it has none.
    """
    if not isinstance(model, Staged):
        raise ValueError(f"{type(model).__name__} can't be taken apart into stages")
    return model.stages()


def paired(model: Autoencoder, encoders: Sequence[nn.Sequential], decoders: Sequence[nn.Sequential]) -> list[Stage]:
    """The stages of a model that is made of these, the outermost encoder first, and from the code on the decoders."""
    outwards = decoders[::-1]
    stages = [
        Stage(encode, decode, [*encode.parameters(), *decode.parameters()])
        for encode, decode in zip(encoders, outwards, strict=True)
    ]
    outer, inner = outwards[0], encoders[-1]
    stages[0] = stages[0]._replace(decode=lambda h: model.finish(outer(h)))
    stages[-1] = stages[-1]._replace(
        encode=lambda a: model.bottle(wide(inner(a))).code,
        parameters=[*stages[-1].parameters, *model.bottleneck.parameters()],
    )
    return stages
