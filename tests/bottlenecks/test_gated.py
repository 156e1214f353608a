"""The gated code: worked out by hand, and who learns from its auxiliary reconstruction."""

import math

import pytest
import torch
from torch import Tensor

from hourglass.bottlenecks import Gated
from hourglass.configuration.composition import compose_config
from hourglass.losses import total
from hourglass.pipeline.compose import Parts, compose

A = torch.tensor([[2.0, -1.0, 0.5, 1.0]])


def gated() -> Gated:
    bottleneck = Gated(code_size=4, weight=0.5)
    with torch.no_grad():
        bottleneck.log_scale.copy_(torch.tensor([math.log(3.0), 0.0, math.log(2.0), 0.0]))
        bottleneck.bias.copy_(torch.tensor([-1.0, 9.0, -2.0, 0.25]))
    return bottleneck


def test_gate_and_magnitude_by_hand() -> None:
    """3 2 - 1 = 5; a shut gate, whatever its magnitude; 2 / 2 - 2 < 0; 1 + 1/4."""
    bottleneck = gated()
    code, losses = bottleneck(A)
    torch.testing.assert_close(code, torch.tensor([[5.0, 0.0, 0.0, 1.25]]))
    assert losses["gate"].value.item() == pytest.approx(3.5)  # 2 + 1/2 + 1
    assert losses["gate"].weighted.item() == pytest.approx(1.75)
    assert torch.equal(bottleneck.auxiliary(A)["gate_reconstruction"], A.relu())
    assert bottleneck.idle.tolist() == [0, 1, 1, 0]


def test_slope_is_that_of_the_code() -> None:
    bottleneck = gated().eval()
    a = A.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(bottleneck(a).code.sum(), a)
    torch.testing.assert_close(bottleneck.slope(A), gradient)


def make(*overrides: str) -> Parts:
    words = ["data=digits", "bottleneck=gated", "model.code_size=16", "trainer.accelerator=cpu", *overrides]
    torch.manual_seed(0)
    return compose(compose_config(words)[0])


@pytest.mark.parametrize("model", [["model=dictionary"], ["model=vanilla", "model.tied=true"]])
def test_the_decoder_learns_nothing_of_the_auxiliary_reconstruction(model: list[str]) -> None:
    """The gradient of the weights is that of the other terms, but for the encoder's; of tied ones by the encoder."""
    learner = make(*model).learner
    x = learner.data.scaled(learner.data.train.x[:32])
    output, terms = learner.terms(x, x)
    assert set(terms) == {"reconstruction", "gate", "gate_reconstruction"}
    auxiliary = terms.pop("gate_reconstruction")
    code = output.encoded.relu()
    expected = learner.loss(learner.model.decode(code), x)
    assert auxiliary.value.item() == pytest.approx(expected.item())

    def gradients(value: Tensor) -> dict[str, Tensor | None]:
        learner.model.zero_grad()
        value.backward(retain_graph=True)
        return {name: None if w.grad is None else w.grad.clone() for name, w in learner.model.named_parameters()}

    of_code = torch.autograd.grad(expected, code, retain_graph=True)[0]
    found = gradients(auxiliary.value)
    assert all(found[name] is None for name in found if name.startswith(("decoder", "bottleneck")))
    wanted = gradients((of_code * code).sum())
    for name in found:
        if name.startswith("encoder"):
            torch.testing.assert_close(found[name], wanted[name])
    assert total(terms).isfinite()
