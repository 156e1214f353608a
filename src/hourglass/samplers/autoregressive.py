"""A probability of codes that are made of symbols: each symbol given those before it.

    p(s) = prod_i p(s_i | s_1 ... s_(i-1)),    minimised: -1/N sum_n log p(s_n) / parts

of the numbers s = (s_1 ... s_parts) of a code's symbols, in the order of the units that they are of: of a code that is
a map row by row. A transformer whose places see those before them gives all of the conditional probabilities at once,
and draws one symbol after another.
"""

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hourglass.bottlenecks import Bottleneck, Spelled, Symbolic
from hourglass.samplers.descent import descend, own_random
from hourglass.samplers.geometry import Geometry
from hourglass.samplers.sampler import Sampler, check_samples
from hourglass.system.checks import check_count

__all__ = ["Autoregressive"]

LARGEST = 2**16
"""Symbols to choose from, at most: the network has a score for each of them at every place."""
_HEADS = 4


class Autoregressive(Sampler):
    """A transformer of the symbols of a discrete code, fitted after the training, as the references draw from theirs.

    Its `fit` and `sample` are of the symbols' numbers, (N, parts) int64, from which the bottleneck makes codes.

    References: Neural discrete representation learning (van den Oord et al., 2017), with a PixelCNN; Taming
    transformers for high-resolution image synthesis (Esser, Rombach & Ommer, 2021), with a transformer.

    Args:
        code_size: number of code units.
        width: values of each place, a multiple of 4 up to 1,024.
        depth: layers, 1 to 24.
        steps: of Adam, on batches of 256 codes, at least 1.

    Raises:
        ValueError: a number out of its range.

    Example:
        >>> sampler = Autoregressive(code_size=4, width=8, depth=1, steps=20)
        >>> sampler.fit(torch.tensor([[0, 1], [2, 0]]))
        >>> sampler.sample(5).shape
        torch.Size([5, 2])
    """

    of_symbols = True

    def __init__(self, *, code_size: int, width: int, depth: int, steps: int) -> None:
        super().__init__(code_size=code_size)
        check_count("width", width, high=1024)
        if width % _HEADS:
            raise ValueError(f"width must be a multiple of {_HEADS}, got {width}")
        check_count("depth", depth, high=24)
        check_count("steps", steps)
        self.width, self.depth, self.steps = width, depth, steps
        self._begin(parts=1, entries=2)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, width={self.width}, depth={self.depth}, steps={self.steps}"

    def _begin(self, *, parts: int, entries: int) -> None:
        """A network for so many symbols of a code, each one of so many; its weights are always the same."""
        with own_random(), torch.inference_mode(False):  # of which a weight would never learn
            self.network = _Causal(parts=parts, entries=entries, width=self.width, depth=self.depth)

    @override
    def check(self, bottleneck: Bottleneck, *, samples: int, geometry: Geometry | None = None) -> None:
        """See `Sampler.check`: refuses codes that are not made of symbols, and too many symbols to choose from."""
        if not isinstance(bottleneck, Symbolic) or not isinstance(bottleneck, Spelled):
            raise ValueError("it draws symbols, and the model's code is not made of any: set sampler=mixture")
        with torch.no_grad():
            entries = bottleneck.symbols(bottleneck.active.new_zeros(1, bottleneck.inputs)).shape[1]
        if entries > LARGEST:
            raise ValueError(f"it chooses from at most {LARGEST:,} symbols, and a part of the code has {entries:,}")
        check_samples(samples)

    @override
    def fit(self, codes: Tensor, *, geometry: Geometry | None = None) -> None:
        """See `Sampler.fit`, of symbols; the same for the same ones."""
        device = self.network.scores.weight.device
        self._begin(parts=codes.shape[1], entries=max(2, int(codes.max()) + 1))
        self.network.to(codes.device)

        def loss(symbols: Tensor) -> Tensor:
            return -self.log_probability(symbols).mean() / symbols.shape[1]

        descend(codes, loss, networks=[self.network], steps=self.steps)
        self.network.to(device)

    def log_probability(self, symbols: Tensor) -> Tensor:
        """Log p(s) in nats of (N, parts) int64, (N,)."""
        scores = self.network(symbols[:, :-1])
        return -F.cross_entropy(scores.flatten(0, 1), symbols.flatten(), reduction="none").view_as(symbols).sum(1)

    @override
    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """See `Sampler.sample`: the numbers of symbols, (count, parts)."""
        drawn = torch.zeros(count, 0, dtype=torch.int64, device=self.network.scores.weight.device)
        for _ in range(self.network.parts):
            p = self.network(drawn)[:, -1].softmax(dim=1)
            drawn = torch.cat([drawn, torch.multinomial(p, 1)], dim=1)
        return drawn

    @override
    def draw(self, bottleneck: Bottleneck, count: int) -> Tensor:
        """See `Sampler.draw`."""
        return cast(Spelled, bottleneck).of_choices(self.sample(count).to(bottleneck.active.device))

    @override
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # The network is as large as the symbols of its run need.
        places, scores = (state_dict.get(f"{prefix}network.{name}") for name in ("places", "scores.weight"))
        if places is not None and scores is not None:
            with torch.device(self.network.places.device):
                self._begin(parts=len(places), entries=len(scores))
        super()._load_from_state_dict(state_dict, prefix, *args)


class _Causal(nn.Module):
    """Of the first symbols of a code the scores of the next at every place."""

    def __init__(self, *, parts: int, entries: int, width: int, depth: int) -> None:
        super().__init__()
        self.parts = parts
        self.start = nn.Parameter(torch.zeros(width))
        self.symbols = nn.Embedding(entries, width)
        self.places = nn.Parameter(torch.randn(parts, width) / math.sqrt(width))
        layer = nn.TransformerEncoderLayer(
            width, _HEADS, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.scores = nn.Linear(width, entries)

    @override
    def forward(self, before: Tensor) -> Tensor:
        """Symbols (N, m) that are known, m below `parts`, to scores (N, m + 1, entries) of those at each next place."""
        start = self.start.expand(len(before), 1, -1)
        seen = torch.cat([start, self.symbols(before)], dim=1)
        seen = seen + self.places[: seen.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(seen.shape[1], device=seen.device, dtype=seen.dtype)
        scores: Tensor = self.scores(self.layers(seen, mask=mask, is_causal=True))
        return scores
