"""A trained model as two files for each of two formats, which need no Hourglass.

    encoder   x -> h = f(taken(x))          samples in their own units to codes
    decoder   h -> given(g(h))              codes to samples in these units

What a run does to its data before the model sees them is inside: the scaling of a table, or of the range that values
are said to come in. `torch.export` writes graphs that torch loads without the code that made them (.pt2), and `onnx`
those that any runtime of ONNX does. Each takes batches of any size. Nothing is written that answers otherwise than the
model:

    |a - b| <= 1e-5 max(1, max |a|)         of the answers a of the model and b of a file, to random samples; samples
                                            in the units that the model sees

A code may choose, as the largest k of its units do. A sample on the border of two choices, so that a change by one part
in 10^5 decides, says nothing of the files, and is left out.
"""

import contextlib
import io
import json
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.data.ranges import Range, read_range, usual
from hourglass.models import Autoencoder
from hourglass.system.errors import HourglassError, reason
from hourglass.system.extras import needed
from hourglass.system.files import drafts
from hourglass.trained.inputs import Inputs
from hourglass.trained.table_model import in_own_units
from hourglass.trained.target import Target

__all__ = ["Decoder", "Encoder", "export", "random_samples"]

TOLERANCE = 1e-5
"""How far a file may answer from the model, by the largest value of the answer where that is above 1."""
SIZES = (1, 2, 7)
"""Samples of the batches that are compared."""


class _Range(NamedTuple):
    """From the range (low, high) of the values that a person has to that of those that the model sees, and back."""

    given: Range
    seen: Range

    def taken(self, x: Tensor) -> Tensor:
        return x if self.given == self.seen else (x - self.given[0]) * self._slope + self.seen[0]

    def given_back(self, x: Tensor) -> Tensor:
        return x if self.given == self.seen else (x - self.seen[0]) / self._slope + self.given[0]

    @property
    def _slope(self) -> float:
        return (self.seen[1] - self.seen[0]) / (self.given[1] - self.given[0])


class Encoder(nn.Module):
    """Samples (B, *shape) in their own units to codes (B, code_size).

    Args:
        model: the autoencoder.
        inputs: what it takes.
        given: the range that values come in, see `read_range`; None: that of the training data.
    """

    def __init__(self, *, model: Autoencoder, inputs: Inputs, given: str | Sequence[float] | None = None) -> None:
        super().__init__()
        self.model = in_own_units(model, inputs.scaling)
        self.range = _range(inputs, given)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self.model.encode(self.range.taken(x))


class Decoder(nn.Module):
    """Codes (B, code_size) to samples (B, *shape), or targets, in their own units. Arguments: see `TrainedModel`."""

    def __init__(
        self,
        *,
        model: Autoencoder,
        inputs: Inputs,
        given: str | Sequence[float] | None = None,
        target: Target | None = None,
    ) -> None:
        super().__init__()
        self.model = in_own_units(model, inputs.scaling, target)
        self.range = _range(inputs, given) if target is None else _Range((0.0, 1.0), (0.0, 1.0))

    @override
    def forward(self, code: Tensor) -> Tensor:
        return self.range.given_back(self.model.decode(code))


