"""Small models to compute by hand."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from hourglass.bottlenecks import Bottleneck, Deterministic, Gaussian, TopK
from hourglass.models import MLP, Autoencoder, Conv, Output
from hourglass.regularizers import Penalty


def mlp(
    *,
    inputs: int = 2,
    code_size: int = 2,
    widths: tuple[int, ...] = (),
    code: str = "sigmoid",
    neck: Callable[..., Bottleneck] | None = None,
    tied: bool = False,
    unit_norm: bool = False,
) -> MLP:
    torch.manual_seed(0)
    return MLP(
        shape=(inputs,),
        code_size=code_size,
        depth=len(widths),
        widths=widths,
        decoder_widths=None,
        activation="tanh",
        output_activation="linear",
        tied=tied,
        unit_norm=unit_norm,
        bottleneck=neck or partial(Deterministic, activation=code),
    )


def conv(*, code_size: int | None, code: str, activation: str = "tanh") -> Conv:
    torch.manual_seed(0)
    return Conv(
        shape=(2, 5, 4),
        code_size=code_size,
        depth=1,
        widths=[3],
        decoder_widths=None,
        dense_widths=[],
        decoder_dense_widths=None,
        kernel_size=3,
        downsampling="pooling",
        upsampling="nearest",
        decoder_padding=None,
        activation=activation,
        output_activation="linear",
        unit_norm=False,
        bottleneck=partial(Deterministic, activation=code),
    )


def gaussian(*, inputs: int = 2, code_size: int = 2) -> MLP:
    return mlp(inputs=inputs, code_size=code_size, neck=partial(Gaussian, beta=1.0, warmup_steps=0))


def top_k(*, inputs: int, code_size: int, k: int) -> MLP:
    return mlp(inputs=inputs, code_size=code_size, neck=partial(TopK, k=k, k_test=None, activation="relu"))


def with_encoder(model: MLP, weights: tuple[tuple[float, ...], ...], biases: tuple[float, ...]) -> MLP:
    """The model, whose encoder is one layer, with these weights in it."""
    layer = model.encoder[1]  # type: ignore[index]
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights))
        layer.bias.copy_(torch.tensor(biases))
    return model


def by_hand(weights: tuple[tuple[float, ...], ...], biases: tuple[float, ...], code: str = "sigmoid") -> MLP:
    """A model without hidden layers whose encoder has these weights."""
    return with_encoder(mlp(inputs=len(weights[0]), code_size=len(weights), code=code), weights, biases)


def with_decoder(model: MLP, weights: tuple[tuple[float, ...], ...]) -> MLP:
    """The model, whose decoder is one layer, with these weights in it."""
    with torch.no_grad():
        model.decoder[0].weight.copy_(torch.tensor(weights))  # type: ignore[index]
    return model


def value(
    penalty: Penalty,
    code: Tensor,
    model: Autoencoder | None = None,
    x: Tensor | None = None,
    encoded: Tensor | None = None,
) -> float:
    x = torch.zeros(len(code), 2) if x is None else x
    output = Output(torch.zeros_like(x), code, {}, code if encoded is None else encoded)
    return penalty(model or mlp(), x, output).weighted.item()
