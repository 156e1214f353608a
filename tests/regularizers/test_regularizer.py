"""Any number of regularizers by name, and what their constructors refuse."""

import math
from collections.abc import Callable

import pytest
import torch

from hourglass.models import Output
from hourglass.regularizers import (
    L1,
    L2,
    MMD,
    Contractive,
    Dropout,
    KLSparsity,
    Penalties,
    Regularizer,
    Revival,
    WeightL1,
)
from regularizers.small import mlp

CODE = torch.tensor([[1.0, -2.0], [0.0, 4.0]])  # 2 samples, 2 units


def test_penalties_are_named_and_several_add_up_apart() -> None:
    penalties = Penalties(l1=L1(weight=0.1, reduction="sample"), l2=L2(weight=0.1, reduction="sample"))
    x = torch.zeros(2, 2)
    terms = penalties(mlp(), x, Output(x, CODE, {}, CODE))
    assert list(terms) == ["l1", "l2"]
    assert [term.weighted.item() for term in terms.values()] == pytest.approx([0.35, 1.05])
    assert Penalties()(mlp(), x, Output(x, CODE, {}, CODE)) == {}


@pytest.mark.parametrize(("code", "fits"), [("sigmoid", True), ("relu", False), ("tanh", False), ("linear", False)])
def test_kl_sparsity_needs_a_code_between_0_and_1(code: str, fits: bool) -> None:
    penalties = Penalties(kl_sparsity=KLSparsity(weight=1.0, target=0.05))
    if fits:
        penalties.attach(mlp(code=code), batch_size=32)
        return
    with pytest.raises(ValueError, match=r"^regularizer kl_sparsity needs a code in \[0, 1\], but .*sigmoid$"):
        penalties.attach(mlp(code=code), batch_size=32)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L1(weight=-1.0, reduction="sample"), "weight must be at least 0 and finite, got -1.0"),
        (lambda: L2(weight=math.inf, reduction="sample"), "weight must be at least 0 and finite, got inf"),
        (lambda: Contractive(weight=math.nan), "weight must be at least 0 and finite, got nan"),
        (lambda: L1(weight=1.0, reduction="mean"), "reduction must be one of sample, batch, got 'mean'"),
        (lambda: WeightL1(weight=1.0, layers="encoder"), "layers must be one of all, code, got 'encoder'"),
        (lambda: KLSparsity(weight=1.0, target=0.0), "target must be strictly between 0 and 1, got 0.0"),
        (lambda: KLSparsity(weight=1.0, target=2.0), "target must be strictly between 0 and 1, got 2.0"),
        (lambda: MMD(weight=1.0, scales=[]), r"scales must list numbers above 0, got \[\]"),
        (lambda: MMD(weight=1.0, scales=[1.0, 0.0]), r"scales must list numbers above 0, got \[1.0, 0.0\]"),
        (lambda: Dropout(share=1.0), "share must be from 0 to below 1, got 1.0"),
        (lambda: Dropout(share=-0.1), "share must be from 0 to below 1, got -0.1"),
        (lambda: Revival(weight=1.0, k=0, after=1), "k must be at least 1, got 0"),
        (lambda: Revival(weight=1.0, k=1, after=-1), "after must be at least 0, got -1"),
    ],
)
def test_out_of_range(make: Callable[[], Regularizer], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()
