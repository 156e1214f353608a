"""Penalties on the activity of the code, by hand."""

import math

import pytest
import torch

from hourglass.models import Output
from hourglass.regularizers import L1, L2, Decorrelation, KLSparsity, Penalties, Penalty
from regularizers.small import by_hand, mlp, value

CODE = torch.tensor([[1.0, -2.0], [0.0, 4.0]])  # 2 samples, 2 units


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        # |1| + |-2| + |0| + |4| = 7, over 2 samples 3.5
        (L1(weight=0.1, reduction="sample"), 0.35),
        (L1(weight=0.1, reduction="batch"), 0.7),
        # 1 + 4 + 0 + 16 = 21
        (L2(weight=0.1, reduction="sample"), 1.05),
        (L2(weight=0.1, reduction="batch"), 2.1),
    ],
)
def test_activity_by_hand(penalty: Penalty, expected: float) -> None:
    assert value(penalty, CODE) == pytest.approx(expected)


@pytest.mark.parametrize(("kind", "total"), [(L1, 7.0), (L2, 21.0)])
def test_a_sum_over_the_batch_is_one_over_a_training_batch_everywhere(kind: type[Penalty], total: float) -> None:
    """Outside training batches have another size: 1000 samples must not weigh 30 times what 32 do."""
    penalties = Penalties(activity=kind(weight=1.0, reduction="batch"))  # type: ignore[call-arg]
    penalties.attach(mlp(), batch_size=2)
    many = CODE.repeat(500, 1)
    x = torch.zeros(1000, 2)
    assert penalties(mlp(), x, Output(x, many, {}, many))["activity"].value.item() == pytest.approx(500 * total)
    assert penalties.eval()(mlp(), x, Output(x, many, {}, many))["activity"].value.item() == pytest.approx(total)


def test_kl_sparsity_by_hand() -> None:
    # Mean activities q = (.2, .5), target .05:
    #   .05 ln(.05/.2) + .95 ln(.95/.8) = -.069315 + .163258 = .093943
    #   .05 ln(.05/.5) + .95 ln(.95/.5) = -.115129 + .609761 = .494632
    code = torch.tensor([[0.1, 0.5], [0.3, 0.5]])
    assert value(KLSparsity(weight=0.5, target=0.05), code) == pytest.approx(0.5 * 0.588575, abs=1e-6)


def test_kl_sparsity_is_zero_at_the_target_and_finite_for_dead_and_full_units() -> None:
    penalty = KLSparsity(weight=1.0, target=0.05)
    assert value(penalty, torch.full((4, 2), 0.05)) == pytest.approx(0.0, abs=1e-6)
    # Off for the whole batch, q counts as 1e-6: .05 ln(.05/1e-6) + .95 ln(.95) = .540989 - .048729
    assert value(penalty, torch.zeros(4, 1), by_hand(((1.0, 1.0),), (0.0,))) == pytest.approx(0.492260, abs=1e-5)
    assert 0 < value(penalty, torch.ones(4, 2)) < math.inf


def test_decorrelation_by_hand() -> None:
    # Means (2, 1, 5); centred columns (-1, 1), (-2, 2), (0, 0): covariance of the first two 1/2 (2 + 2) = 2, squared 4
    code = torch.tensor([[1.0, -1.0, 5.0], [3.0, 3.0, 5.0]])
    model = mlp(code_size=3, code="linear")
    assert value(Decorrelation(weight=0.5), code, model) == pytest.approx(2.0)
    # Each pair once, and no unit with itself: three equal columns (-1, 1) have three pairs of covariance 1.
    assert value(Decorrelation(weight=1.0), torch.tensor([[1.0] * 3, [3.0] * 3]), model) == pytest.approx(3.0)
    assert value(Decorrelation(weight=1.0), torch.tensor([[1.0], [9.0]]), model) == 0.0


def test_decorrelation_keeps_its_precision_in_bfloat16() -> None:
    code = torch.rand(50, 4, generator=torch.Generator().manual_seed(0))
    exact = value(Decorrelation(weight=1.0), code)
    with torch.autocast("cpu", torch.bfloat16):
        assert value(Decorrelation(weight=1.0), code) == exact


@pytest.mark.parametrize(("activation", "said"), [("linear", True), ("relu", False), ("sigmoid", False)])
def test_l1_says_where_no_unit_can_be_off(activation: str, *, said: bool) -> None:
    penalties = Penalties(l1=L1(weight=0.1, reduction="sample"), l2=L2(weight=0.1, reduction="sample"))
    notes = penalties.notes(mlp(code=activation))
    assert bool(notes) == said
    assert all(note.startswith("regularizer l1: ") and "bottleneck=relu" in note for note in notes)
