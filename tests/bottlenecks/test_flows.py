"""Flows: their determinants against the Jacobian, their inverses, and densities that integrate to one."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from hourglass.bottlenecks import (
    Flow,
    FlowGaussian,
    Gaussian,
    Householder,
    InverseAutoregressive,
    MixturePrior,
    Planar,
    Radial,
)

FLOWS = {"planar": Planar, "radial": Radial, "householder": Householder, "iaf": InverseAutoregressive}


def make(name: str, code_size: int, steps: int = 3) -> Flow:
    torch.manual_seed(0)
    flow: Flow = FLOWS[name](code_size=code_size, steps=steps)  # type: ignore[call-arg]
    for weight in flow.parameters():  # far from the identity, where a step does much
        torch.nn.init.normal_(weight, std=1.4 / weight.shape[-1] ** 0.5)
    return flow.double()


@pytest.mark.parametrize("name", FLOWS)
def test_the_determinant_is_that_of_the_jacobian(name: str) -> None:
    flow, active = make(name, 4), torch.ones(4).double()
    z, h = torch.randn(5, 4).double(), torch.randn(5, 4).double()
    code, log_determinant = flow(z, h, active)
    for each in range(5):
        jacobian = torch.func.jacrev(lambda at, each=each: flow(at[None], h[each : each + 1], active).code[0])(z[each])
        assert log_determinant[each].item() == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), abs=1e-6)
        torch.testing.assert_close(flow(z[each : each + 1], h[each : each + 1], active).code[0], code[each])
    assert not torch.equal(code, z)


@pytest.mark.parametrize("name", FLOWS)
def test_inactive_units_have_no_say_in_a_flow(name: str) -> None:
    """And a code with them has the determinant of the units that count."""
    flow, active = make(name, 4), torch.tensor([1.0, 1.0, 1.0, 0.0]).double()
    z, h = (torch.randn(5, 4).double() * active for _ in range(2))
    code, log_determinant = flow(z, h, active)
    assert not code[:, 3].any()

    def of_three(at: Tensor) -> Tensor:
        return flow(torch.cat([at, at.new_zeros(1)])[None], h[:1], active).code[0, :3]  # type: ignore[no-any-return]

    expected = torch.linalg.slogdet(torch.func.jacrev(of_three)(z[0, :3]))[1]
    assert log_determinant[0].item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("name", FLOWS)
def test_a_bent_density_integrates_to_one(name: str) -> None:
    """E_q[p(z) / q(z)] is the integral of p, the prior, wherever q is."""
    torch.manual_seed(0)
    bottleneck = FlowGaussian(code_size=2, flow=partial(FLOWS[name], steps=3))
    drawn = bottleneck.draws(torch.tensor([[0.0, 0.0, 1.5, 1.5, 0.3, -0.8]]), 200_000)
    assert (drawn.log_prior - drawn.log_posterior).exp().mean().item() == pytest.approx(1, abs=0.03)


def test_a_planar_step_by_hand() -> None:
    flow = Planar(code_size=1, steps=1)
    (step,) = flow.steps
    for layer, bias in ((step.u, 1.0), (step.w, 2.0), (step.b, 0.5)):
        layer.weight.data.zero_()
        layer.bias.data.fill_(bias)
    # w.u = 2;  u' = 1 + (softplus(2) - 1 - 2) 2 / 4 = 1 + (2.126928 - 3) / 2 = 0.563464
    # tanh(2 x 0.25 + 0.5) = 0.761594;  z' = 0.25 + 0.563464 x 0.761594 = 0.679131
    # log |1 + (1 - 0.761594^2) 2 x 0.563464| = log 1.473275 = 0.387488
    code, log_determinant = flow(torch.tensor([[0.25]]), torch.tensor([[9.0]]), torch.ones(1))
    assert code.item() == pytest.approx(0.679131, abs=1e-5)
    assert log_determinant.item() == pytest.approx(0.387488, abs=1e-4)


def test_a_radial_step_by_hand() -> None:
    flow = Radial(code_size=2, steps=1)
    (step,) = flow.steps
    for layer in (step.centre, step.a, step.b):
        layer.weight.data.zero_()
        layer.bias.data.zero_()
    # a = ln 2, b = ln 2 - ln 2 = 0: the identity
    z = torch.tensor([[3.0, 4.0]])
    code, log_determinant = flow(z, torch.zeros(1, 2), torch.ones(2))
    torch.testing.assert_close(code, z)
    assert log_determinant.item() == pytest.approx(0, abs=1e-5)
    # b' = ln(e - 1) - so that softplus is 1;  b = 1 - ln 2 = 0.306853;  r = 5, r^ = 1 / 5.693147 = 0.175650
    # z' = 1.053898 z;  log |det| = log 1.053898 + log(1.053898 - 0.306853 x 5 x 0.030853) = 0.052496 + 0.006543
    step.b.bias.data.fill_(math.log(math.e - 1))
    code, log_determinant = flow(z, torch.zeros(1, 2), torch.ones(2))
    torch.testing.assert_close(code, 1.053898 * z, rtol=1e-5, atol=1e-5)
    assert log_determinant.item() == pytest.approx(0.059039, abs=1e-4)


def test_a_reflection_keeps_lengths_and_turns_the_covariance() -> None:
    flow = Householder(code_size=2, steps=1)
    # v = (1, 1): z - (1, 1) (z_1 + z_2) swaps the units and turns their signs.
    code, log_determinant = flow(torch.tensor([[2.0, 5.0]]), torch.tensor([[1.0, 1.0]]), torch.ones(2))
    assert code.tolist() == [[-5.0, -2.0]]
    assert log_determinant.item() == 0


def test_an_inverse_autoregressive_step_looks_at_the_units_before() -> None:
    flow, active = make("iaf", 4, steps=2), torch.ones(4).double()
    z, h = torch.randn(4).double(), torch.randn(1, 4).double()
    first, second = flow.steps

    def jacobian(step: torch.nn.Module) -> Tensor:
        return torch.func.jacrev(lambda at: step(at[None], h, active)[0][0])(z)  # type: ignore[no-any-return]

    for found in (jacobian(first), jacobian(second).flip(0, 1)):
        assert not found.triu(1).any()
        assert found.tril(-1)[torch.ones(4, 4).tril(-1) > 0].all()
    # A context has its say in every unit.
    moved = [first(z[None], h + change, active)[0][0] for change in (0.0, 1.0)]
    assert (moved[0] != moved[1]).all()


def test_without_a_bend_the_densities_are_those_of_a_gaussian_code() -> None:
    class Straight(Flow):
        def __init__(self, *, code_size: int) -> None:
            super().__init__(code_size=code_size, steps=1, make_step=lambda _: torch.nn.Identity())  # type: ignore

        def forward(self, z: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
            return z, z.new_zeros(z.shape[:-1])

    a = torch.randn(3, 6)
    plain, bent = Gaussian(code_size=2), FlowGaussian(code_size=2, flow=Straight)
    drawn = []
    for bottleneck, given in ((plain, a[:, :4]), (bent, a)):
        torch.manual_seed(0)
        drawn.append(bottleneck.draws(given, 5))  # type: ignore[attr-defined]
    for one, other in zip(*drawn, strict=True):
        torch.testing.assert_close(one, other)
    bent = FlowGaussian(code_size=2, flow=Straight, prior=MixturePrior)
    assert bent.draws(a, 5).log_prior.shape == (5, 3)


@pytest.mark.parametrize("name", FLOWS)
def test_refused(name: str) -> None:
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        FLOWS[name](code_size=2, steps=0)  # type: ignore[call-arg]


def test_a_net_has_units() -> None:
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        InverseAutoregressive(code_size=2, width=0)
