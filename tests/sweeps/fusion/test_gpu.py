"""Stacks on a GPU: they are what their members are, a graph holds their steps, and memory is as predicted."""

from pathlib import Path

import pytest
import torch

from hourglass.sweeps.fusion.lockstep import template_of
from hourglass.sweeps.fusion.memory import member_bytes
from hourglass.training.batches import Chunk

from .test_laws import (
    MODELS,
    PAIR,
    STACKED,
    assert_law,
    chunks,
    coloured,
    composed,
    digits,
    draws,
    make,
    members_of,
    names,
    stacked,
    suited,
    with_choice,
)

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

SCRIPTS = Path(__file__).parents[3] / "benchmarks/gpu"
COMPONENTS = [
    *(f"bottleneck={name}" for name in names("bottleneck")),
    *(f"noise={name}" for name in names("noise")),
    *(f"regularizer={name}" for name in names("regularizer")),
    *(f"optimizer={name}" for name in STACKED),
    *(f"model={name}" for name in MODELS),
]


@pytest.mark.parametrize("name", ["vanilla", "conv"])
def test_a_stack_is_each_of_its_members(name: str) -> None:
    overrides, sizes = MODELS[name]
    assert_law(members_of(composed(*overrides, "model.activation=sigmoid"), sizes))


@pytest.mark.parametrize(
    ("component", "way"),
    [
        *((component, "captured") for component in COMPONENTS),
        *((f"model={name}", way) for name in ("vanilla", "conv") for way in ("compiled", "both")),
    ],
)
def test_a_graph_and_a_compiled_program_make_the_steps(
    component: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that draw are only seen to go on; `test_capturable` compares them."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from ways import WAYS

    group, _, name = component.partition("=")
    data = coloured() if group == "noise" else digits()
    if name == "joint":
        configs = members_of(composed("bottleneck=joint", "model.bottleneck.categories=4", "loss.reduction=sum"), PAIR)
    elif group == "model":
        configs = members_of(composed(*MODELS[name][0]), MODELS[name][1])
    else:
        configs = suited(name) if group == "regularizer" else members_of(with_choice("vanilla", group, name), PAIR)
    plain, members = (make(configs, torch.float64, data, device="cuda") for _ in range(2))
    eager = stacked(plain, configs, data)
    played = WAYS[way](members=members, template=template_of(members, configs, data))
    before = [weight.detach().clone() for weight in played.weights.values()]
    given = chunks(members)
    for _ in range(2):
        eager.advance(given)
        terms = played.advance(given)
        for each in (*plain, *members):
            each.steps_done += 5
    assert way == "compiled" or played.graph.is_played, played.graph.why_not
    if draws(configs[0]) if group != "noise" else name != "none":
        assert all(bool(value.isfinite().all()) for each in terms for value in each.values())
        assert any(not torch.equal(weight, old) for weight, old in zip(played.weights.values(), before, strict=True))
    else:
        for weight, other in zip(played.weights.values(), eager.weights.values(), strict=True):
            torch.testing.assert_close(weight, other, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=multilayer", "model.depth=1", "model.widths=[512]", "model.code_size=64"],
        ["model=conv", "model.depth=2", "model.widths=[16,8]"],
        ["bottleneck=gaussian", "loss.reduction=sum", "noise=gaussian", "optimizer=sgd"],
        ["regularizer=contractive", "model.code_size=64"],
    ],
    ids=str,
)
def test_a_member_takes_at_most_what_is_reckoned_with(overrides: list[str]) -> None:
    config = composed(*overrides, "data.train_size=1000", "training.batch_size=250")
    (learner,) = make([config], torch.float32, None, device="cuda")
    x = torch.randint(0, 17, (1000, 1, 8, 8), dtype=torch.uint8, device="cuda")
    chunk = Chunk(x, None)
    learner.own_steps(chunk)
    bound = member_bytes(learner, chunk)

    def taken(size: int) -> int:
        members = make([config] * size, torch.float32, None, device="cuda")
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        stack = stacked(members, [config] * size)
        for _ in range(2):
            stack.advance([chunk] * size)
        return torch.cuda.max_memory_allocated() - before

    taken(2)  # what the libraries keep for themselves, some 32 MiB for each stream, is no member's
    assert 0.05 < (taken(24) - taken(12)) / 12 / bound < 1