def export(
    folder: str | Path,
    *,
    model: Autoencoder,
    inputs: Inputs,
    given: str | Sequence[float] | None = None,
    about: Mapping[str, Any] | None = None,
    target: Target | None = None,
) -> list[Path]:
    """Write `encoder.pt2`, `encoder.onnx`, `decoder.pt2` and `decoder.onnx`, and `export.json`, which describes them.

    Args:
        folder: where to; it is made, and what it holds under these names is replaced.
        model: the autoencoder; it stays as it is.
        inputs: what it takes.
        given: the range that values are given in and given back in, as (0, 255); None: that of the training data.
        about: what `export.json` says besides.
        target: what it makes of samples; None: they themselves.

    Raises:
        HourglassError: a model that has no graph, or whose files answer otherwise than it does; a folder that can't be
            written; the packages of `hourglass[onnx]` are missing.
    """
    needed("export", extra="onnx", packages=("onnx", "onnxscript", "onnxruntime"))
    if model.classes:
        raise HourglassError("a model that takes classes beside samples can't be exported: condition must be none")
    known = _range(inputs, given)
    model = deepcopy(model).cpu().eval()

    def seen(x: Tensor) -> Tensor:
        return known.taken(x) if inputs.scaling is None else inputs.scaling.apply(x)

    x, *near = (random_samples(inputs, max(SIZES), given=given, moved=moved) for moved in (0.0, -1e-5, 1e-5))
    described: dict[str, Any] = {
        "range": None if inputs.scaling is not None else list(known.given),
        "columns": inputs.columns,
        "torch": torch.__version__,
        **(about or {}),
    }
    with drafts(Path(folder)) as place, torch.random.fork_rng(devices=[]):
        encoder = Encoder(model=model, inputs=inputs, given=given).eval()
        code, described["encoder"] = _written(
            encoder, x, near=near, path=place / "encoder", names=("x", "code"), seen=lambda code: code
        )
        decoder = Decoder(model=model, inputs=inputs, given=given, target=target).eval()
        near = [code * (1 - 1e-5), code * (1 + 1e-5)]
        _, described["decoder"] = _written(
            decoder, code, near=near, path=place / "decoder", names=("code", "x"), seen=seen
        )
        (place / "export.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        written = sorted(file.name for file in place.iterdir())
    return [Path(folder) / name for name in written]


def random_samples(
    inputs: Inputs, count: int, *, given: str | Sequence[float] | None = None, moved: float = 0.0
) -> Tensor:
    """Samples (count, *shape) that lie evenly in the range of the training data, in own units; always the same.

    moved: by this part of the range.
    """
    generator = torch.Generator().manual_seed(0)
    low, high = inputs.range
    x = low + (high - low) * (torch.rand(count, *inputs.shape, generator=generator) + moved)
    return inputs.scaling.undo(x) if inputs.scaling is not None else _range(inputs, given).given_back(x)


def _range(inputs: Inputs, given: str | Sequence[float] | None) -> _Range:
    said = read_range(given)
    seen = usual(inputs.range) or inputs.range
    if not isinstance(said, tuple):
        return _Range(seen, seen)
    if inputs.scaling is not None:
        raise HourglassError("range is for images: of a table the model knows the units itself")
    return _Range(said, seen)


def _written(
    function: nn.Module,
    x: Tensor,
    *,
    near: Sequence[Tensor],
    path: Path,
    names: tuple[str, str],
    seen: Callable[[Tensor], Tensor],
) -> tuple[Tensor, dict[str, Any]]:
    """Write both files of a function and compare them with it.

    Args:
        function: a tensor (B, ...) to a tensor (B, ...).
        x: what it is given.
        near: the same, moved by little.
        path: of the files, without their endings.
        names: of what it takes and gives.
        seen: an answer in the units that it is compared in.

    Returns:
        its answer, and what is to be said of the files.
    """
    import onnxruntime

    batch = ({0: torch.export.Dim("batch")},)
    try:
        with _quiet(), torch.no_grad():
            answer = function(x)
            if not isinstance(answer, Tensor) or len(answer) != len(x):
                raise HourglassError(
                    f"it answers with {type(answer).__name__}, not with a tensor of a row for each sample"
                )
            graph = torch.export.export(function, (x,), dynamic_shapes=batch)
            torch.export.save(graph, path.with_suffix(".pt2"))
            program = torch.onnx.export(
                graph,
                (x,),
                dynamo=True,
                verbose=False,
                input_names=[names[0]],
                output_names=[names[1]],
                dynamic_shapes=batch,
            )
            assert program is not None
            program.save(path.with_suffix(".onnx"))
            loaded = torch.export.load(path.with_suffix(".pt2")).module()
            session = onnxruntime.InferenceSession(path.with_suffix(".onnx"), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise HourglassError(f"the {path.name} can't be exported: {reason(error)}") from error
    with torch.no_grad():
        steady = _steady(seen(answer), [seen(function(each)) for each in near])
    if not bool(steady.any()):
        raise HourglassError(
            f"the {path.name} can't be exported: rounding decides what it answers to every sample tried"
        )
    runs: dict[str, Callable[[Tensor], Tensor]] = {
        "pt2": loaded,
        "onnx": lambda part: torch.from_numpy(session.run(None, {names[0]: part.numpy()})[0]),
    }
    allowed = TOLERANCE * max(1.0, float(seen(answer).abs().max()))
    worst = 0.0
    for (ending, run), size in product(runs.items(), SIZES):
        with torch.no_grad():
            given, wanted = run(x[:size]), answer[:size]
        same = given.shape == wanted.shape and given.dtype == wanted.dtype
        apart = (seen(given) - seen(wanted))[steady[:size]].abs() if same else torch.tensor([math.inf])
        if bool((~(apart <= allowed)).any()):  # also a NaN
            raise HourglassError(f"{path.name}.{ending} answers otherwise than the model, by up to {apart.max():g}")
        worst = max([worst, *apart.flatten().tolist()])
    return answer, {names[0]: _described(x), names[1]: _described(answer), "largest_difference": worst}


def _steady(answer: Tensor, near: Sequence[Tensor]) -> Tensor:
    """(B,): whether the answers to samples nearby are the same, but for little."""
    apart = torch.stack([(each - answer).abs().flatten(1).amax(1) for each in near]).amax(0)
    return apart <= 1e-2 * max(1.0, float(answer.abs().max()))


def _described(x: Tensor) -> dict[str, Any]:
    return {"dtype": str(x.dtype).removeprefix("torch."), "shape": ["batch", *x.shape[1:]]}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Within, the exporters say nothing of what they do: their errors are raised."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [each.level for each in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for each in loggers:
            each.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for each, level in zip(loggers, levels, strict=True):
                each.setLevel(level)
