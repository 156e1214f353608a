"""Revival of dead units: by hand, what gets a gradient, and that it revives."""

import pytest
import torch

from hourglass.regularizers import Penalties, Revival
from hourglass.system.errors import HourglassError
from regularizers.small import mlp, top_k, value, with_decoder

#: 3 units with decoder columns (1, 0), (0, 1), (2, 2); of one sample the first is on.
WEIGHTS = ((1.0, 0.0, 2.0), (0.0, 1.0, 2.0))
X, CODE, ENCODED = torch.tensor([[3.0, 1.0]]), torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([[3.0, 2.0, 1.0]])


@pytest.mark.parametrize(
    ("idle", "k", "expected"),
    [
        ((0, 0, 0), 1, 0.0),
        ((0, 4, 4), 1, 0.0),  # not yet: dead is more than 4
        # unit 2 is dead: 3 (1, 0) + 1 (2, 2) = (5, 2), off by (2, 1): (4 + 1) / 2
        ((0, 0, 5), 1, 2.5),
        # units 1 and 2, of which 1 is the largest: (3, 2), off by (0, 1)
        ((0, 5, 5), 1, 0.5),
        # both: (3, 0) + (0, 2) + (2, 2) = (5, 4), off by (2, 3); k beyond the units is all of them
        ((0, 5, 5), 2, 6.5),
        ((0, 5, 5), 9, 6.5),
    ],
)
def test_revival_by_hand(idle: tuple[int, ...], k: int, expected: float) -> None:
    model = with_decoder(top_k(inputs=2, code_size=3, k=1), WEIGHTS)
    model.bottleneck.idle.copy_(torch.tensor(idle))  # type: ignore[union-attr]
    penalty = Revival(weight=0.5, k=k, after=4)
    assert value(penalty, CODE, model, X, ENCODED) == pytest.approx(0.5 * expected)
    model.bottleneck.active[1:] = 0
    assert value(penalty, CODE, model, X, ENCODED) == 0.0


def test_a_negative_unit_is_not_put_on() -> None:
    model = with_decoder(top_k(inputs=2, code_size=3, k=1), WEIGHTS)
    model.bottleneck.idle.fill_(9)  # type: ignore[union-attr]
    # what is left of (3, 1) - (3, 0): 1/2
    encoded = torch.tensor([[-3.0, -2.0, -1.0]])
    assert value(Revival(weight=1.0, k=2, after=4), CODE, model, X, encoded) == pytest.approx(0.5)


def test_only_dead_units_of_the_encoder_get_a_gradient() -> None:
    model = top_k(inputs=6, code_size=8, k=2)
    x = torch.randn(30, 6)
    output = model(x)
    idle = torch.tensor([0, 9, 0, 9, 0, 0, 0, 0])
    model.bottleneck.idle.copy_(idle)  # type: ignore[union-attr]
    Revival(weight=1.0, k=2, after=4)(model, x, output).weighted.backward()
    gradient = model.encoder[1].weight.grad  # type: ignore[index]
    assert torch.equal(gradient.abs().sum(dim=1) > 0, idle > 0)  # type: ignore[union-attr, operator]


def test_revival_needs_a_bottleneck_that_counts() -> None:
    penalties = Penalties(revival=Revival(weight=1.0, k=1, after=1))
    penalties.attach(top_k(inputs=2, code_size=3, k=1), batch_size=32)
    with pytest.raises(HourglassError, match=r"^regularizer revival needs .* set bottleneck=top_k or bottleneck=batch"):
        penalties.attach(mlp(), batch_size=32)


def test_dead_units_come_back() -> None:
    """Units that are never among the largest because their biases are too low: with revival more of them are used."""

    def used(weight: float) -> int:
        model = top_k(inputs=8, code_size=16, k=2)
        torch.nn.init.constant_(model.encoder[1].bias[8:], -0.3)  # type: ignore[index, arg-type]
        penalty = Revival(weight=weight, k=4, after=10)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        x = torch.rand(200, 8, generator=torch.Generator().manual_seed(0))
        for _ in range(150):
            output = model(x)
            loss = (output.reconstruction - x).square().mean() + penalty(model, x, output).weighted
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return int((model(x).code > 0).any(dim=0).sum())

    assert used(1.0) > used(0.0)
