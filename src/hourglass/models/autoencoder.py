"""The contract of an autoencoder.

An encoder maps an input to a code, a decoder maps the code back to the space of the inputs:

    h = f(x),    r = g(h),    r = g(f(x)) close to x

Between them stands a bottleneck, which turns what the encoder puts out into the code: an activation
for a deterministic code, a sample for a stochastic one, a selection for a sparse one. An autoencoder
is the three in a row; the families (`MLP`, `Conv`) only differ in how they build encoder and decoder.
Nothing here knows how a model is trained, configured or tracked.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from hourglass.activations import activation, activation_range
from hourglass.bottlenecks import Bottled, Bottleneck
from hourglass.data.dataset import Category
from hourglass.losses import Term
from hourglass.models.layers import SplitActivation
from hourglass.system.precision import full_precision, wide

__all__ = [
    "Autoencoder",
    "Output",
    "Renewable",
    "Renewed",
    "Solvable",
    "exact_squared_jacobian",
    "initialise",
    "one_layer_squared_jacobian",
]


class Output(NamedTuple):
    """What a forward pass returns."""

    reconstruction: Tensor
    """(B, *target_shape): the reconstruction, in the data's own range."""
    code: Tensor
    """(B, code_size): the code that the decoder saw."""
    losses: dict[str, Term]
    """The bottleneck's own loss terms by name. Empty for a deterministic code."""
    encoded: Tensor
    """(B, bottleneck.inputs): what the encoder put out and the bottleneck made the code of."""
    y: Tensor | None = None
    """(B,): the classes of the samples, which a model that takes them was given."""
    given: Tensor | None = None
    """(B, *shape): what the encoder was given."""


class Autoencoder(nn.Module):
    """An encoder, a bottleneck and a decoder.

    The three are taken as they are, with the weights that they have; the families start those that they build with
    `initialise`.

    Args:
        shape: shape of one sample: (channels, height, width) or (features,).
        encoder: maps (B, *shape) to (B, bottleneck.inputs), without an activation at its end.
        bottleneck: maps (B, bottleneck.inputs) to the code (B, code_size).
        decoder: maps the code to (B, *shape), without an activation at its end.
        output_activation: name of the activation of the reconstruction.
        target_shape: shape of what is reconstructed; null: the input's.
    """

    fewest_samples = 2
    """Training samples without which there is nothing to learn."""
    code_shape: tuple[int, ...] | None = None
    """(*size, channels) of a code that is a map: (B, code_size) holds the channels of one place after those of another.

    None where units have no place; see `hourglass.models.places`.
    """
    pads_widths = True
    """Whether further channels of zeros leave what a narrower model computes as it is: a stack can hold both."""

    classes = 0
    """How many classes it is told, of each sample one (see `hourglass.models.conditional`); 0: it takes samples alone.

    Classes y that are given to such a model are passed over, so that who has them hands them on.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        encoder: nn.Module,
        bottleneck: Bottleneck,
        decoder: nn.Module,
        output_activation: str,
        target_shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.target_shape = tuple(target_shape or shape)
        self.encoder = encoder
        self.bottleneck = bottleneck
        self.decoder = decoder
        self.output_range = activation_range(output_activation, key="output_activation")
        self.output_activation = activation(output_activation, key="output_activation")
        bottleneck.attach(encoder=encoder, shape=self.shape)

    @property
    def code_size(self) -> int:
        """Number of code units."""
        return self.bottleneck.code_size

    def mapped(self, values: Tensor) -> Tensor:
        """As many values for each place of a code that is a map, (B, places n), to maps (B, n, *size).

        Of the code itself, or of its symbols.
        """
        assert self.code_shape is not None, "the code is no map"
        return values.reshape(len(values), *self.code_shape[:-1], -1).movedim(-1, 1)

    def encoded(self, x: Tensor, y: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Inputs (B, *shape), and classes (B,) if it takes them, to what the encoder puts out."""
        return wide(self.encoder(x))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Inputs (B, *shape), and classes (B,) if it takes them, to codes (B, code_size)."""
        return self.bottle(self.encoded(x, y)).code

    def decode(self, code: Tensor, y: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Codes (B, code_size), and classes (B,) if it takes them, to reconstructions (B, *shape)."""
        return self.finish(self.decoder(code))

    def decode_held(self, code: Tensor, y: Tensor | None = None) -> Tensor:
        """The same by a decoder that learns nothing of it: gradients reach the code alone."""
        held = {f"model.{name}": weight.detach() for name, weight in self.named_parameters()}
        reconstruction: Tensor = torch.func.functional_call(_Decoding(self), held, (code, y))
        return reconstruction

    # Under autocast layers answer in bfloat16, with three digits: too few for a draw around the mean of a code or for
    # a distance, and its sigmoid knows no value between 0.996 and 1. So the bottleneck, the output's activation and
    # the loss are always computed with 32 bits or more.

    def bottle(self, encoded: Tensor) -> Bottled:
        """What the encoder puts out, (B, bottleneck.inputs), to the code and the bottleneck's loss terms."""
        with full_precision(encoded):
            bottled: Bottled = self.bottleneck(encoded)
        return bottled

    def finish(self, preactivation: Tensor) -> Tensor:
        """What the decoder puts out, (B, *shape), to the reconstruction, by the output's activation."""
        reconstruction: Tensor = self.output_activation(wide(preactivation))
        return reconstruction

    def forward(
        self, x: Tensor, y: Tensor | None = None, *, disturb: Callable[[Tensor], Tensor] | None = None
    ) -> Output:
        """Inputs (B, *shape) to their `Output`.

        Args:
            x: the inputs.
            y: their classes (B,), for a model that takes them.
            disturb: changes the code (B, code_size) before the decoder sees it, in training mode only.
        """
        encoded = self.encoded(x, y)
        code, losses = self.bottle(encoded)
        if disturb is not None and self.training:
            code = disturb(code)
        return Output(self.decode(code, y), code, losses, encoded, y, x)

    def as_trained(self, output: Output) -> Output:
        """The same inputs with the code of a training step: drawn, or selected by the batch (`Bottleneck.as_trained`).

        The output itself where that is no other code.
        """
        if not self.bottleneck.differs:
            return output
        with full_precision(output.encoded):
            code, losses = self.bottleneck.as_trained(output.encoded)
        return Output(self.decode(code, output.y), code, losses, output.encoded, output.y, output.given)

    def split_output(self, categories: Sequence[Category]) -> None:
        """Make the reconstruction of one-hot columns probabilities, the softmax of what the decoder puts out for them.

        No weights change. categories: the groups of columns; none leaves the model as it is.
        """
        if categories:
            self.output_activation = SplitActivation(self.output_activation, categories)

    def begin(self, x: Tensor, target: Tensor | None = None) -> None:
        """Set what depends on the training samples (N, *shape), as a data set stores them: nothing, as a rule.

        Called before a training of new weights; with the targets (N, *target_shape) where those are no inputs.

        """

    @property
    def has_closed_jacobian(self) -> bool:
        """Whether `squared_jacobian` is a formula, which costs no more than the code itself."""
        return False

    @abstractmethod
    def squared_jacobian(self, x: Tensor) -> Tensor:
        """Squared Frobenius norm of the encoder's Jacobian at each input: (B, *shape) to (B,).

        |J(x)|^2 = sum_jk (d h_j / d x_k)^2: what the contractive penalty weighs (Rifai et al., 2011).
        """


