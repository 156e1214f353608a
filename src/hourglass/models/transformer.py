"""Autoencoders of patches, by transformers.

A sample is cut into N patches of values, u_1 ... u_N; each becomes a token, with a fixed code p_i of its place:

    t_i = W u_i + b + p_i,    z = norm(blocks(t_1 ... t_N)),    h = bottleneck(1/N sum_i z_i)

and a lighter net makes the patches of the code, from a learned token m at every place:

    s_i = E h + m + q_i,    r_i = V norm(blocks(s_1 ... s_N))_i + c

A block is pre-normed attention and a perceptron, each added to what it was given:

    t <- t + attention(norm(t)),    t <- t + W_2 gelu(W_1 norm(t))

Because attention takes any number of tokens, the encoder can be given some of the patches only: see `seen`.
"""

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.bottlenecks import Bottleneck, Deterministic
from hourglass.models.autoencoder import Autoencoder, Output, exact_squared_jacobian, initialise
from hourglass.models.patches import Joined, Patches, positions
from hourglass.system.checks import check_whole
from hourglass.system.precision import wide

__all__ = ["Block", "Transformer"]


class Transformer(Autoencoder):
    """An autoencoder of patches over images, signals and rows; sides that no patches fill are padded with zeros.

    References: An image is worth 16x16 words (Dosovitskiy et al., 2021); Masked autoencoders are scalable vision
    learners (He et al., 2022), for the light decoder and the mean of the tokens as the code.

    Args:
        shape: (channels, height, width) of one image, (channels, length) of one signal, or (values,) of one row.
        code_size: null: the mean token is the code, `width` units; a number: a dense layer makes a code of that size.
        patch_size: side of a patch, in pixels or values, at least 1.
        width: values of a token of the encoder, a multiple of 4 and of `heads`.
        depth: blocks of the encoder, at least 1.
        heads: of the attention, in encoder and decoder, at least 1.
        decoder_width: values of a token of the decoder, as `width`.
        decoder_depth: blocks of the decoder, at least 1.
        output_activation: activation of the reconstruction.
        bottleneck: builds the bottleneck from the code size.

    Raises:
        ValueError: a number out of its range, a code of the mean token for a bottleneck that takes more values.

    Example:
        >>> model = Transformer(shape=(1, 8, 8), patch_size=2, width=8, heads=2, decoder_width=8)
        >>> model.patches, model.code_size
        (16, 8)
    """

    def __init__(
        self,
        *,
        shape: Sequence[int],
        code_size: int | None = None,
        patch_size: int = 4,
        width: int = 64,
        depth: int = 4,
        heads: int = 4,
        decoder_width: int = 32,
        decoder_depth: int = 1,
        output_activation: str = "sigmoid",
        bottleneck: Callable[..., Bottleneck] = Deterministic,
    ) -> None:
        _check(patch_size=patch_size, depth=depth, heads=heads, decoder_depth=decoder_depth)
        for key, value in (("width", width), ("decoder_width", decoder_width)):
            if type(value) is not int or value < 4 or value % 4 or value % heads:
                raise ValueError(f"{key} must be a multiple of 4 and of heads={heads}, got {value}")
        cut = Patches(shape=tuple(shape), size=patch_size)
        neck = _neck(bottleneck, code_size, width)
        dense = code_size is not None
        super().__init__(
            shape=tuple(shape),
            encoder=nn.Sequential(
                cut,
                nn.Linear(cut.values, width),
                Placed(cut.grid, width),
                *(Block(width, heads) for _ in range(depth)),
                nn.LayerNorm(width),
                Mean(),
                *([nn.Linear(width, neck.inputs)] if dense else []),
            ),
            bottleneck=neck,
            decoder=nn.Sequential(
                *([nn.Linear(neck.code_size, width)] if dense else []),
                nn.Linear(width, decoder_width),
                Spread(cut.grid, decoder_width),
                *(Block(decoder_width, heads) for _ in range(decoder_depth)),
                nn.LayerNorm(decoder_width),
                nn.Linear(decoder_width, cut.values),
                Joined(cut),
            ),
            output_activation=output_activation,
        )
        initialise(self.encoder, self.decoder)
        self.patches = math.prod(cut.grid)
        self._at = (3 + depth + 1, int(dense))  # where the mean is taken, and where a token enters the decoder

    def seen(self, x: Tensor, visible: Tensor, known: Tensor) -> Output:
        """What comes of the visible patches alone: those that are hidden are made of them, the others are known.

        The encoder has no token of a hidden patch. In the decoder the token m stands for each, beside those that the
        encoder made of the visible ones, so that a reconstruction loss is one of the hidden patches.

        Args:
            x: the inputs (B, *shape).
            visible: (B, V) the numbers of the patches that are seen, each once, from 0 to `patches` - 1.
            known: (B, *shape) what stands in the reconstruction where patches are seen: the clean samples.
        """
        encoder, decoder = cast(nn.Sequential, self.encoder), cast(nn.Sequential, self.decoder)
        cut, spread = cast(Patches, encoder[0]), cast(Spread, decoder[self._at[1] + 1])
        mean, enter = self._at
        patches = cut(x)  # (B, N, values)
        tokens = encoder[1:3](patches)
        tokens = encoder[3:mean](tokens.gather(1, visible[..., None].expand(-1, -1, tokens.shape[2])))  # (B, V, width)
        encoded = wide(encoder[mean:](tokens))
        code, losses = self.bottle(encoded)
        given = decoder[enter](tokens)
        places = visible[..., None].expand_as(given)
        filled = spread.token.to(given.dtype).expand(x.shape[0], self.patches, -1).scatter(1, places, given)
        made = decoder[enter + 2 : -2](spread.placed(filled))
        made = self.finish(cut.joined(decoder[-2](made)))
        hidden = torch.ones_like(patches[..., :1]).scatter(1, visible[..., None], 0.0)
        mask = cut.joined(hidden.expand_as(patches))
        return Output(torch.where(mask > 0, made, known), code, losses, encoded)

    def squared_jacobian(self, x: Tensor) -> Tensor:
        """See `Autoencoder.squared_jacobian`; exact, by differentiation."""
        return exact_squared_jacobian(self.encode, x)


