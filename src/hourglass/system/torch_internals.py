"""What Hourglass knows of torch that it doesn't promise: each item with its reason.

`tests/system/test_torch_internals.py` exercises each, so that an upgrade which changes one fails there. Importing this
module doesn't import torch.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

OUT_OF_MEMORY = "can't allocate memory"
"""In the text of the RuntimeError where the memory of the machine, not of a GPU, has no room."""
NO_HOOKS = "don't yet support saved tensor hooks"
"""In the text of the RuntimeError where `torch.func.grad` meets somebody who watches what is kept for a gradient."""
SYNCHRONIZING = "synchronizing CUDA operation"
"""In the text of the warning of what makes Python wait for a GPU: see `tests/training/stacks/test_graph.py`."""
PROTOTYPE = "Synchronization debug mode is a prototype"
"""In the text of what torch says of that warning itself."""
TRACE = " Exception raised from "
"""In the text of an error, on one line: behind it stands where in torch's own source it was raised."""


def cpu_has_bfloat16() -> bool:
    """Whether this CPU computes in bfloat16 itself: elsewhere it is emulated, and slower than 32 bits."""
    import torch

    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def is_wrapped(x: "Tensor") -> bool:
    """Whether x stands for values of a `torch.func` transform, which can't be looked at."""
    import torch

    return bool(torch._C._functorch.is_functorch_wrapped_tensor(x))


def standard_gamma(shape: "Tensor") -> "Tensor":
    """Draws of gamma distributions of rate 1, each with its implicit gradient.

    What `torch.distributions.Gamma` calls, which then changes its draws in place: slow in a stack.
    """
    import torch

    return torch._standard_gamma(shape)


def narrowing() -> Callable[[], None]:
    """What puts back whether a GPU's convolutions round 32 bits, as it is now.

    PyTorch has an old interface for it and a new one, and refuses to read the old after the new was used.
    """
    import torch

    cudnn: Any = torch.backends.cudnn
    by_operation = cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision
    try:
        for_all: bool | None = cudnn.allow_tf32
    except RuntimeError:
        for_all = None

    def put_back() -> None:
        if for_all is None:
            cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision = by_operation
        else:
            cudnn.allow_tf32 = for_all

    return put_back
