"""p-annealing: the penalty by hand, p step by step, and a weight that keeps it as strong."""

import pytest
import torch

from hourglass.models import Output
from hourglass.regularizers import Lp, Penalties
from hourglass.regularizers.annealed import EPS
from regularizers.small import mlp

CODE = torch.tensor([[0.25, 0.0], [1.0, -4.0]])
OUTPUT = Output(CODE, CODE, {}, CODE)


def test_it_begins_as_l1() -> None:
    assert Lp(weight=2.0)(mlp(), CODE, OUTPUT).value.item() == pytest.approx(5.25 / 2)


def test_p_falls_and_the_penalty_stays_as_strong() -> None:
    """With p = 1/2: (1/2 + 1 + 2) / 2, if e is left out; its weight makes it what it was."""
    penalty, model = Lp(weight=2.0, end=0.5, after=1, over=2).train(), mlp()
    powers, values = [], []
    for _ in range(5):
        powers.append(penalty.power.item())
        term = penalty(model, CODE, OUTPUT)
        values.append(term.weighted.item())
    assert powers == [1.0, 1.0, 0.75, 0.5, 0.5]
    assert values == pytest.approx([5.25] * 5)
    assert term.value.item() == pytest.approx(3.5 / 2, abs=3 * EPS**0.5)
    assert penalty.settled
    assert not Lp().settled
    assert not Penalties(lp=Lp()).settled


def test_validation_moves_nothing_and_a_resumed_training_goes_on() -> None:
    penalty, other = Lp(after=0, over=10), Lp(after=0, over=10)
    for _ in range(3):
        penalty(mlp(), CODE, OUTPUT)
    held = {name: value.clone() for name, value in penalty.state_dict().items()}
    penalty.eval()(mlp(), CODE, OUTPUT)
    assert {name: value.item() for name, value in penalty.state_dict().items()} == {
        n: v.item() for n, v in held.items()
    }
    other.load_state_dict(held)
    assert other.power.item() == penalty.power.item() == pytest.approx(1 - 0.8 * 0.3)


def test_the_gradient_at_zero_is_finite() -> None:
    code = torch.zeros(1, 2, requires_grad=True)
    penalty = Lp(after=0, over=1)
    penalty.steps += 1
    penalty(mlp(), code, Output(code, code, {}, code)).value.backward()
    assert code.grad is not None
    assert code.grad.isfinite().all()
