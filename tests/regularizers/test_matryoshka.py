"""Nested prefixes: by hand, with the loss that was chosen, and what is measured with weight 0."""

import pytest
import torch

from hourglass.configuration.composition import compose_config
from hourglass.losses import BCE
from hourglass.models import Output
from hourglass.pipeline.compose import compose
from hourglass.regularizers import Matryoshka
from regularizers.small import mlp, with_decoder

CODE = torch.tensor([[1.0, 2.0, 3.0, 4.0]])


def test_prefixes_by_hand() -> None:
    """Units that all add themselves to both values: prefixes of 1 and 2 units give 1 and 3, the target is 4.

    1/2 (9 + 9) + 1/2 (1 + 1) = 10.
    """
    model = with_decoder(mlp(code_size=4, code="relu"), ((1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0)))
    penalty, x = Matryoshka(weight=0.5, shares=[0.25, 0.5]), torch.tensor([[4.0, 4.0]])
    output = Output(x, CODE, {}, CODE)
    assert penalty(model, x, output).value.item() == pytest.approx(10)
    assert penalty(model, x, output).weighted.item() == pytest.approx(5)
    found = {name: value.item() for name, value in penalty.scores(model, x, output).items()}
    assert found == {"mse_prefix_1": pytest.approx(9), "mse_prefix_2": pytest.approx(1)}


def test_padded_units_are_no_part_of_a_prefix() -> None:
    model = mlp(code_size=4, code="relu")
    model.bottleneck.active[2:] = 0
    (prefix,) = Matryoshka(weight=1.0, shares=[0.5])._prefixes(model, CODE)
    assert torch.equal(prefix, torch.tensor([[1.0, 0.0, 0.0, 0.0]]))


def test_prefixes_are_compared_by_the_loss_of_the_reconstruction() -> None:
    words = ["data=digits", "regularizer=matryoshka", "model.code_size=16", "bottleneck=relu", "loss=bce"]
    torch.manual_seed(0)
    learner = compose(compose_config(words)[0]).learner
    x = learner.data.scaled(learner.data.train.x[:8])
    output, terms = learner.terms(x, x)
    prefixes = [output.code * (torch.arange(16) < size) for size in (1, 2, 4, 8)]
    expected = sum(BCE(reduction="mean")(learner.model.decode(code), x).item() for code in prefixes)
    assert terms["matryoshka"].value.item() == pytest.approx(expected)


def test_prefixes_are_decoded_for_the_class_of_their_sample() -> None:
    """A model that is told classes: of each prefix the decoder of the sample's own."""
    words = ["data=digits", "regularizer=matryoshka", "model.code_size=16", "condition=labels", "loss=bce"]
    torch.manual_seed(0)
    learner = compose(compose_config(words)[0]).learner
    x, y = learner.data.scaled(learner.data.train.x[:8]), learner.data.train.y[:8]
    output, terms = learner.terms(x, x, y)
    made = {size: learner.model.decode(output.code * (torch.arange(16) < size), y) for size in (1, 2, 4, 8)}
    expected = sum(BCE(reduction="mean")(each, x).item() for each in made.values())
    assert terms["matryoshka"].value.item() == pytest.approx(expected)
    found = learner.penalties.scores(learner.model, x, output, target=x)
    assert found["mse_prefix_4"].item() == pytest.approx((made[4] - x).square().mean().item())
    other = learner.model.decode(output.code * (torch.arange(16) < 4), (y + 1) % 10)
    assert not torch.allclose(made[4], other)
    learner.step(x, x, y)


@pytest.mark.parametrize("shares", [[], [0.0, 0.5], [0.5, 0.25], [0.5, 1.0]])
def test_shares_are_in_rising_order_within_the_whole(shares: list[float]) -> None:
    with pytest.raises(ValueError, match="shares must be above 0 and below 1, in rising order"):
        Matryoshka(weight=1.0, shares=shares)
