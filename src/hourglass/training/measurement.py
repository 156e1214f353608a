"""What a learner measures of a split, after every epoch and in the test.

Noise is drawn from fixed seeds and everything is measured with full precision, so that numbers of different runs can be
compared. Every loss term is of the code as it is trained, drawn from the same fixed seeds: `val/loss` is what training
minimises, for a variational code a bound on the likelihood. A term that compares the samples of a batch with each other
goes by how many there are, and is the mean over batches of about the training's size. Only what a regularizer does to
the code on its way to the decoder is left out. What the code in use reconstructs, its mean, say `mse` and all else that
`hourglass.measures.streaming` measures.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from hourglass.bottlenecks import HasRate, Refining, Symbolic
from hourglass.data import Split
from hourglass.losses import logged
from hourglass.measures.streaming import Clean, Metrics
from hourglass.models import Output
from hourglass.system.errors import Diverged
from hourglass.training.batches import is_all
from hourglass.training.lightning_internals import evaluated
from hourglass.training.plain import as_chunk, is_own

if TYPE_CHECKING:
    from hourglass.training.learner import Learner

__all__ = ["Measurement"]

_CLEAN: WeakKeyDictionary[Split, dict[tuple[float, float], Clean]] = WeakKeyDictionary()
"""Sums over the clean samples of a split by the range of its data: all epochs and all members of a stack share them."""


class Measurement:
    """One measurement of a split, batch by batch.

    Args:
        learner: what is measured, within the loop of a trainer.
        split: what it is measured on.
        limit: how much of the split the trainer is told to see, as it has it; None: all.
    """

    def __init__(self, learner: "Learner", split: Split, *, limit: float | None) -> None:
        self._learner, self._split = learner, split
        self._sums: dict[str, float] = {}
        self._samples = 0
        data, loader = learner.data, evaluated(learner.trainer)
        # Where Lightning is told to stop before, or a person gives other samples, it isn't the split that is measured.
        own = is_own(loader) and loader.split is split
        self._whole = own and is_all(limit) and not learner.trainer.sanity_checking
        self._clean = _CLEAN.setdefault(data.targets_of(split), {})
        self._mixes = any(getattr(module, "mixes_samples", False) for module in learner.modules())
        with _differentiable():
            self._metrics = Metrics(
                shape=data.wanted.shape,
                data_range=data.wanted.range,
                activity=learner.activity(),
                active=learner.model.bottleneck.active,
                clean=self._clean.get(data.wanted.range) if self._whole else None,
                categories=[(each.span.start, each.span.stop) for each in data.categories],
                masked=data.fill is not None,
            )

    def add(self, given: Any, index: int) -> None:
        """Measure a batch, as a loader gives it, whose noise is that of its number."""
        with _differentiable():
            self._add(given, index)

    def values(self, stage: str) -> dict[str, float]:
        """All that was measured, by name, as `val/mse`.

        Raises:
            Diverged: a loss that is NaN or infinite.
        """
        learner = self._learner
        means = learner.replicas.agreed({name: value / self._samples for name, value in self._sums.items()})
        for name, value in means.items():
            if not math.isfinite(value):
                raise Diverged(name=f"{stage}/{name}", value=value, step=learner.steps_done)
        with _differentiable():
            measured = learner.replicas.agreed(self._metrics.compute() if learner.replicas.first else {})
        if self._whole and self._metrics.clean.samples == len(self._split):
            self._clean[learner.data.wanted.range] = self._metrics.clean
        return {f"{stage}/{name}": value for name, value in {**means, **measured}.items()}

    def _add(self, given: Any, index: int) -> None:
        learner = self._learner
        batch = as_chunk(given, learner)
        seen = learner.data.target(batch.x)
        x, target = learner.data.filled(seen), learner.data.goal(seen, batch.target)
        model, neck = learner.model, learner.model.bottleneck
        # Measured with full precision, whatever the training's: a model that is loaded again gives these numbers.
        with torch.autocast(x.device.type, enabled=False), learner.noise.seeded(index):
            corrupted = learner.noise(x)
            output = model(corrupted, batch.y)
            scores = learner.penalties.scores(model, x, output, target=target)
            if learner.scores_in_use:
                scores |= learner.scores(output, target, batch.y)
            scores |= self._as_trained(output, target, corrupted)
            if isinstance(neck, Refining):
                for name, code in neck.refined(output.encoded).items():
                    scores = {**scores, f"mse_{name}": (model.decode(code, output.y) - target).square().nanmean()}
            symbols = neck.symbols(output.encoded) if isinstance(neck, Symbolic) else None
            rates = neck.rates(output.encoded) if isinstance(neck, HasRate) else None
        self._metrics.update(
            target,
            None if corrupted is x or batch.target is not None else corrupted,
            output.reconstruction,
            output.code,
            symbols=symbols,
            rates=rates,
        )
        self._samples += len(x)
        for name, term in scores.items():
            self._sums[name] = self._sums.get(name, 0.0) + term.item() * len(x)

    def _as_trained(self, output: Output, target: Tensor, corrupted: Tensor) -> dict[str, Tensor]:
        """The loss, its terms and what else is said of the code as it is trained, means over the samples by name."""
        learner, found = self._learner, defaultdict[str, list[Tensor]](list)
        for rows in self._batches(len(target)):
            part = output if rows == slice(0, len(target)) else self._part(output, rows)
            x = target[rows]
            trained = learner.as_trained(part, x, corrupted[rows])
            terms = learner.penalties.reweigh(learner.terms_of(trained, x, part.y), trained)
            values = logged(terms) | learner.uncontested(terms)
            if not learner.scores_in_use:
                values |= learner.scores(trained, x, part.y)
            if trained is not part:
                values["mse_as_trained"] = (trained.reconstruction - x).square().nanmean()
            for name, value in values.items():
                found[name].append(value * (len(x) / len(target)))
        return {name: torch.stack(shares).sum() for name, shares in found.items()}

    def _batches(self, samples: int) -> list[slice]:
        """Batches of about the training's size and about as large as each other, where a term goes by its batch."""
        trained = self._learner.batch_size
        count = max(1, round(samples / trained)) if trained is not None and self._mixes else 1
        edges = [samples * number // count for number in range(count + 1)]
        return [slice(begin, end) for begin, end in pairwise(edges)]

    def _part(self, output: Output, rows: slice) -> Output:
        """Some samples of an output, with the losses that the bottleneck has of them alone."""
        encoded = output.encoded[rows]
        return Output(
            output.reconstruction[rows],
            output.code[rows],
            self._learner.model.bottle(encoded).losses,
            encoded,
            None if output.y is None else output.y[rows],
            None if output.given is None else output.given[rows],
        )


@contextmanager
def _differentiable() -> Iterator[None]:
    """Within, penalties can ask for derivatives, which the inference mode of a plain `pl.Trainer` forbids."""
    if not torch.is_inference_mode_enabled():
        yield
        return
    with torch.inference_mode(False), torch.no_grad():
        yield
