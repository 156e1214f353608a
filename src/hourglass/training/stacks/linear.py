"""Linear layers of a stack: the layers y_i = x_i W_i^T + b_i of all members i in one product, biases included.

Of `F.linear`, `torch.func.vmap` makes a product for each member and then a pass over all that they put out for the
biases. Here the product starts from the biases; and where all members see the same x, as at the first layer without
noise, it is one large product x [W_1^T ... W_n^T]. Twelve members 784-64-784 took 2.3 instead of 2.6 ms for a step of
each on a CPU in 32 bits, 1.9 instead of 2.2 ms in bfloat16.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def stacked_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`F.linear` of x (B, inputs), weight (outputs, inputs) and bias (outputs,)."""
    y: Tensor = _Linear.apply(x, weight, bias)
    return y


class _Linear(torch.autograd.Function):
    """`F.linear` of x (B, inputs), weight (outputs, inputs) and bias (outputs,), in a vmap of its own."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.linear(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        x, weight, _ = inputs
        ctx.dtype = output.dtype  # under autocast not that of the weights
        ctx.save_for_backward(x, weight)
        ctx.save_for_forward(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = (each.to(gradient.dtype) for each in ctx.saved_tensors)
        return gradient @ weight, gradient.mT @ x, gradient.sum(0)

    @staticmethod
    def jvp(ctx: Any, x_dot: Tensor | None, weight_dot: Tensor | None, bias_dot: Tensor | None) -> Tensor:
        x, weight = ctx.saved_tensors
        parts = [] if x_dot is None else [x_dot @ weight.mT]
        parts += [] if weight_dot is None else [x @ weight_dot.mT]
        parts += [] if bias_dot is None else [bias_dot.expand(len(x), -1)]
        total: Tensor = sum(parts[1:], parts[0])
        return total.to(ctx.dtype)

    @staticmethod
    def vmap(
        info: Any,  # noqa: ARG004
        in_dims: tuple[int | None, int | None, int | None],
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
    ) -> tuple[Tensor, int]:
        dims, tensors = list(in_dims), (x, weight, bias)
        x, weight, bias = (
            each if dim is None else each.movedim(dim, 0) for each, dim in zip(tensors, dims, strict=True)
        )
        if dims[1] is not None and dims[2] is not None:
            return _Stacked.apply(x, weight, bias), 0
        # A penalty's own vmap, over samples.
        return x @ weight.mT + (bias if dims[2] is None else bias.unsqueeze(1)), 0


class _Stacked(torch.autograd.Function):
    """The layers of n members, x (n, B, inputs) or, the same for all, (B, inputs); the others (n, ...)."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        if x.ndim == 3:
            return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)
        members, outputs, _ = weight.shape
        together = torch.addmm(bias.flatten(), x, weight.flatten(0, 1).T)  # (B, n outputs)
        return together.view(-1, members, outputs).transpose(0, 1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = (each.to(gradient.dtype) for each in ctx.saved_tensors)
        of_bias = gradient.sum(1)
        if x.ndim == 3:
            of_x = gradient @ weight if ctx.needs_input_grad[0] else None
            return of_x, gradient.mT @ x, of_bias
        together = gradient.transpose(0, 1).flatten(1)  # (B, n outputs)
        of_x = together @ weight.flatten(0, 1) if ctx.needs_input_grad[0] else None
        return of_x, (together.T @ x).view(weight.shape), of_bias
