"""What a trained model does with some test samples: codes, reconstructions, errors, and which units are on for what."""

from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from hourglass.bottlenecks import Above, Activity
from hourglass.configuration.build import build
from hourglass.data import Dataset
from hourglass.figures.canvas import class_name, to_numpy
from hourglass.figures.picture import Array
from hourglass.noise import Corruption
from hourglass.system.errors import HourglassError
from hourglass.trained.load import Trained, recorded_by
from hourglass.training.batches import blocks_of

POINTS = 2000
"""Samples at most: as many as the pictures of a run are drawn from."""


class Inside:
    """A model and the first test samples, seen as in its test.

    Units are numbered from 1, as in every picture.

    Args:
        trained: the model.
        data: what it was trained on.
        count: samples at most.
    """

    def __init__(self, trained: Trained, data: Dataset, *, count: int = POINTS) -> None:
        if data.targets is not None:
            raise HourglassError(
                f"run {trained.run.name} has targets that are not its samples (data.target), which no report draws yet"
            )
        self.trained, self.data = trained, data
        model = trained.model
        self.x = data.scaled(data.test.x[:count])
        self._y = None if data.test.y is None else data.test.y[:count]
        self.y = None if self._y is None else to_numpy(self._y).astype(int)
        with recorded_by(trained.run):
            noise: Corruption = build(trained.config.noise, bounds=data.range, shape=data.shape)
        codes, tested, outputs = [], [], []
        for index, (block, y) in enumerate(blocks_of(self.x, self._y)):
            with torch.no_grad(), noise.seeded(index):
                output = model(noise(block), y)
                codes.append(model.encode(block, y).float())
            tested.append(output.code.float())
            outputs.append(output.reconstruction.float())
        self.code = torch.cat(codes)
        """(n, code_size), of clean samples."""
        self.tested = torch.cat(tested)
        """(n, code_size), of samples as the test corrupts them: by these units are counted, there and here."""
        self.reconstruction = torch.cat(outputs)
        """(n, *shape), of samples as the test corrupts them."""
        self.errors = to_numpy((self.reconstruction - self.x).square().flatten(1).mean(1))
        """(n,) mean squared error per value."""

    @classmethod
    def of(cls, reference: str, *, uri: str, count: int = POINTS) -> "Inside":
        """The same for the model of a run; raises as `Trained.of`, and where its data can't be had."""
        trained = Trained.of(reference, uri=uri)
        with recorded_by(trained.run):
            data: Dataset = build(trained.config.data)
        return cls(trained, data.rescaled(trained.scaling), count=count)

    def activity(self) -> Activity:
        """Counts when units are on, as the training did: by the code's own definition or the threshold that was set."""
        threshold = self.trained.config.training.get("code_threshold")
        return self.trained.model.bottleneck.activity() if threshold is None else Above(threshold=threshold)

    @cached_property
    def on(self) -> Array:
        """(n, code_size) bool: which unit is on for which sample, as the test corrupts it."""
        mask: Array = to_numpy(self.activity().mask(self.tested)).astype(bool)
        return mask

    def class_name(self, which: int) -> str:
        """What a class is called: its name where the data have one, else its number."""
        return class_name(which, self.data.classes)

    @property
    def is_image(self) -> bool:
        """Whether samples are images that can be drawn."""
        return self.data.is_image and self.data.drawable

    @torch.no_grad()
    def added(self, units: Array) -> Array:
        """What each unit adds to a reconstruction, (len(units), *shape).

        The decoder at the mean code with the unit at its 95th percentile, less the decoder with it at its 5th; of a
        model that is told classes, as the class of the first sample.
        """
        middle = self.code.mean(0)
        ends = torch.quantile(self.code[:, torch.from_numpy(units)], torch.tensor([0.05, 0.95]), dim=0)
        decoded = []
        for end in ends:
            moved = middle.repeat(len(units), 1)
            moved[torch.arange(len(units)), torch.from_numpy(units)] = end
            y = None if self._y is None else self._y[:1].expand(len(moved))
            decoded.append(torch.cat([self.trained.model.decode(*block) for block in blocks_of(moved, y)]))
        return to_numpy(decoded[1] - decoded[0])

    @cached_property
    def map_shape(self) -> tuple[int, int, int] | None:
        """(channels, height, width) of a code that is a map of an encoder without dense layers; else None."""
        leaves = [module for module in self.trained.model.encoder.modules() if not any(module.children())]
        kinds = {kind for leaf in leaves for kind in (nn.Linear, nn.Conv2d) if isinstance(leaf, kind)}
        if kinds != {nn.Conv2d}:
            return None
        found: list[tuple[int, ...]] = []
        hooks = [leaf.register_forward_hook(lambda _m, _i, out: found.append(tuple(out.shape))) for leaf in leaves]
        with torch.no_grad():
            self.trained.model.encoded(self.x[:1], None if self._y is None else self._y[:1])
        for hook in hooks:
            hook.remove()
        channels, height, width = next(shape for shape in reversed(found) if len(shape) == 4)[1:]
        return (channels, height, width) if channels * height * width == self.code.shape[1] else None

    def place(self, unit: int) -> str:
        """Where a unit of a map stands: its channel, row, column, and the input that it sees; empty for other codes."""
        if self.map_shape is None:
            return ""
        channel, row, column = np.unravel_index(unit, self.map_shape)
        some = self.x[:8].clone().requires_grad_()
        encoded = self.trained.model.encoded(some, None if self._y is None else self._y[:8]).flatten(1)
        if encoded.shape[1] != self.code.shape[1]:
            return f"channel {channel + 1}, row {row + 1}, column {column + 1}"
        (gradient,) = torch.autograd.grad(encoded[:, unit].sum(), some)
        seen: Tensor = gradient.abs().amax((0, 1)) > 0
        rows, columns = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
        field = ""
        if len(rows):
            field = (
                f"; sees rows {int(rows[0]) + 1} to {int(rows[-1]) + 1},"
                f" columns {int(columns[0]) + 1} to {int(columns[-1]) + 1}"
            )
        return f"channel {channel + 1}, row {row + 1}, column {column + 1}{field}"
