"""The classes that a person tells a model of, made into what it takes."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hourglass.models import Autoencoder
from hourglass.system.errors import HourglassError

__all__ = ["classes_told"]


def classes_told(model: Autoencoder, y: Any, *, count: int, device: torch.device | None = None) -> Tensor | None:
    """Classes (count,) for a model that takes them; None for one that sees samples alone.

    Args:
        model: that will be told.
        y: (count,) whole numbers, or one for all; None: there are none.
        count: samples, or codes, beside which they stand.
        device: where they are to be.

    Raises:
        HourglassError: none for a model that takes them, some for one that doesn't; a class that it doesn't know;
            another number of them.
    """
    if not model.classes:
        if y is not None:
            raise HourglassError("y must be left out: the model was trained with condition=none, and takes no classes")
        return None
    known = f"whole numbers from 0 to {model.classes - 1}"
    if y is None:
        raise HourglassError(
            f"y must be given: the model was trained with condition=labels, and takes the class of each sample, {known}"
        )
    try:
        found = torch.as_tensor(y if isinstance(y, Tensor) else np.asarray(y))
    except (TypeError, ValueError) as error:
        raise HourglassError(f"y must be {known}, got {y!r}") from error
    if found.ndim == 0:
        found = found.expand(count)
    if found.is_floating_point() or found.is_complex() or found.dtype == torch.bool or found.shape != (count,):
        kind = str(found.dtype).removeprefix("torch.")
        raise HourglassError(f"y must be {known}, of shape ({count},) or one for all, got {kind} {tuple(found.shape)}")
    low, high = (int(bound) for bound in found.aminmax())
    if low < 0 or high >= model.classes:
        raise HourglassError(f"y must be {known}, got {low if low < 0 else high}")
    return found.long().to(device)
