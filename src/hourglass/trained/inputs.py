"""What a trained model is given, made into what it takes: arrays of a shape, a type and a range that mean the same.

    shape   (N, *shape); images of one channel also (N, H, W); images also flat, (N, C H W). No other, of however many
            values: a reshape would answer with the code of a scrambled image
    type    floats, or uint8 grey levels, which become 0 to 1, or the -1 to 1 or 0 to 255 that the model was trained on
    range   that of the training data: `hourglass.data.ranges` says how far beyond it; values of a range that is given,
            as (0, 255), are scaled to it

Rows of a scaled table, and scaled images, are numbers of any type in their own units. Of a DataFrame the columns of the
training are taken, by their names.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hourglass.data.columns import distinct, few
from hourglass.data.dataset import Scaling
from hourglass.data.ranges import ADVICE, ANY, GREY, TAKE_ANY, Range, compare, moved, read_range, usual
from hourglass.data.reading import is_frame
from hourglass.system.errors import HourglassError
from hourglass.system.torch_internals import is_wrapped
from hourglass.trained.pictures import read_pictures


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What one model takes.

    Args:
        shape: of one sample, (C, H, W) or (D,).
        range: lowest and highest value of the training data, as the model sees them.
        scaling: how the rows of its table were scaled, where they were.
        columns: names of the columns of its table, where it had them.
        code_size: number of code units.
        fit: how pictures were brought to the shape, see `hourglass.data.image_folder`.
        fill: (D,) what it sees in place of a missing value, NaN; None: a row must be whole.
    """

    shape: tuple[int, ...]
    range: Range
    scaling: Scaling | None
    columns: tuple[str, ...] | None
    code_size: int
    fit: str = "crop"
    fill: Tensor | None = None

    def samples(self, x: Any, *, name: str, given: str | Sequence[float] | None) -> tuple[Tensor, str | None]:
        """Samples (N, *shape) as floats, rows of a scaled table in its own units; and a warning, if there is reason.

        A tensor of floats stays in its graph. Under `torch.func` and in an export, where a tensor has no values that
        could be looked at, only shape and type are checked.

        Args:
            x: a tensor, an array, a DataFrame, or what numpy makes an array of; or the path of a picture, or of a
                folder of them.
            name: what x is called in a message.
            given: the range that its values are given in, see `read_range`; None: that of the training data.

        Raises:
            HourglassError: another shape or type, other columns; values that are not finite, or far from the training
                data's.
        """
        said = read_range(given)
        if isinstance(x, str | Path):
            x, name = read_pictures(Path(x).expanduser(), self.shape, fit=self.fit), str(x)
        if self.columns is not None and hasattr(x, "columns"):
            x = _by_name(x, self.columns, name)
        shaped = self._in_shape(_tensor(x, name), name)
        taken = self._floats(shaped, name, said) if self.scaling is None else _numbers(shaped, name, said)
        if _is_traced(taken):
            return taken, None
        if self.fill is not None:
            known = self.fill if self.scaling is None else self.scaling.undo(self.fill[None])[0]
            taken = torch.where(taken.isnan(), known.to(taken), taken)
        with torch.no_grad():
            seen = taken if self.scaling is None else self.scaling.apply(taken)
            check_finite(seen, name)
            verdict = compare(seen, self.range, scaling=self.scaling, columns=self.columns)
        if said == ANY:
            return taken, None
        if verdict.refusal is not None:
            raise HourglassError(f"{name} holds {verdict.refusal}: {self._advice()}")
        return taken, None if verdict.warning is None else f"{name} holds {verdict.warning}"

    def codes(self, code: Any, *, name: str) -> Tensor:
        """Codes (N, code_size) as floats. Raises HourglassError: another shape or type, values that are not finite."""
        code = _tensor(code, name)
        if code.ndim != 2 or code.shape[1] != self.code_size:
            raise HourglassError(
                f"{name} holds an array of shape {tuple(code.shape)}, the model's codes are (N, {self.code_size})"
            )
        numbers = _numbers(code, name, None)
        if not _is_traced(numbers):
            check_finite(numbers, name)
        return numbers

    def _advice(self) -> str:
        if self.scaling is not None:
            return TAKE_ANY
        return ADVICE if usual(self.range) is None else f"{ADVICE}, or give grey levels as uint8"

    def _in_shape(self, x: Tensor, name: str) -> Tensor:
        shape, came = self.shape, tuple(x.shape)
        if came[1:] == shape:
            return x
        others = self._others()
        if came[1:] in others:
            return x.reshape(-1, *shape)
        taken = "".join(f", or (N, {_join(other)})" for other in others)
        raise HourglassError(
            f"{name} holds an array of shape {came}, the model takes (N, {_join(shape)}){taken}{self._hint(came)}"
        )

    def _others(self) -> list[tuple[int, ...]]:
        """Shapes of a sample that mean the same as `shape`."""
        if len(self.shape) != 3:
            return []
        return [*([self.shape[1:]] if self.shape[0] == 1 else []), (math.prod(self.shape),)]

    def _hint(self, came: tuple[int, ...]) -> str:
        shape = self.shape
        if came[1:] == (*shape[1:], shape[0]):
            return ": move the channels before rows and columns, numpy.moveaxis(x, -1, 1)"
        if came == shape or (came in self._others() and len(came) < len(shape)):
            return ": a single sample needs an axis more, x[None]"
        if len(shape) == 1 and len(came) > 2 and math.prod(came[1:]) == shape[0]:
            return ": make rows of it, x.reshape(len(x), -1)"
        return ""

    def _floats(self, x: Tensor, name: str, said: Range | str | None) -> Tensor:
        if x.dtype != torch.uint8 and not x.is_floating_point():
            raise HourglassError(f"{name} holds {_type(x)}, allowed are uint8 and floats")
        if isinstance(said, tuple):
            return moved(x if x.is_floating_point() else x.float(), said, self.range)
        if x.dtype != torch.uint8:
            return x
        if usual(self.range) is None and said is None:
            low, high = self.range
            raise HourglassError(
                f"{name} holds grey levels, and the model was trained on floats from {low:g} to {high:g}: say"
                " range=0,255 to have them scaled to that, or give such floats"
            )
        return x.float() if said == ANY else moved(x.float(), GREY, self.range)


