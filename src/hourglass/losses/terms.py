"""Terms of a loss, and their sum.

    total = sum_k  lambda_k P_k

A weight that a sweep varies must not hide in what is logged, so that a term keeps the two apart: `kl` is the rate in
nats whatever beta is, `kl_weighted` its part of the loss.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Term", "logged", "total"]


class Term(NamedTuple):
    """One term of a loss."""

    value: Tensor
    """P: a scalar in units of its own."""
    weight: Tensor | None = None
    """lambda: a scalar; None where there is none to choose, as of the reconstruction."""

    @property
    def weighted(self) -> Tensor:
        """Lambda P: what is added to the loss."""
        return self.value if self.weight is None else self.weight * self.value


def total(terms: Mapping[str, Term]) -> Tensor:
    """The loss: the sum of all weighted terms, a scalar."""
    weighted = [term.weighted for term in terms.values()]
    return weighted[0] if len(weighted) == 1 else torch.stack(weighted).sum()


def logged(terms: Mapping[str, Term]) -> dict[str, Tensor]:
    """What is logged of a loss: `loss`, each term as it is and, as `..._weighted`, what it adds; scalars."""
    found = {"loss": total(terms)}
    for name, term in terms.items():
        found[name] = term.value
        if term.weight is not None:
            found[f"{name}_weighted"] = term.weighted
    return found
