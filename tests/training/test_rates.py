"""The learning rate of every step by hand, for each choice of the group, and what a schedule may not do."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from hourglass.configuration.composition import compose_config
from hourglass.configuration.groups import choices
from hourglass.configuration.moved import SCHEDULES
from hourglass.pipeline.compose import _schedule, compose
from hourglass.pipeline.recorder import NoRecorder
from hourglass.pipeline.train import train
from hourglass.system.errors import HourglassError
from hourglass.training.rates import Rates, Schedule

BY_HAND: dict[str, tuple[list[str], int, list[float]]] = {
    "constant": ([], 4, [2.0, 2.0, 2.0, 2.0]),
    # 1/2 (1 + cos 0, pi/4, pi/2, 3 pi/4) of 2
    "cosine": ([], 4, [2.0, 1.7071068, 1.0, 0.2928932]),
    "step": (["schedule.step_size=2", "schedule.gamma=0.5"], 6, [2.0, 2.0, 1.0, 1.0, 0.5, 0.5]),
    # losses 5, 4, 4, 4, 3: the second and third of 4 are no better, and patience is 1
    "plateau": (["schedule.patience=1", "schedule.factor=0.1"], 6, [2.0, 2.0, 2.0, 2.0, 0.2, 0.2]),
    # up for 1.5 steps: 2 - .75 (1 + cos 2 pi / 3); down for 2.5, to .05: .05 + .975 (1 + cos pi / 5, 3 pi / 5)
    "one_cycle": (
        ["schedule.pct_start=0.5", "schedule.div_factor=4", "schedule.final_div_factor=10", "schedule.total_steps=5"],
        5,
        [0.5, 1.625, 1.8138, 0.7237, 0.05],
    ),
}
LOSSES = (5.0, 4.0, 4.0, 4.0, 3.0)


def rates(*words: str, length: int) -> Rates:
    config, _ = compose_config(list(words))
    return Rates(schedule=_schedule(config.schedule), highest=[2.0, 4.0], length=length)


def test_every_choice_is_computed_by_hand() -> None:
    assert set(BY_HAND) == set(choices()["schedule"])


@pytest.mark.parametrize("name", BY_HAND)
def test_rates_by_hand(name: str) -> None:
    words, length, expected = BY_HAND[name]
    found = rates(f"schedule={name}", *words, length=length)
    used = [found.at(count, LOSSES) for count in range(len(expected))]
    assert [first for first, _ in used] == pytest.approx(expected, abs=1e-3)
    assert [second for _, second in used] == pytest.approx([2 * rate for rate in expected], abs=2e-3)  # its own


@pytest.mark.parametrize("name", BY_HAND)
def test_a_rate_depends_on_the_count_alone(name: str) -> None:
    """Steps that are left out, or made again, change no other."""
    words, length, expected = BY_HAND[name]
    one, other = (rates(f"schedule={name}", *words, length=length) for _ in range(2))
    last = len(expected) - 1
    whole = [one.at(count, LOSSES) for count in range(last + 1)]
    assert other.at(last, LOSSES) == whole[last]
    assert other.at(1, LOSSES) == whole[1]
    assert other.at(last, LOSSES) == whole[last]


def test_a_schedule_of_ones_own() -> None:
    words = ("schedule._target_=torch.optim.lr_scheduler.ExponentialLR", "~schedule.factor", "~schedule.total_iters")
    found = rates(*words, "+schedule.gamma=0.5", length=4)
    assert [found.at(count, ())[0] for count in range(3)] == [2.0, 1.0, 0.5]


def test_the_optimizers_stay_untouched() -> None:
    """A scheduler of torch puts itself around `step`, and notes what it was at in the groups."""
    config, _ = compose_config(["data=digits", "schedule=one_cycle"])
    learner = compose(config).learner
    learner.configure_optimizers()  # type: ignore[operator]
    learner.set_rate(0)  # type: ignore[operator]
    (group,) = learner.optimizer.param_groups  # type: ignore[union-attr]
    assert group["lr"] == pytest.approx(1e-3 / 25)
    assert "max_lr" not in group
    assert group["betas"] == (0.9, 0.999)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["schedule=one_cycle", "schedule.cycle_momentum=true"], "set schedule.cycle_momentum=false"),
        (
            ["schedule=step", "schedule.every=batch"],
            "schedule.every must be one of step, epoch, validation, got 'batch'",
        ),
        (["schedule=step", "schedule.step_size=0.5x"], "schedule.step_size"),
        (["schedule=step", "+schedule.gama=1"], "gama"),
        (["training.schedule=cosine"], "training.schedule has moved: write schedule=..., one of constant, cosine"),
    ],
)
def test_refused(words: list[str], message: str) -> None:
    with pytest.raises(HourglassError) as refused:
        compose(compose_config(["data=digits", *words])[0])
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_schedule_changes_the_rate_only() -> None:
    made = Schedule(make=partial(lr_scheduler.OneCycleLR, max_lr=1.0, total_steps=4))
    with pytest.raises(ValueError, match="may change the learning rate only"):
        Rates(schedule=made, highest=[1.0], length=4)


def test_records_of_before_name_what_the_choices_are_now() -> None:
    for name, node in SCHEDULES.items():
        config: Any = compose_config([f"schedule={name}"])[0].schedule
        assert dict(config) == node


def test_no_step_of_the_stand_in_moves_a_weight() -> None:
    found = Rates(schedule=Schedule(), highest=[1.0], length=2)
    found.at(2, ())
    assert torch.equal(found._stand_in.param_groups[0]["params"][0], torch.zeros(1))


def logged(folder: Path, *words: str) -> list[float]:
    """The rates of a training of 60 samples, four epochs of two steps, by two steps each."""
    small = ("data=digits", "data.train_size=60", "training.batch_size=30", "training.epochs=4", "callback=quick")
    config, choices = compose_config([*small, "trainer.accelerator=cpu", "training.log_every_n_steps=2", *words])
    config.callback = {}
    run = train(config, choices=choices, folder=folder, recorder=NoRecorder()).run
    return [value for _, value in run.history("train/lr")]


def test_the_rate_is_logged_with_the_points(tmp_path: Path) -> None:
    assert logged(tmp_path, "schedule=step", "schedule.step_size=2") == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])


def test_a_plateau_goes_by_the_validation(tmp_path: Path) -> None:
    """No loss is better by nine tenths: the rate is halved after every validation but the first."""
    words = ("schedule=plateau", "schedule.patience=0", "schedule.threshold=0.9")
    assert logged(tmp_path, *words) == pytest.approx([1e-3, 1e-3, 5e-4, 2.5e-4])