def check_finite(x: Tensor, name: str) -> None:
    """Raise HourglassError where a value is NaN or infinite."""
    if not bool(x.isfinite().all()):
        raise HourglassError(f"{name} holds values that are not finite")


def _by_name(x: Any, columns: Sequence[str], name: str) -> Any:
    """These columns of a table that has names for them, in this order."""
    names = distinct([str(each) for each in x.columns])
    if missing := [each for each in columns if each not in names]:
        raise HourglassError(f"{name} must have the columns {few(columns)}, got none named {few(missing)}")
    places = [names.index(each) for each in columns]
    return x.iloc[:, places] if is_frame(x) else np.asarray(x)[:, places]


def _tensor(x: Any, name: str) -> Tensor:
    if isinstance(x, Tensor):
        return x
    try:
        array = np.asarray(x)
    except ValueError as error:  # lists of different lengths
        raise HourglassError(f"{name} must be an array, got rows of different lengths") from error
    kind = array.dtype.kind
    if kind not in "fiu":
        raise HourglassError(f"{name} holds {array.dtype}, allowed are uint8 and floats")
    if array.dtype == np.uint8:
        wanted: Any = np.uint8
    elif kind == "f":
        wanted = np.float32 if array.dtype.itemsize <= 4 else np.float64
    else:  # Python's own numbers say nothing of a type
        wanted = np.float32 if isinstance(x, Sequence) else np.int64
    # A copy also where nothing changes: a file may hold the other byte order, which torch doesn't know.
    return torch.from_numpy(array.astype(wanted))


def _numbers(x: Tensor, name: str, said: Range | str | None) -> Tensor:
    """Numbers of any type as floats, as they are."""
    if x.is_complex() or x.dtype == torch.bool:
        raise HourglassError(f"{name} holds {_type(x)}, allowed are numbers")
    if isinstance(said, tuple):
        raise HourglassError(f"{name} holds values whose own units the model knows: range takes {ANY} here")
    return x if x.is_floating_point() else x.double()


def _is_traced(x: Tensor) -> bool:
    """Whether x stands for values that are not there yet."""
    return torch.compiler.is_compiling() or is_wrapped(x)


def _type(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def _join(shape: Sequence[int]) -> str:
    return ", ".join(map(str, shape))
