"""FactorVAE: its terms by hand, what it permutes, what its discriminator knows, what it refuses."""

import math

import pytest
import torch

from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import Parts, compose
from hourglass.system.errors import HourglassError
from hourglass.training.factor import permuted

SMALL = (
    *("data=digits", "data.train_size=250", "model=multilayer", "model.widths=[16]", "model.code_size=2"),
    *("bottleneck=gaussian", "training=factor", "training.discriminator_widths=[32]", "training.batch_size=100"),
)


def make(*overrides: str) -> Parts:
    config, _ = compose_config([*SMALL, "trainer.accelerator=cpu", *overrides])
    torch.manual_seed(0)
    return compose(config)


def test_units_are_permuted_each_by_itself() -> None:
    torch.manual_seed(0)
    code = torch.arange(300.0).view(100, 3)
    mixed = permuted(code)
    assert mixed.sort(dim=0).values.equal(code)
    assert (mixed % 3).equal(torch.tensor([0.0, 1, 2]).expand(100, 3))
    assert ((mixed // 3).unique(dim=1).shape[1]) == 3


def test_terms_by_hand() -> None:
    learner = make("training.weight=2.0").learner
    head = learner.discriminator[2]  # type: ignore[index]
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.constant_(head.bias, math.log(3))  # D = 3/4 of everything
    x = torch.rand(8, 1, 8, 8)
    output, terms = learner.terms(x, x)
    assert list(terms) == ["reconstruction", "kl", "dependence"]
    assert terms["dependence"].weighted.item() == pytest.approx(2 * math.log(3))
    scores = learner.scores(output, x, None)
    assert scores["discriminator"].item() == pytest.approx(-(math.log(3 / 4) + math.log(1 / 4)) / 2)
    assert scores["discriminator_accuracy"].item() == 0.5


def test_the_discriminator_comes_to_know_the_total_correlation() -> None:
    """Of a normal code with correlation r it is -1/2 log(1 - r^2)."""
    learner = make().learner
    torch.manual_seed(0)
    optimizer, r = torch.optim.Adam(learner.discriminator.parameters(), lr=0.01), 0.9
    x = torch.rand(1, 1, 8, 8)
    output = learner.model(x)
    for _ in range(300):
        u, w = torch.randn(2, 500)
        code = torch.stack([u, r * u + math.sqrt(1 - r**2) * w], dim=1)
        optimizer.zero_grad()
        learner.scores(output._replace(code=code), x, None)["discriminator"].backward()
        optimizer.step()
    estimate = learner.logit(code).mean().item()  # type: ignore[operator]
    assert estimate == pytest.approx(-0.5 * math.log(1 - r**2), rel=0.25)  # 0.830


def test_refused() -> None:
    with pytest.raises(HourglassError, match=r"^training: independence is asked .*; set bottleneck=gaussian$"):
        make("bottleneck=linear")
    with pytest.raises(HourglassError, match=r"^training\.weight must be at least 0 and finite, got -1"):
        make("training.weight=-1.0")
    with pytest.raises(HourglassError, match=r"^trainer\.devices=2 .* and Factor goes by the whole of it"):
        make("trainer.devices=2", "trainer.strategy=ddp")
