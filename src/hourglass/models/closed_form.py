"""Models that are not trained by gradients: the floor and the controls that stand beside every autoencoder.

    pca        h = V_k (x - m),  r = m + V_k^T h     the best linear autoencoder, in closed form
    identity   h = x,            r = x               the lowest error there is, and the fullest code
    mean       h = 0,            r = m               the lowest error of a reconstruction that ignores its input

with m the training mean and V_k the k first principal components (Pearson, 1901; Baldi & Hornik, 1989). Their weights
are buffers, set by `solve`; nothing is clipped to the data's range.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hourglass.bottlenecks import Bottleneck, Deterministic
from hourglass.models import principal_components
from hourglass.models.autoencoder import Autoencoder, exact_squared_jacobian

__all__ = ["PCA", "Affine", "ClosedForm", "Identity", "Mean"]


class Affine(nn.Module):
    """An affine map with given weights, which are saved but not trained: y = W x + b.

    Args:
        inputs: length of x.
        outputs: length of y.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, *, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(outputs, inputs))
        self.register_buffer("bias", torch.zeros(outputs))

    def extra_repr(self) -> str:
        """The settings."""
        return f"inputs={self.weight.shape[1]}, outputs={self.weight.shape[0]}"

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) to (B, outputs)."""
        return F.linear(x, self.weight, self.bias)


class ClosedForm(Autoencoder):
    """An autoencoder without parameters, whose code is what the encoder puts out, as it is.

    Arguments as `Autoencoder`, but for the bottleneck's construction:

    Args:
        code_size: number of code units.
        bottleneck: builds the bottleneck from the code size; it must be linear.

    Raises:
        ValueError: a bottleneck that changes what the encoder puts out.
    """

    def __init__(
        self,
        *,
        shape: Sequence[int],
        code_size: int,
        encoder: nn.Module,
        decoder: nn.Module,
        bottleneck: Callable[..., Bottleneck],
    ) -> None:
        shape = tuple(shape)
        neck = bottleneck(code_size=code_size)
        sizes_only = torch.get_default_device().type == "meta"  # there are no values to try it with
        slope = None if sizes_only else neck.slope(torch.linspace(-2, 2, 5).unsqueeze(1).repeat(1, neck.inputs))
        if not sizes_only and (slope is None or not bool((slope == 1).all())):
            raise ValueError(
                f"bottleneck must be linear for a model that is not trained by gradients, got {type(neck).__name__}:"
                " set bottleneck=linear"
            )
        super().__init__(
            shape=shape,
            encoder=nn.Sequential(nn.Flatten(), encoder),
            bottleneck=neck,
            decoder=nn.Sequential(decoder, nn.Unflatten(1, shape)),
            output_activation="linear",
        )

    @abstractmethod
    def solve(self, x: Tensor) -> None:
        """See `Solvable.solve`."""

    def squared_jacobian(self, x: Tensor) -> Tensor:
        """See `Autoencoder.squared_jacobian`; exact, by differentiation."""
        return exact_squared_jacobian(self.encode, x)


class PCA(ClosedForm):
    """Principal component analysis as an autoencoder: the floor of every linear one.

    References: On lines and planes of closest fit (Pearson, 1901); Neural networks and principal component analysis
    (Baldi & Hornik, 1989).

    Args:
        shape: shape of one sample.
        code_size: k, number of components, from 1 to the number of values of a sample.
        bottleneck: see `ClosedForm`.

    Raises:
        ValueError: a code size out of its range.

    Example:
        >>> from functools import partial
        >>> from hourglass.bottlenecks import Deterministic
        >>> PCA(shape=(1, 2, 2), code_size=2, bottleneck=partial(Deterministic, activation="linear"))
        PCA(
          (encoder): Sequential(
            (0): Flatten(start_dim=1, end_dim=-1)
            (1): Affine(inputs=4, outputs=2)
          )
          (bottleneck): Deterministic(
            code_size=2
            (activation): Identity()
          )
          (decoder): Sequential(
            (0): Affine(inputs=2, outputs=4)
            (1): Unflatten(dim=1, unflattened_size=(1, 2, 2))
          )
          (output_activation): Identity()
        )
    """

    def __init__(
        self, *, shape: Sequence[int], code_size: int = 64, bottleneck: Callable[..., Bottleneck] = Deterministic
    ) -> None:
        inputs = int(torch.Size(shape).numel())
        if not 1 <= code_size <= inputs:
            raise ValueError(f"code_size must be from 1 to {inputs}, the values of a sample, got {code_size}")
        super().__init__(
            shape=shape,
            code_size=code_size,
            encoder=Affine(inputs=inputs, outputs=code_size),
            decoder=Affine(inputs=code_size, outputs=inputs),
            bottleneck=bottleneck,
        )
        self.fewest_samples = max(2, code_size)

    def solve(self, x: Tensor) -> None:
        """See `Solvable.solve`; at least code_size samples, and at least 2."""
        if len(x) < self.code_size:
            raise ValueError(f"code_size must be at most {len(x)}, the training samples, got {self.code_size}")
        fitted = principal_components.fit(x)
        components = fitted.components[: self.code_size]
        self.encoder.get_buffer("1.weight").copy_(components)
        self.encoder.get_buffer("1.bias").copy_(-components @ fitted.mean)
        self.decoder.get_buffer("0.weight").copy_(components.T)
        self.decoder.get_buffer("0.bias").copy_(fitted.mean)


class Identity(ClosedForm):
    """The control that loses nothing: the code is the input, flattened, and so is the reconstruction.

    Args:
        shape: shape of one sample; its number of values is the code size.
        bottleneck: see `ClosedForm`.

    Example:
        >>> from functools import partial
        >>> from hourglass.bottlenecks import Deterministic
        >>> Identity(shape=(3,), bottleneck=partial(Deterministic, activation="linear")).code_size
        3
    """

    def __init__(self, *, shape: Sequence[int], bottleneck: Callable[..., Bottleneck] = Deterministic) -> None:
        inputs = int(torch.Size(shape).numel())
        super().__init__(
            shape=shape, code_size=inputs, encoder=nn.Identity(), decoder=nn.Identity(), bottleneck=bottleneck
        )

    def solve(self, x: Tensor) -> None:
        """See `Solvable.solve`: there is nothing to set."""


class Mean(ClosedForm):
    """The control that knows nothing of its input: a code of one unit that is always 0, and the mean training sample.

    Args:
        shape: shape of one sample.
        bottleneck: see `ClosedForm`.

    Example:
        >>> from functools import partial
        >>> from hourglass.bottlenecks import Deterministic
        >>> model = Mean(shape=(2,), bottleneck=partial(Deterministic, activation="linear"))
        >>> model.solve(torch.tensor([[0.0, 1.0], [1.0, 1.0]]))
        >>> model(torch.tensor([[5.0, 5.0]])).reconstruction
        tensor([[0.5000, 1.0000]])
    """

    def __init__(self, *, shape: Sequence[int], bottleneck: Callable[..., Bottleneck] = Deterministic) -> None:
        inputs = int(torch.Size(shape).numel())
        super().__init__(
            shape=shape,
            code_size=1,
            encoder=Affine(inputs=inputs, outputs=1),  # both maps keep their zero weights
            decoder=Affine(inputs=1, outputs=inputs),
            bottleneck=bottleneck,
        )

    def solve(self, x: Tensor) -> None:
        """See `Solvable.solve`."""
        total = torch.zeros(x[0].numel(), dtype=torch.float64, device=x.device)
        for block in torch.split(x, 4096):  # never a wide copy of the whole set
            total += block.flatten(1).double().sum(dim=0)
        self.decoder.get_buffer("0.bias").copy_(total / len(x) / (255 if x.dtype == torch.uint8 else 1))
