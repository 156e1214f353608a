"""A wished L0: what a step does to the weight, where it comes to rest for each type, and whom it refuses."""

import math

import pytest
import torch

from hourglass.bottlenecks import JumpReLU
from hourglass.configuration.composition import compose_config
from hourglass.losses import Term, total
from hourglass.models import Output
from hourglass.pipeline.compose import Parts, compose
from hourglass.regularizers import L1, Lp, Penalties, TargetL0
from hourglass.system.errors import HourglassError
from regularizers.small import mlp

CODE = torch.tensor([[1.0, 2.0], [0.0, 3.0]])  # L0 = 3/2
OUTPUT = Output(CODE, CODE, {}, CODE)


def test_steps_by_hand() -> None:
    """e = log(1.5 / 1.2) at first, then log(2 / 1.2), which is 5 / 50 of what it changed by further on."""
    model, control = mlp(code="relu"), TargetL0(l0=1.2, rate=0.1, ahead=5)
    penalties = Penalties(l1=L1(weight=0.5), target_l0=control)
    penalties.attach(model, batch_size=2)
    terms = {"reconstruction": Term(torch.tensor(1.0)), **penalties(model, CODE, OUTPUT)}
    first, second = math.log(1.5 / 1.2), math.log(2 / 1.2)
    denser = OUTPUT._replace(code=torch.ones(2, 2))
    log_factor = 0.0
    for output, change in ((OUTPUT, first), (denser, second + 0.1 * (second - first)), (denser, None)):
        found = penalties.train(change is not None).reweigh(terms, output)
        assert found["l1"].weight is not None
        assert found["l1"].weight.item() == pytest.approx(0.5 * math.exp(log_factor))
        assert found["l1"].value is terms["l1"].value
        assert found["reconstruction"] == terms["reconstruction"]
        log_factor += 0.1 * (change or 0)
    assert control.scores(model, CODE, OUTPUT)["l0_factor"].item() == pytest.approx(math.exp(log_factor))
    assert not penalties.settled
    other = TargetL0(l0=1.2)
    other.load_state_dict(control.state_dict())  # what a checkpoint has of it
    assert other.log_factor.item() == control.log_factor.item()


def test_thresholds_are_multiplied_by_the_factor() -> None:
    torch.manual_seed(0)
    model, control = mlp(neck=JumpReLU), TargetL0(l0=1.2, term="thresholds", rate=0.1, ahead=0)
    penalties = Penalties(target_l0=control)
    penalties.attach(model, batch_size=2)
    before = model.bottleneck.thresholds
    terms = {"l0": Term(torch.tensor(1.0), torch.tensor(0.5))}
    assert penalties.train().reweigh(terms, OUTPUT) == terms
    assert torch.allclose(model.bottleneck.thresholds, before * (1.5 / 1.2) ** 0.1)


def trained(*overrides: str) -> tuple[Parts, float]:
    """A few hundred steps on digits, and how many units are on for a training sample after them."""
    torch.manual_seed(0)
    words = ["data=digits", "model=dictionary", "model.code_size=64", "trainer.accelerator=cpu", "optimizer.lr=0.003"]
    parts = compose(compose_config([*words, "regularizer.target_l0.l0=6", *overrides])[0])
    learner = parts.learner.train()
    x = parts.data.scaled(parts.data.train.x[:250])
    for _ in range(500):
        _, terms = learner.terms(x, x)
        learner.optimizer.zero_grad()
        total(terms).backward()
        learner.optimizer.step()
    return parts, (parts.model(x).code > 0).sum(1).float().mean().item()


@pytest.mark.long
@pytest.mark.parametrize(
    "words",
    [
        ("bottleneck=relu", "regularizer=[l1,target_l0]", "regularizer.l1.weight=0.01"),
        ("bottleneck=gated", "regularizer=target_l0", "model.bottleneck.weight=0.01"),
        ("bottleneck=jump_relu", "regularizer=target_l0", "model.bottleneck.weight=1e-4"),
        ("bottleneck=jump_relu", "regularizer=target_l0", "regularizer.target_l0.term=thresholds"),
    ],
    ids=lambda words: " ".join(words),
)
def test_every_sparse_type_comes_to_the_l0_that_was_wished(words: tuple[str, ...]) -> None:
    _, found = trained(*words)
    assert found == pytest.approx(6, rel=0.2)


def refusal(*penalties: str, code: str = "relu", term: str | None = None) -> str:
    known = {"l1": L1(weight=1.0), "lp": Lp(), "target_l0": TargetL0(l0=1.0, term=term)}
    with pytest.raises(HourglassError) as caught:
        Penalties(**{name: known[name] for name in penalties}).attach(mlp(code=code), batch_size=2)
    return str(caught.value)


def test_it_needs_one_term_that_is_there() -> None:
    start = "regularizer target_l0 needs"
    assert refusal("target_l0").startswith(f"{start} a term that makes the code sparse beside it; choose one")
    assert refusal(
        "l1", "lp", "target_l0"
    ) == f"{start} a term that makes the code sparse, and there are l1, lp; set" + (" term to one of them")
    assert refusal("l1", "target_l0", term="kl") == f"{start} a term=kl with a weight; choose one of l1"
    assert refusal("l1", "target_l0", term="thresholds").endswith("for term=thresholds: set bottleneck=jump_relu")
    assert refusal("l1", "target_l0", code="linear").endswith("set bottleneck=relu")
