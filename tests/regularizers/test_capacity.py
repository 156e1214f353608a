"""A capacity that rises: by hand, what it refuses, and where the rate of a real training ends."""

from pathlib import Path

import pytest
import torch

from hourglass.configuration.composition import compose_config
from hourglass.losses import Term
from hourglass.models import Output
from hourglass.pipeline.evaluate import evaluate
from hourglass.pipeline.train import train
from hourglass.regularizers import Capacity, Penalties
from hourglass.system.errors import HourglassError
from regularizers.small import gaussian, mlp


def penalty(capacity: Capacity, kl: float) -> float:
    code = torch.zeros(1, 2)
    output = Output(code, code, {"kl": Term(torch.tensor(kl))}, code)
    return capacity(mlp(), code, output).value.item()


def test_by_hand() -> None:
    capacity = Capacity(weight=3.0, capacity=8.0, steps=4)
    assert penalty(capacity.eval(), 5.0) == 5  # nothing has been trained yet
    # 8 t / 4 is 2, 4, 6, 8, 8 in five steps
    assert [penalty(capacity.train(), 5.0) for _ in range(5)] == [3, 1, 1, 3, 3]
    assert capacity.settled
    assert penalty(capacity.eval(), 11.0) == 3
    assert penalty(Capacity(weight=1.0, capacity=8.0, steps=0).eval(), 5.0) == 3


def test_of_a_code_of_several_layers_it_is_of_all_their_rates() -> None:
    code = torch.zeros(1, 2)
    output = Output(code, code, {"kl_1": Term(torch.tensor(5.0)), "kl_2": Term(torch.tensor(2.0))}, code)
    assert Capacity(weight=1.0, capacity=8.0, steps=0).eval()(mlp(), code, output).value.item() == 1


def test_losses_of_before_the_capacity_has_risen_do_not_compare() -> None:
    penalties = Penalties(capacity=Capacity(weight=1.0, capacity=1.0, steps=1))
    assert not penalties.settled
    penalty(penalties.regularizers["capacity"], 0.0)  # type: ignore[arg-type]
    assert penalties.settled


def test_the_divergence_has_one_weight() -> None:
    penalties = Penalties(capacity=Capacity(weight=1.0))
    with pytest.raises(
        HourglassError, match=r"^regularizer capacity needs .* got beta 1: set model\.bottleneck\.beta=0$"
    ):
        penalties.attach(gaussian(), batch_size=32)
    with pytest.raises(HourglassError, match=r"^regularizer capacity needs a code with a divergence .*=gaussian$"):
        penalties.attach(mlp(), batch_size=32)


@pytest.mark.parametrize("key", ["capacity", "steps", "weight"])
def test_out_of_range(key: str) -> None:
    with pytest.raises(ValueError, match=rf"^{key} must be at least 0.*, got -1"):
        Capacity(**{key: -1})


def test_the_rate_goes_to_the_capacity_and_an_evaluation_knows_it(tmp_path: Path) -> None:
    words = ["data=digits", "bottleneck=gaussian", "model.bottleneck.beta=0", "regularizer=capacity", "name=held"]
    words += ["model.code_size=4", "optimizer.lr=0.01", "training.epochs=15", "training.batch_size=64"]
    words += [
        "regularizer.capacity.capacity=5",
        "regularizer.capacity.steps=150",
        "regularizer.capacity.weight=100",
        "callback=quick",
    ]
    config, choices = compose_config([*words, f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"])
    result = train(config, choices=choices, folder=tmp_path)
    assert result.metrics["test/kl"] == pytest.approx(5, abs=0.5)
    assert result.metrics["test/capacity"] < 0.5
    _, again = evaluate("held", [], uri=f"sqlite:///{tmp_path}/mlflow.db")
    assert again["test/capacity"] == pytest.approx(result.metrics["test/capacity"], rel=1e-4)
