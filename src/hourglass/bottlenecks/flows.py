"""Normalizing flows: invertible maps that bend the normal distribution of a code into a richer one.

    z_0 ~ N(m, exp(v)),   z_t = f_t(z_{t-1}; h)
    log q(z_T | x) = log N(z_0; m, exp(v)) - sum_t log |det df_t / dz_{t-1}|

h, one value for each unit, is what the encoder says of a sample besides mean and variance. The flows:

    planar       z + u tanh(w.z + b)                      Rezende & Mohamed, 2015
    radial       z + b (z - c) / (a + |z - c|)            Rezende & Mohamed, 2015
    householder  z - 2 v v.z / |v|^2                      Tomczak & Welling, 2016
    iaf          s z + (1 - s) m,  m_j, s_j of z_{<j}, h  Kingma et al., 2016

Inactive units stay 0 and have no part in a determinant. Their parameters follow h by linear layers, so that every
sample has a flow of its own, as in the references.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hourglass.system.checks import check_whole

__all__ = ["Bent", "Flow", "Householder", "InverseAutoregressive", "Planar", "Radial"]

_SMALL = 1e-6  # below which a length counts as none, so that no direction is divided by zero


class Bent(NamedTuple):
    """What a flow makes of codes."""

    code: Tensor
    """(B, code_size)."""
    log_determinant: Tensor
    """(B,): log |det dz_T / dz_0|, over active units."""


class Flow(nn.Module):
    """A row of steps of one kind.

    Args:
        code_size: number of code units.
        steps: T, at least 1.
        make_step: makes one; it is called with the number of the step, from 0.
    """

    def __init__(self, *, code_size: int, steps: int, make_step: Callable[[int], "Step"]) -> None:
        super().__init__()
        check_whole("steps", steps, lowest=1)
        self.code_size = code_size
        self.steps = nn.ModuleList(make_step(number) for number in range(steps))

    def extra_repr(self) -> str:
        """The settings."""
        return f"code_size={self.code_size}"

    def forward(self, z: Tensor, h: Tensor, active: Tensor) -> Bent:
        """Codes and what the encoder says of them, each (B, code_size), both 0 for inactive units."""
        log_determinant = z.new_zeros(z.shape[:-1])
        for step in self.steps:
            z, more, h = step(z, h, active)
            log_determinant = log_determinant + more
        return Bent(z, log_determinant)


class Step(nn.Module):
    """One invertible map."""

    @abstractmethod
    def forward(self, z: Tensor, h: Tensor, active: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Code and context (B, code_size) to the next code, log |det| (B,), and the context of the next step."""


class Planar(Flow):
    """Each step pushes along a direction u, by how far the code is across a plane.

    z' = z + u' tanh(w.z + b),   log |det| = log |1 + (1 - tanh(w.z + b)^2) w.u'|
    u' = u + (softplus(w.u) - 1 - w.u) w / |w|^2,   so that w.u' >= -1 and the map can be inverted

    Reference: Variational inference with normalizing flows (Rezende & Mohamed, 2015).

    Args:
        code_size: number of code units.
        steps: T, at least 1.

    Example:
        >>> Planar(code_size=2, steps=1)
        Planar(
          code_size=2
          (steps): ModuleList(
            (0): _PlanarStep(
              (u): Linear(in_features=2, out_features=2, bias=True)
              (w): Linear(in_features=2, out_features=2, bias=True)
              (b): Linear(in_features=2, out_features=1, bias=True)
            )
          )
        )
    """

    def __init__(self, *, code_size: int, steps: int = 10) -> None:
        super().__init__(code_size=code_size, steps=steps, make_step=lambda _: _PlanarStep(code_size))


