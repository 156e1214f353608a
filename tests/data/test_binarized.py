"""Images of 0 and 1: which draws are fixed, which are new, and that runs repeat themselves bit by bit."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hourglass.configuration.composition import compose_config
from hourglass.data import Dataset, Split, Splitting, digits
from hourglass.data.binarized import fixed_draw, fresh_draw
from hourglass.pipeline.compose import compose
from hourglass.pipeline.train import Result, train
from hourglass.sweeps.fusion import Member, train_fused
from hourglass.system.errors import HourglassError
from hourglass.training.batches import Batches

SPLITS: dict[str, Any] = {
    "test_share": 0.1,
    "validation_size": 0.1,
    "validation": "split",
    "split_seed": 0,
    "train_size": None,
    "test_size": None,
    "order_seed": 0,
    "resident": "auto",
}


def made(**changes: Any) -> Dataset:
    return digits(**{**SPLITS, **changes})


@pytest.mark.parametrize("how", ["static", "dynamic"])
def test_every_split_holds_fixed_draws_of_its_grey_levels(how: str) -> None:
    grey, data = made(), made(binarize=how)
    for split, levels in zip(
        (data.train, data.validation, data.test), (grey.train, grey.validation, grey.test), strict=True
    ):
        assert set(split.x.unique().tolist()) == {0, 255}
        p = data.scaled(levels.x)
        x = data.scaled(split.x)
        assert x[p == 0].sum() == 0
        assert x[p == 1].all()
        # Bernoulli: the mean of x - p is 0 within four standard deviations.
        assert abs((x - p).mean().item()) < 4 * ((p * (1 - p)).sum().sqrt() / p.numel()).item()
        assert split.y is not None
        assert split.y.equal(levels.y)
    assert made(binarize=how).digest == data.digest
    assert data.range == (0.0, 1.0)
    assert "images of 0 and 1" in data.notes[-1]
    assert made(binarize=how, binarize_seed=1).digest != data.digest
    if how == "dynamic":
        assert data.levels is not None
        assert data.levels.equal(grey.train.x)
        assert data.digest != made(binarize="static").digest
    else:
        assert data.levels is None


def test_a_sample_keeps_its_draw_however_the_samples_are_split() -> None:
    def drawn(**changes: Any) -> dict[bytes, bytes]:
        grey, data = made(**changes), made(binarize="static", **changes)
        return {a.numpy().tobytes(): b.numpy().tobytes() for a, b in zip(grey.train.x, data.train.x, strict=True)}

    one, other = drawn(train_size=500), drawn(split_seed=3)
    shared = one.keys() & other.keys()
    assert len(shared) > 100
    assert all(one[key] == other[key] for key in shared)


def test_floats_are_probabilities_too() -> None:
    levels = torch.rand(40, 6)
    for how in ("static", "dynamic"):
        splitting = Splitting(**{**SPLITS, "binarize": how})
        data = splitting.dataset(name="rows", samples=Split(x=levels, y=None), test=None)
        assert data.train.x.dtype == torch.uint8
    assert fixed_draw(levels, seed=0, number=0).equal(fixed_draw(levels, seed=0, number=0))
    assert not fixed_draw(levels, seed=0, number=0).equal(fixed_draw(levels, seed=0, number=1))
    with pytest.raises(ValueError, match=r"binarize must be none for values outside \[0, 1\], .*got -1 to 0.5"):
        splitting.dataset(name="rows", samples=Split(x=torch.tensor([[-1.0], [0.5], [0.1]]), y=None), test=None)
    with pytest.raises(ValueError, match=r"binarize must be none with data\.scaling=unit, got dynamic"):
        splitting.dataset(name="rows", samples=Split(x=levels, y=None), test=None, scaling="unit")
    with pytest.raises(ValueError, match="binarize must be one of none, static, dynamic, got 'yes'"):
        made(binarize="yes")


def test_an_epoch_draws_anew_and_the_same_however_it_is_cut_into_chunks() -> None:
    levels = made().train.x[:300]

    def epoch(seed: int, rows: int) -> torch.Tensor:
        batches = Batches(x=levels, corrupted=None, rows=rows, order=lambda: seed, drawn=True)
        return torch.cat([chunk.x for chunk in batches])

    assert epoch(1, 300).equal(epoch(1, 32))
    assert not epoch(1, 300).sum().equal(epoch(2, 300).sum())
    assert epoch(1, 32).unique().tolist() == [0, 255]
    half = fresh_draw(torch.full((10_000,), 0.25), torch.Generator().manual_seed(0))
    assert (half / 255).mean().item() == pytest.approx(0.25, abs=0.02)


BASE = ("data=digits", "data.binarize=dynamic", "data.train_size=300", "callback=quick", "training.batch_size=32")


def trained(folder: Path, *overrides: str) -> Result:
    words = [*BASE, "model.code_size=4", f"tracking.uri=sqlite:///{folder}/mlflow.db", *overrides]
    config, choices = compose_config(words)
    return train(config, choices=choices, folder=folder)


def test_a_resumed_training_sees_the_draws_of_an_undisturbed_one(tmp_path: Path) -> None:
    whole = trained(tmp_path, "training.epochs=3", "noise=masking")
    first = trained(tmp_path, "training.epochs=1", "noise=masking")
    resumed = trained(tmp_path, "training.epochs=3", "noise=masking", f"resume={first.run.id}")
    for name, value in whole.parts.model.state_dict().items():
        assert value.equal(resumed.parts.model.state_dict()[name]), name
    measured = [name for name in whole.metrics if name.startswith(("val/", "test/"))]
    assert [whole.metrics[name] for name in measured] == [resumed.metrics[name] for name in measured]
    assert whole.run.params["data.binarize"] == "dynamic"


def test_a_stack_sees_the_draws_of_single_runs(tmp_path: Path) -> None:
    common = [*BASE, "training.epochs=1", "trainer.accelerator=cpu", f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"]
    members = []
    for number, size in enumerate((3, 6)):
        config, choices = compose_config([*common, f"model.code_size={size}"])
        members.append(Member(config, choices, tmp_path / str(number)))
        members[-1].folder.mkdir()
    for ended, size in zip(train_fused(members), (3, 6), strict=True):
        assert ended.result is not None
        alone = trained(tmp_path, "training.epochs=1", f"model.code_size={size}")
        assert ended.result.metrics["test/loss"] == pytest.approx(alone.metrics["test/loss"], rel=1e-4)


def test_what_would_not_see_new_draws_is_refused() -> None:
    config, _ = compose_config(["data=digits", "data.binarize=dynamic", "model=pca"])
    with pytest.raises(HourglassError, match=r"data\.binarize must be static or none for ClosedForm"):
        compose(config)
    config, _ = compose_config(["data=digits", "data.binarize=dynamic", "noise=masking", "noise.frozen=true"])
    with pytest.raises(HourglassError, match=r"noise\.frozen must be false with data\.binarize=dynamic"):
        compose(config)
