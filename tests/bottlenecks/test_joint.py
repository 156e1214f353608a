"""The joint code: its divergences against torch.distributions, its capacities by hand, its draws."""

import math

import pytest
import torch
from torch import distributions as D

from hourglass.bottlenecks import Joint
from hourglass.losses import total


def test_rates_are_those_of_the_parts() -> None:
    a = torch.randn(5, 14)
    rates = Joint(code_size=7, groups=1, categories=4).rates(a)
    assert rates.shape == (5, 4)
    chosen, even = D.Categorical(logits=a[:, :4]), D.Categorical(logits=torch.zeros(5, 4))
    torch.testing.assert_close(rates[:, 0], D.kl_divergence(chosen, even))
    numbers = D.Normal(a[:, 4:7], (0.5 * a[:, 11:]).exp())
    torch.testing.assert_close(rates[:, 1:], D.kl_divergence(numbers, D.Normal(0.0, 1.0)))


def test_capacities_rise_while_training_and_hold_the_rates() -> None:
    bottleneck = Joint(code_size=3, groups=1, categories=2, gamma=10.0, capacity=1.0, capacity_steps=4)
    a = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]])  # even categories: 0 nats; m = 1, v = 0: 1/2 nat
    losses = [bottleneck.train()(a).losses for _ in range(6)]
    # |0.5 - C| x 10 with C = .25, .5, .75, 1, 1, 1;  the discrete one is held to min(5, ln 2) at most
    assert [each["capacity"].weighted.item() for each in losses] == pytest.approx([2.5, 0, 2.5, 5, 5, 5])
    discrete = [each["capacity_discrete"].weighted.item() for each in losses]
    assert discrete == pytest.approx([10 * share * math.log(2) for share in (0.25, 0.5, 0.75, 1, 1, 1)])
    # The rates are what they are, whatever the capacities, and add nothing to the loss.
    assert {(each["kl"].value.item(), each["kl_discrete"].value.item()) for each in losses} == {(0.5, 0.0)}
    assert total(losses[0]).item() == pytest.approx(2.5 + 10 * 0.25 * math.log(2))
    assert bottleneck.settled
    assert not Joint(code_size=3, categories=2).settled


def test_codes_draws_and_prior() -> None:
    torch.manual_seed(0)
    bottleneck = Joint(code_size=7, groups=2, categories=2)
    bottleneck.active[6] = 0
    a = torch.randn(5, 14)
    code = bottleneck.eval()(a).code
    assert torch.equal(code[:, :2].argmax(dim=1), a[:, :2].argmax(dim=1))
    assert torch.equal(code[:, 4:6], a[:, 4:6])
    for drawn in (code, bottleneck.sampled(a), bottleneck.prior(5)):
        assert drawn[:, :4].unique().tolist() == [0, 1]
        assert torch.equal(drawn[:, :4].view(5, 2, 2).sum(dim=2), torch.ones(5, 2))
        assert not drawn[:, 6].any()
    soft = bottleneck.as_trained(a).code[:, :4]
    assert ((soft > 0) & (soft < 1)).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"categories": 6}, "categories must leave a gaussian unit, groups x categories below code_size=6, got 6"),
        ({"groups": 0}, "groups must be at least 1"),
        ({"categories": 1}, "categories must be at least 2"),
        ({"gamma": -1.0}, "gamma must be at least 0"),
        ({"capacity": -1.0}, "capacity must be at least 0"),
        ({"discrete_capacity": -1.0}, "discrete_capacity must be at least 0"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"capacity_steps": 0}, "capacity_steps must be at least 1"),
    ],
)
def test_refused(changed: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Joint(**{"code_size": 6, "categories": 4, **changed})
