"""A trained model as it is used: it takes what a person has, and refuses what it would answer wrong.

    h = f(taken(x)),    r = g(h)

`taken` is `hourglass.trained.inputs`: arrays of any kind, in the shape, type and range that the model was trained on,
rows of a scaled table in that table's own units. The bare mathematics, of values as the model sees them, is that of
`model`.
"""

import warnings
from collections.abc import Sequence
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hourglass.models import Autoencoder, Output
from hourglass.models.conditional import in_turn
from hourglass.samplers.source import Source
from hourglass.system.errors import HourglassError
from hourglass.trained.classes import classes_told
from hourglass.trained.inputs import Inputs
from hourglass.trained.target import Target
from hourglass.training.batches import blocks_of


class TrainedModel(nn.Module):
    """A trained autoencoder that takes tensors, arrays and lists, in the units of its training data.

    Whatever else an autoencoder has, as `bottleneck` or `squared_jacobian`, is that of `model`; and its state dict is
    the model's. Nothing is detached: gradients flow through encoder and decoder as they do in `model`.

    Args:
        model: the autoencoder, of values as it sees them.
        inputs: what it takes.
        source: what new codes are drawn from; None: there is nothing.
        target: what it makes of samples; None: they themselves.

    Its methods raise HourglassError for another shape, type or range, with the reason in one line.
    """

    def __init__(
        self, *, model: Autoencoder, inputs: Inputs, source: Source | None = None, target: Target | None = None
    ) -> None:
        super().__init__()
        self.model = model
        self.inputs = inputs
        self.source = source
        self.target = target
        self.back = inputs.scaling if target is None else target.scaling
        self.shape = model.shape
        self.code_size = model.code_size
        self.training = model.training
        self.register_state_dict_post_hook(_without_own_name)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_with_own_name)  # type: ignore[no-untyped-call]

    def encode(self, x: Any, y: Any = None, *, range: str | Sequence[float] | None = None) -> Tensor:
        """Samples (B, *shape), for images of one channel also (B, H, W), for all also flat, to codes (B, code_size).

        y: their classes (B,), or one for all, for a model that was trained with condition=labels, and no other.
        range: (LOW, HIGH) scales values of that range to the training data's, "any" takes them as they are, None
        refuses what lies far from the training data.
        """
        seen = self._seen(x, range)
        return self.model.encode(seen, self._told(y, seen))

    def decode(self, code: Any, y: Any = None) -> Tensor:
        """Codes (B, code_size) to samples (B, *shape); rows of a scaled table in its own units, float64.

        y: see `encode`.
        """
        code = self._like_weights(self.inputs.codes(code, name="code"))
        return self._given_back(self.model.decode(code, self._told(y, code)))

    def forward(self, x: Any, y: Any = None, *, range: str | Sequence[float] | None = None) -> Output:
        """Samples to an `Output`, whose reconstruction is as `decode` gives it. Arguments: see `encode`."""
        seen = self._seen(x, range)
        output: Output = self.model(seen, self._told(y, seen))
        return output._replace(reconstruction=self._given_back(output.reconstruction))

    def sample(self, count: int, y: Any = None, *, seed: int | None = None) -> Tensor:
        """New samples (count, *shape), decoded from codes that no input gave.

        The codes are drawn from the density that was fitted to those of the training set (`sampler=mixture`), else from
        the prior that the model was trained with.

        count: how many, at least 1.
        y: the classes (count,) that are asked for, or one for all, of a model that was trained with condition=labels;
            None: each class in turn.
        seed: gives the same samples again, and leaves torch's random numbers alone; None goes on from these.
        """
        if self.source is None:
            raise HourglassError("nothing is known that codes could be drawn from: load the model of a run")
        codes = self._like_weights(self.source.draw(self.model, count, seed=seed))
        told = in_turn(self.model, count) if y is None else self._told(y, codes)
        return self._given_back(torch.cat([self.model.decode(*block) for block in blocks_of(codes, told)]))

    def export(
        self, folder: str | PathLike[str], *, range: str | Sequence[float] | None = None, about: Any = None
    ) -> list[Path]:
        """Write encoder and decoder apart, as files for torch and ONNX, in own units; see `hourglass.trained.export`.

        folder: where to; it is made.
        range: (LOW, HIGH) of the values that go in and come out; None: the training data's.
        about: what `export.json` says besides, a mapping.
        """
        from hourglass.trained.export import export

        return export(Path(folder), model=self.model, inputs=self.inputs, given=range, about=about, target=self.target)

    def _told(self, y: Any, beside: Tensor) -> Tensor | None:
        return classes_told(self.model, y, count=len(beside), device=beside.device)

    def _seen(self, x: Any, given: str | Sequence[float] | None) -> Tensor:
        x, warning = self.inputs.samples(x, name="x", given=given)
        if warning is not None:
            warnings.warn(warning, stacklevel=3)
        return self._like_weights(x if self.inputs.scaling is None else self.inputs.scaling.apply(x))

    def _given_back(self, x: Tensor) -> Tensor:
        return x if self.back is None else self.back.undo(x)

    def _like_weights(self, x: Tensor) -> Tensor:
        weights = chain(self.model.parameters(), self.model.buffers())
        weight = next((each for each in weights if each.is_floating_point()), None)
        return x.to(torch.float32) if weight is None else x.to(weight)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "model":
                raise
            return getattr(self.model, name)


def _without_own_name(_module: nn.Module, state: dict[str, Tensor], prefix: str, _metadata: Any) -> None:
    for key in [key for key in state if key.startswith(f"{prefix}model.")]:
        state[prefix + key.removeprefix(f"{prefix}model.")] = state.pop(key)


def _with_own_name(_module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    for key in [key for key in state if key.startswith(prefix)]:
        state[f"{prefix}model.{key.removeprefix(prefix)}"] = state.pop(key)
