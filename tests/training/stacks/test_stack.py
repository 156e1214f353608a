"""A stack of one: its steps are the training's own, and what others change in between counts."""

from copy import deepcopy
from typing import cast

import pytest
import torch
from torch import Tensor

from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import compose
from hourglass.sweeps.fusion.grouping import OPTIMIZERS
from hourglass.training import Minibatch
from hourglass.training.batches import Chunk
from hourglass.training.stacks import Played, Stack
from hourglass.training.stacks.graph import SWITCH, wanted
from hourglass.training.stacks.update import ELEMENTWISE

WORDS = ("data=digits", "data.train_size=200", "data.test_size=60", "training.batch_size=40", "trainer.accelerator=cpu")


def learner_of(*words: str) -> Minibatch:
    torch.manual_seed(0)
    learner = cast(Minibatch, compose(compose_config([*WORDS, *words])[0]).learner).double().train()
    learner.configure_optimizers()
    return learner


def chunk_of(learner: Minibatch) -> Chunk:
    return Chunk(learner.data.scaled(learner.data.train.x[:120]).double())


def steps(learner: Minibatch, chunk: Chunk, stack: Stack | None) -> dict[str, Tensor]:
    terms = learner.own_steps(chunk) if stack is None else stack.advance([chunk])[0]
    learner.steps_done += len(terms["loss"])
    return terms


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "adadelta", "sgd"])
def test_a_stack_of_one_makes_the_steps_of_its_training_and_goes_on_with_its_optimizer(optimizer: str) -> None:
    learner = learner_of(f"optimizer={optimizer}")
    alone, chunk = deepcopy(learner), chunk_of(learner)
    for way in ("own", "stacked", "own"):
        stack = Stack(members=[learner], template=learner) if way == "stacked" else None
        torch.testing.assert_close(steps(learner, chunk, stack), steps(alone, chunk, None), rtol=1e-9, atol=1e-12)
    for mine, theirs in zip(learner.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def test_what_is_changed_between_two_chunks_counts() -> None:
    """As a callback that prunes does it."""
    learner = learner_of()
    alone, chunk = deepcopy(learner), chunk_of(learner)
    stack = Stack(members=[learner], template=learner)
    for _ in range(2):
        steps(learner, chunk, stack), steps(alone, chunk, None)
        for each in (learner, alone):
            with torch.no_grad():
                next(each.model.encoder.parameters())[:3] *= 0.5
    torch.testing.assert_close(steps(learner, chunk, stack), steps(alone, chunk, None), rtol=1e-9, atol=1e-12)


def test_on_a_cpu_a_training_makes_its_own_steps() -> None:
    learner = learner_of()
    alone, chunk = deepcopy(learner), chunk_of(learner)
    got, wished = learner._stepper(learner, chunk), alone.own_steps(chunk)
    assert isinstance(learner._stepper, Played)
    assert all(torch.equal(got[name], wished[name]) for name in wished)


def test_stacks_take_the_optimizers_that_sweeps_take() -> None:
    assert {f"torch.optim.{each.__name__}" for each in ELEMENTWISE} == OPTIMIZERS


@pytest.mark.parametrize(("word", "expected"), [(None, True), ("true", True), ("false", False), ("0", False)])
def test_the_environment_leaves_graphs_out(word: str | None, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    if word is not None:
        monkeypatch.setenv(SWITCH, word)
    assert wanted() is expected


def test_a_weight_of_one_number_is_stacked_too() -> None:
    """As the steps of Hamiltonian dynamics: its optimizer's counter has the shape of the weight."""
    words = ("bottleneck=gaussian", "loss.reduction=sum", "training=hamiltonian", "training.steps=1")
    learners = [learner_of(*words), learner_of(*words)]
    assert any(weight.ndim == 0 for weight in learners[0].parameters())
    chunk = chunk_of(learners[0])
    for each in learners:
        steps(each, chunk, None)
    stack = Stack(members=learners, template=deepcopy(learners[0]))
    assert all(bool(terms["loss"].isfinite().all()) for terms in stack.advance([chunk] * 2))
    counts = [float(memory["step"]) for each in learners for memory in each.optimizer.state.values()]
    assert set(counts) == {6.0}
