"""Which jobs share a stack."""

from collections.abc import Sequence
from functools import cache

import pytest
from omegaconf import DictConfig

from hourglass.configuration.composition import compose_config
from hourglass.sweeps.fusion import fusable, not_worth, why_not


@cache
def config(*overrides: str) -> DictConfig:
    return compose_config(["data=digits", "trainer.accelerator=cpu", *overrides])[0]


@pytest.mark.parametrize(
    "overrides",
    [
        ("seed=1", "name=mine", "study=s", "~callback.pictures"),
        ("model.code_size=8",),
        ("optimizer.lr=0.1", "optimizer.weight_decay=0.1"),
        ("schedule=cosine", "training.gradient_clip=1", "training.patience=3", "training.keep=last"),
    ],
    ids=str,
)
def test_these_may_differ(overrides: Sequence[str]) -> None:
    assert [group.jobs for group in fusable([config(), config(*overrides)])] in ([(0, 1)], [(1, 0)])


@pytest.mark.parametrize(
    ("base", "one", "other", "together"),
    [
        (("noise=masking",), "noise.masking.share=0.1", "noise.masking.share=0.2", True),
        (("regularizer=l1",), "regularizer.l1.weight=0.1", "regularizer.l1.weight=0.2", True),
        (("bottleneck=gaussian",), "model.bottleneck.beta=1", "model.bottleneck.beta=4", True),
        (
            ("regularizer=mmd", "bottleneck=linear"),
            "regularizer.mmd.scales=[1,2]",
            "regularizer.mmd.scales=[3,4]",
            True,
        ),
        (("regularizer=mmd", "bottleneck=linear"), "regularizer.mmd.scales=[1,2]", "regularizer.mmd.scales=[3]", False),
        (("bottleneck=top_k",), "model.bottleneck.k=2", "model.bottleneck.k=3", False),
        (("model=multilayer",), "model.widths=[20]", "model.widths=[30]", True),
        (("model=multilayer", "model.widths=null"), "model.depth=1", "model.depth=2", False),
        (("model=conv",), "model.code_size=null", "model.code_size=4", False),
        ((), "optimizer=adam", "optimizer=sgd", False),
        ((), "data.order_seed=0", "data.order_seed=1", False),
        ((), "training.batch_size=10", "training.batch_size=20", False),
        ((), "noise=masking", "noise=none", False),
        ((), "noise=[masking,gaussian]", "noise=[gaussian,masking]", False),
        (("noise=[masking,gaussian]",), "noise.masking.share=0.1", "noise.masking.share=0.2", True),
    ],
    ids=str,
)
def test_tensors_and_widths_may_differ_and_nothing_else(
    base: Sequence[str], one: str, other: str, together: bool
) -> None:
    groups = fusable([config(*base, one), config(*base, other)])
    assert (len(groups) == 1) == together
    if not together:
        assert {group.reason for group in groups} == {"no other job has its structure"}


def test_a_large_group_is_cut_with_models_of_like_size_together() -> None:
    sizes = (32, 2, 16, 4, 8)
    groups = fusable([config(f"model.code_size={size}") for size in sizes], largest=3)
    assert [[sizes[number] for number in group.jobs] for group in groups] == [[8, 16, 32], [2, 4]]
    with pytest.raises(ValueError, match="largest must be at least 1, got 0"):
        fusable([], largest=0)


@pytest.mark.parametrize(
    ("largest", "places", "expected"),
    [
        (None, 1, [[2, 4, 8, 16, 32]]),
        (None, 2, [[8, 16, 32], [2, 4]]),  # none idles, and the slow one starts first
        (2, 2, [[16, 32], [8], [4], [2]]),  # three would do, but then one place has nothing at the end
        (None, 9, [[32], [16], [8], [4], [2]]),
    ],
)
def test_a_group_is_cut_so_that_no_place_idles(largest: int | None, places: int, expected: list[list[int]]) -> None:
    sizes = (32, 2, 16, 4, 8)
    groups = fusable([config(f"model.code_size={size}") for size in sizes], largest=largest, places=places)
    assert [[sizes[number] for number in group.jobs] for group in groups] == expected
    assert {group.reason for group in groups} == {None}


def test_several_groups_are_not_cut_into_single_jobs() -> None:
    configs = [config("seed=0"), config("seed=1"), config("model.depth=1"), config("model.depth=1", "seed=1")]
    assert sorted(group.jobs for group in fusable(configs, places=4)) == [(0, 1), (2, 3)]


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (("training=recirculation",), "Recirculation makes steps of its own"),
        (("resume=1a2b3c",), "goes on with a run"),
        (("trainer.devices=2",), "takes trainer.devices=2"),
    ],
    ids=str,
)
def test_what_does_not_fuse_says_why(overrides: Sequence[str], reason: str) -> None:
    assert reason in str(why_not(config(*overrides)))
    (group,) = fusable([config(*overrides)])
    assert group == ((0,), why_not(config(*overrides)))


def test_convolutions_on_a_cpu_fuse_but_lose() -> None:
    assert why_not(config("model=conv")) is None
    assert "convolutions" in str(not_worth(config("model=conv")))
    assert not_worth(config()) is None


def test_norms_over_channels_are_of_one_width() -> None:
    wide, narrow, other = (config("model=residual", *each) for each in ([], ["model.widths=[32,32,32]"], ["seed=1"]))
    assert sorted(group.jobs for group in fusable([wide, narrow, other])) == [(0, 2), (1,)]
    assert "convolutions" in str(not_worth(wide))
