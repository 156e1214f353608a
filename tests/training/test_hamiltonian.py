"""Hamiltonian dynamics of a code: volume and energy, the bound by hand, what learns, what is refused."""

import math

import pytest
import torch

from hourglass.configuration.composition import compose_config
from hourglass.losses import total
from hourglass.pipeline.compose import Parts, compose
from hourglass.system.errors import HourglassError

SMALL = (
    *("data=digits", "data.train_size=250", "model=multilayer", "model.widths=[16]", "model.activation=tanh"),
    *("model.code_size=2", "bottleneck=gaussian", "training=hamiltonian", "training.batch_size=50"),
)


def make(*overrides: str) -> Parts:
    config, _ = compose_config([*SMALL, "trainer.accelerator=cpu", *overrides])
    torch.manual_seed(0)
    return compose(config)


def test_one_step_by_hand() -> None:
    """A decoder that gives 1/2 for every code leaves the prior's force alone, -z."""
    learner = make("training.steps=1", "training.largest=1.0").learner
    for weight in learner.model.decoder.parameters():
        torch.nn.init.zeros_(weight)
    x = torch.rand(1, 1, 8, 8)
    # e = .1, sqrt(b_0) = 1/2: rho = 2 g = 2; rho' = 2 - .05 3 = 1.85; z = 3 + .185; rho = 1/2 (1.85 - .05 3.185)
    code, momentum = learner.moved(torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0, 0.0]]), x)  # type: ignore[operator]
    assert code[0].tolist() == pytest.approx([3.185, 0.0])
    assert momentum[0].tolist() == pytest.approx([0.5 * (1.85 - 0.05 * 3.185), 0.0])


def test_the_volume_changes_as_the_bound_has_it_and_the_energy_hardly() -> None:
    learner = make("training.steps=4", "loss=mse").learner
    x = torch.rand(1, 1, 8, 8)

    def flow(both: torch.Tensor) -> torch.Tensor:
        return torch.cat(learner.moved(both[:2].view(1, 2), both[2:].view(1, 2), x)).flatten()  # type: ignore[operator]

    # (z_0, g) to (z_K, rho_K): the heating by 1 / sqrt(b_0) in two units is undone by the cooling, so the volume stays.
    jacobian = torch.func.jacrev(flow)(torch.tensor([0.3, -0.5, 1.0, 0.4]))
    assert torch.linalg.det(jacobian).item() == pytest.approx(1, rel=1e-4)
    torch.nn.init.constant_(learner.leapfrog.heat, 20.0)  # nothing to cool down
    z, rho = torch.tensor([[0.3, -0.5]]), torch.tensor([[1.0, 0.4]])
    before = learner._log_joint(z, x) - 0.5 * rho.square().sum()  # type: ignore[operator]
    z, rho = learner.moved(z, rho, x)  # type: ignore[operator]
    after = learner._log_joint(z, x) - 0.5 * rho.square().sum()  # type: ignore[operator]
    assert after.item() == pytest.approx(before.item(), abs=1e-3)


@pytest.mark.long
def test_the_mean_of_the_bound_s_weights_is_the_likelihood() -> None:
    """With nothing to tell of the code p(x) is known, and exp(bound) has it as its mean."""
    learner = make("training.largest=1.0").learner
    for weight in learner.model.decoder.parameters():
        torch.nn.init.zeros_(weight)
    torch.nn.init.zeros_(learner.model.encoder[-1].weight)
    x = torch.rand(1, 1, 8, 8)
    output = learner.model(x)
    with torch.no_grad():
        logs = torch.stack([total(learner.terms_of(output, x, None)) for _ in range(1500)]).neg()
    exact = 64 * math.log(0.5)  # every pixel is 1/2: -x log 1/2 - (1 - x) log 1/2
    assert (logs - exact).exp().mean().item() == pytest.approx(1, abs=0.1)
    assert logs.mean() < exact


def test_a_step_moves_everything_that_learns() -> None:
    parts = make()
    before = {name: weight.clone() for name, weight in parts.learner.named_parameters()}
    x = parts.data.scaled(parts.data.train.x[:50])
    assert list(parts.learner.step(x, x, None)) == ["loss", "reconstruction", "kl"]
    for name, weight in parts.learner.named_parameters():
        assert not weight.equal(before[name]), name


def test_refused() -> None:
    with pytest.raises(HourglassError, match=r"^training\.steps must be at least 1, got 0$"):
        make("training.steps=0")
    with pytest.raises(HourglassError, match=r"^training\.largest must be above 0"):
        make("training.largest=0.0")
    with pytest.raises(
        HourglassError, match=r"^training: the bound needs a code with a density; set bottleneck=gaussian$"
    ):
        make("bottleneck=linear", "loss.reduction=sum")
    with pytest.raises(
        HourglassError, match=r"^training: the bound has no weights: set model\.bottleneck\.beta=1, got 4$"
    ):
        make("model.bottleneck.beta=4")
