"""Modified Bessel functions of the first kind, I_n(x), for any real order n >= 0 and x > 0, with gradients.

PyTorch has those of order 0 and 1. The others come from far above, where Debye's expansion holds for all x, and down by
the recurrence, which is stable in that direction:

    I_n(x) ~ exp(n e) / sqrt(2 pi n) (1 + z^2)^(-1/4) sum_k u_k(p) / n^k,   z = x / n,  p = 1 / sqrt(1 + z^2)
    r_n = 1 / (2 n / x + r_{n+1}),   r_n = I_n(x) / I_{n-1}(x)

Reference: Handbook of mathematical functions (Abramowitz & Stegun, 1964), 9.7.7 and 9.6.26.
"""

import math

import torch
from torch import Tensor

__all__ = ["log_bessel"]

_ABOVE = 20  # orders above the asked one: there the terms that are left out are below 1e-8


def log_bessel(order: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Log I_n(x) and the ratio I_{n+1}(x) / I_n(x), in float64.

    Args:
        order: n, at least 0; a scalar.
        x: (...), above 0.
    """
    n, x = order.double() + _ABOVE, x.double()
    value = _debye(n, x)
    ratio = (_debye(n + 1, x) - value).exp()  # r_{n+1}
    for step in range(_ABOVE):
        at = n - step
        ratio = 1 / (2 * at / x + ratio)  # r_at
        value = value - ratio.log()
    return value, ratio


def _debye(n: Tensor, x: Tensor) -> Tensor:
    z = x / n
    root = (1 + z.square()).sqrt()
    p = 1 / root
    exponent = root + (z / (1 + root)).log()
    q = p.square()
    u1 = p * (3 - 5 * q) / 24
    u2 = q * (81 + q * (-462 + q * 385)) / 1152
    u3 = p * q * (30375 + q * (-369603 + q * (765765 - q * 425425))) / 414720
    u4 = q * q * (4465125 + q * (-94121676 + q * (349922430 + q * (-446185740 + q * 185910725)))) / 39813120
    series = torch.log1p(u1 / n + u2 / n**2 + u3 / n**3 + u4 / n**4)
    return n * exponent - 0.5 * (2 * math.pi * n).log() - 0.5 * root.log() + series
