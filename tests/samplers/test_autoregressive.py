"""Symbols of discrete codes, drawn one after another."""

import copy
import itertools
import math
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import hourglass
from hourglass.bottlenecks import Deterministic, FiniteScalar, Spelled, Symbolic, VectorQuantized
from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.configuration.groups import choices
from hourglass.pipeline.compose import compose
from hourglass.samplers import Autoregressive

SYMBOLIC = ("binary", "categorical", "finite_scalar", "lookup_free", "residual_quantized", "vector_quantized")


def made(steps: int = 300) -> Autoregressive:
    return Autoregressive(code_size=6, width=16, depth=1, steps=steps)


def copied(count: int, *, seed: int = 0) -> Tensor:
    """Symbols (s, t, s) of even s and t, each one of three."""
    s, t = torch.randint(3, (2, count), generator=torch.Generator().manual_seed(seed))
    return torch.stack([s, t, s], dim=1)


def drawn(sampler: Autoregressive, count: int) -> Tensor:
    torch.manual_seed(1)
    return sampler.sample(count)


def test_it_is_a_probability_and_learns_which_symbol_follows() -> None:
    sampler = made()
    sampler.fit(copied(2000))
    every = torch.tensor(list(itertools.product(range(3), repeat=3)))
    with torch.no_grad():
        p = sampler.log_probability(every).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-5)
    as_said = p[every[:, 0] == every[:, 2]]
    assert len(as_said) == 9
    torch.testing.assert_close(as_said, torch.full((9,), 1 / 9), atol=0.02, rtol=0)
    draws = drawn(sampler, 900)
    assert (draws[:, 0] == draws[:, 2]).float().mean() > 0.98
    assert draws.flatten().bincount().min() > 800  # of 2,700, a third each


def test_a_place_sees_none_that_follow() -> None:
    sampler = made(steps=5)
    sampler.fit(copied(100))
    one, other = torch.tensor([[0, 1, 2]]), torch.tensor([[0, 2, 1]])
    with torch.no_grad():
        first, second = (sampler.network(each) for each in (one[:, :2], other[:, :2]))
    torch.testing.assert_close(first[:, :2], second[:, :2])
    assert not first[:, 2].equal(second[:, 2])


def test_laws(tmp_path: Path) -> None:
    torch.manual_seed(7)
    state = torch.get_rng_state()
    sampler = made(steps=20)
    sampler.fit(copied(500))
    assert torch.get_rng_state().equal(state)
    draws = drawn(sampler, 50)
    assert draws.shape == (50, 3)
    assert draws.dtype == torch.int64
    sampler.fit(copied(400, seed=1) + 2)  # of more symbols
    sampler.fit(copied(500))
    assert drawn(sampler, 50).equal(draws)
    save_file({key: value.contiguous() for key, value in sampler.state_dict().items()}, tmp_path / "state")
    with torch.device("meta"):
        other = made(steps=20)
    other.load_state_dict(load_file(tmp_path / "state"), assign=True)
    for twin in (other, copy.deepcopy(other), pickle.loads(pickle.dumps(other))):
        assert drawn(twin, 50).equal(draws)
    with torch.inference_mode():
        again = copied(500)
        sampler.fit(again)
    assert drawn(sampler, 50).equal(draws)


TREE = ("model.bottleneck.codebooks=tree", "model.bottleneck.entries=4")


@pytest.mark.parametrize(("name", "words"), [*((name, ()) for name in SYMBOLIC), ("residual_quantized", TREE)])
def test_a_code_is_put_together_of_its_symbols(name: str, words: tuple[str, ...]) -> None:
    config, _ = compose_config(["data=digits", f"bottleneck={name}", "model.code_size=16", *words])
    neck = build(config.model, shape=(1, 8, 8)).bottleneck.eval()
    assert isinstance(neck, Symbolic)
    assert isinstance(neck, Spelled)
    a = 3 * torch.randn(50, neck.inputs, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(neck.of_choices(neck.choices(a)), neck(a).code)
    if name == "finite_scalar":
        low, high = (FiniteScalar(code_size=2, levels=[2, 3]).of_choices(torch.tensor([[each]])) for each in (0, 5))
        assert (low.tolist(), high.tolist()) == ([[-1.0, -1.0]], [[0.0, 1.0]])


def test_all_symbolic_codes_are_among_them() -> None:
    found = []
    for name in choices()["bottleneck"]:
        size = 16 if name == "joint" else 8
        neck = build(compose_config([f"bottleneck={name}", f"model.code_size={size}"])[0].model, shape=(1, 8, 8))
        if isinstance(neck.bottleneck, Symbolic):
            found.append(name)
    assert tuple(sorted(found)) == SYMBOLIC


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^width must be a multiple of 4, got 6$"):
        Autoregressive(code_size=2, width=6, depth=1, steps=1)
    sampler = made()
    with pytest.raises(ValueError, match=r"not made of any: set sampler=mixture$"):
        sampler.check(Deterministic(code_size=6, activation="linear"), samples=10)
    with pytest.raises(
        ValueError, match=r"^it chooses from at most 65,536 symbols, and a part of the code has 131,072$"
    ):
        sampler.check(FiniteScalar(code_size=6, levels=[256, 256, 2]), samples=10)
    with pytest.raises(ValueError, match="at least 2 training samples"):
        sampler.check(VectorQuantized(code_size=4, entries=4, dimension=2), samples=1)


def test_a_run_draws_digits_and_so_does_what_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    from hourglass.pipeline.train import train_once

    words = ["data=digits", "bottleneck=vector_quantized", "model.bottleneck.entries=8", "model.code_size=8"]
    fit = ["sampler=autoregressive", "sampler.steps=30", "training.epochs=1", "callback=[quick,pictures]"]
    run = train_once([*words, *fit, f"tracking.uri=sqlite:///{tmp_path}/m.db"], folder=tmp_path / "run")
    model = hourglass.load(run.id, uri=run.uri)
    draws = model.sample(16, seed=0)
    assert draws.shape == (16, 1, 8, 8)
    assert draws.equal(hourglass.load(run.id, uri=run.uri).sample(16, seed=0))


def test_draws_are_codes_that_the_encoder_could_have_given() -> None:
    words = ["data=digits", "sampler=autoregressive", "sampler.steps=200", "bottleneck=vector_quantized"]
    torch.manual_seed(0)
    learner = compose(compose_config([*words, "model.bottleneck.entries=8", "model.code_size=8"])[0]).learner
    learner.on_fit_end()
    draws = learner.prior(200)
    assert draws is not None
    book = learner.model.bottleneck.codebook
    distance = (draws.view(-1, 1, 4) - book).square().sum(2).min(1).values
    assert distance.max().item() == 0
    known = {tuple(row.tolist()) for row in learner.symbols_of(learner.data.train.x)}
    again = {tuple(row.tolist()) for row in learner.sampler.sample(200)}
    assert len(known) < 64
    assert len(again - known) < len(again) / 2  # most pairs were seen
    assert math.isfinite(float(draws.sum()))