class _Decoding(nn.Module):
    """`Autoencoder.decode` as the forward pass of a module, which `functional_call` wants."""

    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, code: Tensor, y: Tensor | None) -> Tensor:
        return self.model.decode(code, y)


Renewed = tuple[nn.Parameter, tuple[slice | Tensor, ...]]
"""A weight, and the index of a part of it."""


@runtime_checkable
class Renewable(Protocol):
    """A model whose code units can begin anew, while the others stay as they are."""

    def renew(self, units: Tensor, x: Tensor) -> list[Renewed]:
        """Give code units (n,), by number, the directions of inputs (n, *shape); the parts of weights it has set."""


@runtime_checkable
class Solvable(Protocol):
    """A model whose weights are a formula of the training samples."""

    def solve(self, x: Tensor) -> None:
        """Set the weights from training samples (N, *shape), as a data set stores them.

        Raises:
            ValueError: there are too few samples.
        """


def one_layer_squared_jacobian(slope: Tensor, weight: Tensor) -> Tensor:
    """`Autoencoder.squared_jacobian` of one layer and an elementwise code h = s(W x + b), (B,).

    Reference: Contractive auto-encoders (Rifai et al., 2011).

        |J(x)|^2 = sum_j s'(a_j)^2 sum_k W_jk^2

    Args:
        slope: s'(a), (B, code_size).
        weight: W, (code_size, inputs).
    """
    return slope.square() @ weight.square().sum(dim=1)


def exact_squared_jacobian(encode: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`Autoencoder.squared_jacobian` for any encoder, by reverse-mode differentiation of every code unit.

    Exact, and as many times dearer than a gradient as there are code units. Samples are taken in groups,
    so that the Jacobians never fill more than about 256 MB.
    """

    def norm(sample: Tensor) -> Tensor:
        jacobian: Tensor = torch.func.jacrev(lambda s: encode(s.unsqueeze(0)).squeeze(0))(sample)
        return jacobian.square().sum()

    with torch.no_grad():
        code_size = encode(x[:1]).shape[1]
    group = max(1, 64_000_000 // (code_size * x[0].numel()))
    result: Tensor = torch.func.vmap(norm, chunk_size=group)(x)
    return result


def initialise(*modules: nn.Module) -> None:
    """Start the weights of all layers in them Glorot-uniform and biases at zero.

    As in the documents that the recipes come from. Reference: Understanding the difficulty of training deep feedforward
    neural networks (Glorot & Bengio, 2010).

    """
    for module in modules:
        module.apply(_glorot)


def _glorot(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
