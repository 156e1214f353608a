"""How many steps there are, and who makes them."""

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import compose
from hourglass.system.errors import HourglassError
from hourglass.training import Minibatch
from hourglass.training.batches import Chunk
from hourglass.training.schedule import StepSettings

SMALL = (
    *("data=digits", "data.train_size=100", "training.batch_size=30", "training.epochs=2", "model.code_size=4"),
    *("trainer.accelerator=cpu", "training.keep=last"),
)


@pytest.mark.parametrize(("max_steps", "expected"), [(None, 12), (7, 7), (20, 12)])
def test_steps_of_a_training(max_steps: int | None, expected: int) -> None:
    settings = StepSettings(
        epochs=3,
        max_steps=max_steps,
        batch_size=30,
        warmup_steps=0,
        gradient_clip=None,
        log_every_n_steps=1,
    )
    assert settings.steps_per_epoch(100) == 4
    assert settings.steps(100) == expected


def test_a_stepper_makes_the_steps_in_place_of_the_procedure() -> None:
    """It is asked for every chunk, and what it leaves is what the procedure's own steps would have left."""
    asked: list[int] = []

    def stepper(learner: Minibatch, chunk: Chunk) -> dict[str, Tensor]:
        asked.append(len(chunk.x))
        return learner.own_steps(chunk)

    config, _ = compose_config([*SMALL])
    weights = []
    for given in ({}, {"stepper": stepper}):
        pl.seed_everything(0, verbose=False)
        parts = compose(config, **given)
        build(config.trainer, logger=False).fit(parts.learner)
        weights.append(parts.model.state_dict())
    assert asked == [100, 100]
    assert parts.learner.steps_done == 8
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_no_configuration_can_bring_a_stepper() -> None:
    with pytest.raises(HourglassError, match=r"^training\.stepper: no such key; training takes [^:]*$") as refused:
        compose(compose_config([*SMALL, "+training.stepper=5"])[0])
    assert "stepper," not in str(refused.value)
