"""Encoder and decoder of a person's own: any two torch modules, one before the code and one after it."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from hourglass.bottlenecks import Bottleneck, Deterministic
from hourglass.models.autoencoder import Autoencoder, exact_squared_jacobian

__all__ = ["Modules", "given"]


class Modules(Autoencoder):
    """Two modules as they are, with the weights that they have, and a bottleneck between them.

    The encoder maps samples (B, *shape) to values of any shape (B, ...), n of each sample, without an activation at
    its end: the bottleneck has it. Of those the bottleneck makes the code, of as many units as fit n: n of them, or n/2
    where it takes a mean and a variance for each. The decoder maps codes to samples: flat ones, (B, code_size), or maps
    where the encoder put out maps, those of the same height and width. It may answer (B, *shape), or as many values in
    another shape.

    Args:
        shape: shape of one sample.
        encoder: the first module; None, as from a record of one that was given in Python: it isn't there.
        decoder: the second one.
        code_size: number of code units; null: what the encoder puts out.
        output_activation: activation of the reconstruction; `linear`: what the decoder gives, as it is.
        bottleneck: builds the bottleneck from the code size.
        target_shape: shape of one target; null: the target is the input.

    Raises:
        ValueError: modules that don't fit the samples, the bottleneck or each other; which, and what they gave.

    Example:
        >>> from functools import partial
        >>> from hourglass.bottlenecks import Gaussian
        >>> model = Modules(
        ...     shape=(4,),
        ...     encoder=nn.Linear(4, 6),
        ...     decoder=nn.Linear(3, 4),
        ...     code_size=None,
        ...     output_activation="linear",
        ...     bottleneck=partial(Gaussian, beta=1.0, warmup_steps=0),
        ... )
        >>> model.code_size
        3
    """

    def __init__(
        self,
        *,
        shape: Sequence[int],
        encoder: nn.Module | None,
        decoder: nn.Module | None,
        code_size: int | None = None,
        output_activation: str = "linear",
        bottleneck: Callable[..., Bottleneck] = Deterministic,
        target_shape: Sequence[int] | None = None,
    ) -> None:
        shape, wanted = tuple(shape), tuple(target_shape or shape)
        encoder, decoder = _module("encoder", encoder), _module("decoder", decoder)
        one = torch.zeros(2, *shape)  # two samples: of one, some layers make no statistics
        found = _tried("encoder", encoder, one)
        values = found[0].numel()
        neck = _fitting(bottleneck, values, code_size)
        maps = _maps(tuple(found.shape[1:]), neck)
        if maps is not None:
            decoder = nn.Sequential(nn.Unflatten(1, maps), decoder)
        made = _tried("decoder", decoder, torch.zeros(2, neck.code_size))
        if made[0].numel() != torch.Size(wanted).numel():
            raise ValueError(
                f"decoder must give {_by(wanted)} values for a sample, got {_by(made.shape[1:])} from a code of"
                f" {neck.code_size}"
            )
        if made.shape[1:] != wanted:
            decoder = nn.Sequential(decoder, nn.Flatten(), nn.Unflatten(1, wanted))
        super().__init__(
            shape=shape,
            encoder=nn.Sequential(encoder, nn.Flatten()),
            bottleneck=neck,
            decoder=decoder,
            output_activation=output_activation,
            target_shape=target_shape,
        )

    def squared_jacobian(self, x: Tensor) -> Tensor:
        """See `Autoencoder.squared_jacobian`; one backward pass for each code unit."""
        return exact_squared_jacobian(self.encode, x)


def given(*, name: str) -> None:
    """What stands in a record for a module that was given in Python as it was: nothing can be built of that.

    name: its class, as `mypackage.Encoder`; for who reads the record.
    """
    del name


def _module(key: str, module: object) -> nn.Module:
    if module is None:
        raise ValueError(
            f"{key} was given in Python as an object, which no record can build again: keep the fitted one, or name its"
            " class and arguments, as model.encoder._target_=mypackage.Encoder"
        )
    if not isinstance(module, nn.Module):
        raise ValueError(f"{key} must be a torch.nn.Module, got {type(module).__name__}")
    return module


def _tried(key: str, module: nn.Module, x: Tensor) -> Tensor:
    """What the module makes of x, with which its lazy layers learn their sizes.

    Where it has none a copy makes it, for running statistics count it, and dropout draws random numbers.
    """
    lazy = any(isinstance(each, UninitializedParameter) for each in module.parameters())
    try:
        with torch.no_grad(), nullcontext() if lazy else torch.random.fork_rng(devices=[]):
            found = (module if lazy else deepcopy(module))(x)
    except Exception as error:  # a person's own code may raise anything
        raise ValueError(f"{key} must take {_by(x.shape[1:])} values of each sample: {error}") from error
    if not isinstance(found, Tensor) or len(found) != len(x) or not found.is_floating_point():
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(
            f"{key} must give a tensor of floats (B, ...) for a batch of B, got {shape} for one of {len(x)}"
        )
    return found


def _fitting(bottleneck: Callable[..., Bottleneck], values: int, code_size: int | None) -> Bottleneck:
    """The bottleneck that takes so many values."""
    if code_size is not None:
        neck = bottleneck(code_size=code_size)
        if neck.inputs == values:
            return neck
        raise ValueError(
            f"code_size must be null or what the encoder gives, {values} values, of which {type(neck).__name__} takes"
            f" {neck.inputs} for {code_size} units"
        )
    for size in (values, values // 2):
        if size:
            neck = bottleneck(code_size=size)
            if neck.inputs == values:
                return neck
    raise ValueError(
        f"encoder must give one value, or two, for each code unit, as {type(neck).__name__} takes them, got {values}"
    )


def _maps(shape: tuple[int, ...], neck: Bottleneck) -> tuple[int, ...] | None:
    """The shape in which the decoder is given the code: the encoder's own, with as many channels as the code fills."""
    if len(shape) == 1:
        return None
    _channels, *place = shape
    each = torch.Size(place).numel()
    return (neck.code_size // each, *place) if neck.code_size % each == 0 else None


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