class _PlanarStep(Step):
    def __init__(self, code_size: int) -> None:
        super().__init__()
        self.u, self.w, self.b = (nn.Linear(code_size, size) for size in (code_size, code_size, 1))

    @override
    def forward(self, z: Tensor, h: Tensor, active: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        u, w, b = self.u(h) * active, self.w(h) * active, self.b(h).squeeze(-1)
        along = (w * u).sum(dim=-1)
        push = (F.softplus(along) - 1 - along) / w.square().sum(dim=-1).clamp(min=_SMALL)
        u = u + push.unsqueeze(-1) * w
        bend = ((w * z).sum(dim=-1) + b).tanh()
        log_determinant = (1 + (1 - bend.square()) * (w * u).sum(dim=-1)).clamp(min=_SMALL).log()
        return z + u * bend.unsqueeze(-1), log_determinant, h


class Radial(Flow):
    """Each step pulls towards a point c, or pushes from it.

    z' = z + b r^ (z - c),   r^ = 1 / (a + r),  r = |z - c|,   a = softplus(a'),  b = softplus(b') - a
    log |det| = (n - 1) log(1 + b r^) + log(1 + b r^ - b r r^^2),   n the active units

    Reference: Variational inference with normalizing flows (Rezende & Mohamed, 2015).

    Args:
        code_size: number of code units.
        steps: T, at least 1.

    Example:
        >>> Radial(code_size=2, steps=1)
        Radial(
          code_size=2
          (steps): ModuleList(
            (0): _RadialStep(
              (centre): Linear(in_features=2, out_features=2, bias=True)
              (a): Linear(in_features=2, out_features=1, bias=True)
              (b): Linear(in_features=2, out_features=1, bias=True)
            )
          )
        )
    """

    def __init__(self, *, code_size: int, steps: int = 10) -> None:
        super().__init__(code_size=code_size, steps=steps, make_step=lambda _: _RadialStep(code_size))


class _RadialStep(Step):
    def __init__(self, code_size: int) -> None:
        super().__init__()
        self.centre, self.a, self.b = (nn.Linear(code_size, size) for size in (code_size, 1, 1))

    @override
    def forward(self, z: Tensor, h: Tensor, active: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a = F.softplus(self.a(h)) + _SMALL
        b = F.softplus(self.b(h)) - a
        offset = z - self.centre(h) * active
        r = (offset.square().sum(dim=-1, keepdim=True) + _SMALL**2).sqrt()
        near = 1 / (a + r)
        stretch = b * near  # above -1
        across, along = (1 + stretch).clamp(min=_SMALL), (1 + stretch - b * r * near.square()).clamp(min=_SMALL)
        log_determinant = (active.sum() - 1) * across.log() + along.log()
        return z + stretch * offset, log_determinant.squeeze(-1), h


class Householder(Flow):
    """Each step is a reflection, so that the units of the posterior depend on each other: a full covariance.

    z' = z - 2 v_t (v_t . z) / |v_t|^2,   v_1 = h,  v_{t+1} = W_t v_t + b_t,   log |det| = 0

    Reference: Improving variational auto-encoders using Householder flow (Tomczak & Welling, 2016).

    Args:
        code_size: number of code units.
        steps: T, at least 1.

    Example:
        >>> Householder(code_size=2, steps=2)
        Householder(
          code_size=2
          (steps): ModuleList(
            (0): _Reflection(
              (following): Identity()
            )
            (1): _Reflection(
              (following): Linear(in_features=2, out_features=2, bias=True)
            )
          )
        )
    """

    def __init__(self, *, code_size: int, steps: int = 10) -> None:
        super().__init__(code_size=code_size, steps=steps, make_step=lambda number: _Reflection(code_size, number))


class _Reflection(Step):
    def __init__(self, code_size: int, number: int) -> None:
        super().__init__()
        self.following = nn.Linear(code_size, code_size) if number else nn.Identity()  # the first takes h itself

    @override
    def forward(self, z: Tensor, h: Tensor, active: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        v = self.following(h) * active
        share = (v * z).sum(dim=-1, keepdim=True) / v.square().sum(dim=-1, keepdim=True).clamp(min=_SMALL)
        return z - 2 * share * v, z.new_zeros(z.shape[:-1]), v


class InverseAutoregressive(Flow):
    """Each step moves and scales a unit by what a masked net makes of the units before it.

    z'_j = s_j z_j + (1 - s_j) m_j,   log |det| = sum_j log s_j,   s_j = sigmoid(t_j + 1.5)
    (m_j, t_j) a function of z_1 ... z_{j-1} and h; every second step counts the units from the last

    The masked nets have one hidden layer of rectifiers, whose unit k sees the first floor(k n / width) units of n.

    References: Improved variational inference with inverse autoregressive flow (Kingma et al., 2016); MADE (Germain et
    al., 2015) for the masks.

    Args:
        code_size: number of code units.
        steps: T, at least 1.
        width: hidden units of each net, at least 1.

    Example:
        >>> InverseAutoregressive(code_size=2, steps=1, width=8)
        InverseAutoregressive(
          code_size=2
          (steps): ModuleList(
            (0): _Autoregressive(
              (hidden): _MaskedLinear(in_features=2, out_features=8, bias=True)
              (context): Linear(in_features=2, out_features=8, bias=False)
              (move): _MaskedLinear(in_features=8, out_features=2, bias=True)
              (scale): _MaskedLinear(in_features=8, out_features=2, bias=True)
            )
          )
        )
    """

    def __init__(self, *, code_size: int, steps: int = 4, width: int = 128) -> None:
        check_whole("width", width, lowest=1)
        super().__init__(
            code_size=code_size,
            steps=steps,
            make_step=lambda number: _Autoregressive(code_size, width, backwards=number % 2 == 1),
        )


class _Autoregressive(Step):
    """Mean and scale have layers of their own: a stack pads each at its end."""

    def __init__(self, code_size: int, width: int, *, backwards: bool) -> None:
        super().__init__()
        order = torch.arange(code_size).flip(0) if backwards else torch.arange(code_size)  # units before each
        seen = torch.arange(width) * code_size // width  # units that each hidden one sees
        self.hidden = _MaskedLinear(order < seen.unsqueeze(1))
        self.context = nn.Linear(code_size, width, bias=False)
        self.move, self.scale = (_MaskedLinear(seen <= order.unsqueeze(1)) for _ in range(2))

    @override
    def forward(self, z: Tensor, h: Tensor, active: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = (self.hidden(z) + self.context(h)).relu()
        gate = self.scale(hidden) + 1.5  # "+1 or +2", so that a step begins near the identity
        kept = gate.sigmoid()
        moved = (kept * z + (1 - kept) * self.move(hidden)) * active
        return moved, (F.logsigmoid(gate) * active).sum(dim=-1), h


class _MaskedLinear(nn.Linear):
    """A linear layer of whose weights those count where a mask (out, in) is true."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float(), persistent=False)

    @override
    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight * self.mask, self.bias)