class Placed(nn.Module):
    """Adds the code of its place to each token (B, N, width)."""

    places: Tensor

    def __init__(self, grid: Sequence[int], width: int) -> None:
        super().__init__()
        self.register_buffer("places", positions(grid, width), persistent=False)

    @override
    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.places.to(tokens.dtype)


class Spread(Placed):
    """What is known of a sample (B, width) at every place, with the learned token and the code of the place."""

    def __init__(self, grid: Sequence[int], width: int) -> None:
        super().__init__(grid, width)
        self.token = nn.Parameter(0.02 * torch.randn(width))

    def placed(self, tokens: Tensor) -> Tensor:
        """(B, N, width) with the codes of the places."""
        return super().forward(tokens)

    @override
    def forward(self, tokens: Tensor) -> Tensor:
        return self.placed((tokens + self.token.to(tokens.dtype))[:, None])


class Mean(nn.Module):
    """Tokens (B, N, width) to their mean (B, width)."""

    @override
    def forward(self, tokens: Tensor) -> Tensor:
        return tokens.mean(dim=1)


class Block(nn.Module):
    """A pre-normed block: attention among the tokens, then a perceptron of 4 x `width` units for each.

    Args:
        width: values of a token, a multiple of `heads`.
        heads: of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm_again = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked, self.answer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    @override
    def forward(self, t: Tensor) -> Tensor:
        t = t + self.attention(self.norm(t))
        return t + cast(Tensor, self.perceptron(self.norm_again(t)))

    def attention(self, t: Tensor) -> Tensor:
        """softmax(q k^T / sqrt(d)) v of each head, (B, N, width) to the same."""
        size, count, width = t.shape
        q, k, v = self.asked(t).view(size, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(width // self.heads)).softmax(-1)
        return cast(Tensor, self.answer((weights @ v).transpose(1, 2).reshape(size, count, width)))


def _neck(bottleneck: Callable[..., Bottleneck], code_size: int | None, width: int) -> Bottleneck:
    if code_size is not None:
        check_whole("code_size", code_size, lowest=1)
        return bottleneck(code_size=code_size)
    neck = bottleneck(code_size=width)
    if neck.inputs != width:
        raise ValueError(
            f"code_size null gives the bottleneck {width} values, but it needs {neck.inputs}: set code_size"
        )
    return neck


def _check(**numbers: int) -> None:
    for key, value in numbers.items():
        check_whole(key, value, lowest=1)
