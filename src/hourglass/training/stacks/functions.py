"""Functions that have a faster form for a stack than the one that `torch.func.vmap` makes of PyTorch's own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from hourglass.training.stacks.linear import stacked_linear
from hourglass.training.stacks.squared_error import squared_error

__all__ = ["StackedFunctions"]


class StackedFunctions(TorchFunctionMode):
    """Within, `F.linear` of a batch is `stacked_linear`, and `F.mse_loss`, the mean, is `squared_error`."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Called by PyTorch in place of every function."""
        given = kwargs or {}
        if function is F.linear and len(args) == 3 and args[0].ndim == 2 and args[2] is not None:
            return stacked_linear(*args)
        if function is F.mse_loss and given.get("reduction") == "mean" and given.get("weight") is None:
            return squared_error(*args[:2])
        return function(*args, **given)
