"""A learner in a `pl.Trainer` that a person made: own loops, callbacks, loggers and loaders, as for any module."""

import csv
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import hourglass
from hourglass.system.errors import HourglassError
from hourglass.training import Learner

QUICK = ["data.train_size=100", "data.test_size=50", "training.batch_size=32"]
"""100 samples in batches of 32: 4 steps an epoch, the last of 4 samples."""

KINDS: dict[str, dict[str, Any]] = {
    "backprop": {"noise": "masking", "regularizer": ["contractive", "l1"]},
    "adversarial": {"training": "adversarial"},
    "vae_gan": {"training": "vae_gan", "bottleneck": "gaussian", "sum": True},
    "importance_weighted": {"training": "importance_weighted", "bottleneck": "gaussian", "sum": True},
    "recirculation": {"training": "recirculation"},
    "layerwise": {"training": "layerwise", "model": "multilayer", "more": ["training.pretrain_epochs=0"]},
    "finetune": {"training": "finetune"},
}


class Watch(pl.Callback):
    """What a person's own callback sees."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.batches: list[type] = []
        self.epochs: list[dict[str, float]] = []

    def on_train_batch_end(self, *given: Any) -> None:
        _, _, outputs, batch, _ = given
        self.losses.append(float(outputs["loss"]))
        self.batches.append(type(batch))

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.epochs.append({key: float(value) for key, value in trainer.callback_metrics.items()})


def make(kind: str = "backprop", *words: str) -> Learner:
    given = dict(KINDS[kind])
    more = [*given.pop("more", ()), *(["loss.reduction=sum"] if given.pop("sum", False) else [])]
    return hourglass.module(data="digits", code_size=4, overrides=[*QUICK, *more, *words], **given)


def trainer(**given: Any) -> pl.Trainer:
    quiet = {
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "logger": False,
    }
    return pl.Trainer(accelerator="cpu", **{**quiet, "max_epochs": 2, **given})


def loader(learner: Learner, size: int = 30, **given: Any) -> DataLoader[Any]:
    train = learner.data.train
    assert train.y is not None
    return DataLoader(TensorDataset(train.x, train.y), batch_size=size, **given)


def weights(learner: Learner) -> list[Tensor]:
    return list(learner.state_dict().values())


def same(one: Learner, other: Learner) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_every_procedure_trains_with_its_own_loaders_and_with_a_persons(kind: str) -> None:
    learner, watch = make(kind), Watch()
    mine = trainer(callbacks=[watch])
    mine.fit(learner)
    assert learner.steps == learner.steps_done == mine.global_step == len(watch.losses) == 8
    assert len(watch.epochs) == 2
    assert {"train/loss", "val/loss", "val/mse"} <= watch.epochs[0].keys()
    assert watch.epochs[1]["train/loss"] == pytest.approx(sum(watch.losses[4:]) / 4, rel=1e-5)
    (tested,) = mine.test(learner, verbose=False)
    assert tested["test/loss"] > 0
    again, watch = make(kind), Watch()
    theirs = trainer(callbacks=[watch])
    theirs.fit(again, loader(again), loader(again, 70))
    assert again.steps == again.steps_done == theirs.global_step == 8  # 30, 30, 30 and 10 samples
    assert set(watch.batches) == {list}
    (validated,) = theirs.validate(again, loader(again, 100), verbose=False)
    assert validated["val/mse"] > 0
    output: Any = theirs.predict(again, loader(again, 60))[1]  # type: ignore[index]
    assert output.code.shape == (40, 4)
    assert output.reconstruction.shape == (40, 1, 8, 8)


def test_a_loader_in_the_learners_own_order_gives_the_same_steps() -> None:
    own, theirs = make("finetune"), make("finetune")
    trainer(max_epochs=1).fit(own)
    train = theirs.data.train
    order = torch.randperm(100, generator=torch.Generator().manual_seed(theirs.data.order_seed * 1_000_003))
    x = theirs.data.scaled(train.x)[order]  # as the model sees them
    assert train.y is not None
    trainer(max_epochs=1).fit(theirs, DataLoader(TensorDataset(x, train.y[order]), batch_size=32))
    assert same(own, theirs)
    measured = [trainer().test(each, verbose=False)[0] for each in (own, theirs)]
    assert measured[0] == measured[1]


def test_what_is_measured_is_of_the_loader_that_is_given() -> None:
    learner = make()
    (own,) = trainer().validate(learner, verbose=False)
    (same_again,) = trainer().validate(learner, learner.val_dataloader(), verbose=False)
    (limited,) = trainer(limit_val_batches=1).validate(learner, learner.train_dataloader(), verbose=False)
    rows: Any = learner.data.validation.x
    (other,) = trainer().validate(learner, DataLoader(rows, batch_size=1000), verbose=False)
    (test,) = trainer().validate(learner, learner.test_dataloader(), verbose=False)
    assert own == same_again
    assert other == own
    assert test["val/mse"] != own["val/mse"] != limited["val/mse"]


def test_checkpoints_early_stopping_and_loggers(tmp_path: Path) -> None:
    learner = make("backprop", "optimizer.lr=0.0", "training.keep=last")
    best, early = ModelCheckpoint(dirpath=tmp_path, monitor="val/loss"), EarlyStopping("val/loss", patience=2)
    mine = trainer(
        max_epochs=10,
        callbacks=[best, early],
        logger=[CSVLogger(tmp_path, name="one"), CSVLogger(tmp_path, name="two")],
        enable_checkpointing=True,
        log_every_n_steps=2,
    )
    mine.fit(learner)
    assert mine.current_epoch == 3  # the first is the best, two more bring nothing
    assert Path(best.best_model_path).is_file()
    (tested,) = mine.test(learner, ckpt_path="best", verbose=False)
    for name in ("one", "two"):
        with (tmp_path / name / "version_0" / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [int(row["step"]) for row in rows if row["train/loss"]] == [2, 4, 6, 8, 10, 12]
        assert len([row for row in rows if row["val/loss"]]) == 3
        assert [float(row["test/mse"]) for row in rows if row["test/mse"]] == [pytest.approx(tested["test/mse"])]


@pytest.mark.parametrize("every", [{"every_n_epochs": 1}, {"every_n_train_steps": 3}, {"every_n_train_steps": 4}])
def test_resumed_it_goes_on_as_if_undisturbed(tmp_path: Path, every: dict[str, int]) -> None:
    undisturbed, first, resumed = make(), make(), make()
    torch.manual_seed(1)
    trainer(max_epochs=4).fit(undisturbed)
    torch.manual_seed(1)
    kept = ModelCheckpoint(dirpath=tmp_path, **every)  # type: ignore[arg-type]
    trainer(callbacks=[kept], enable_checkpointing=True).fit(first)
    mine = trainer(max_epochs=4)
    mine.fit(resumed, ckpt_path=kept.best_model_path)
    assert resumed.steps_done == mine.global_step == 16
    assert same(resumed, undisturbed)


def test_the_trainer_says_how_long() -> None:
    learner = make("backprop", "schedule=cosine", "training.epochs=50")
    trainer(max_epochs=None, max_steps=6).fit(learner)
    assert learner.steps == learner.steps_done == 6
    trainer(max_epochs=3, limit_train_batches=2).fit(learner)  # another fit of the same weights
    assert learner.steps == learner.steps_done == 6
    assert learner.optimizers_used()[0].param_groups[0]["lr"] < 1e-3 * 0.1  # the end of the cosine
    trainer(max_epochs=1, num_sanity_val_steps=0, val_check_interval=2).fit(learner)
    assert learner.steps_done == 4
    trainer(fast_dev_run=True).fit(learner)
    assert learner.steps_done == 1


class Endless(IterableDataset[Tensor]):
    def __iter__(self) -> Any:
        while True:
            yield torch.rand(1, 8, 8)


def test_a_loader_without_a_length_needs_a_number_of_steps() -> None:
    learner, endless = make(), DataLoader(Endless(), batch_size=16)
    trainer(max_epochs=1, max_steps=5).fit(learner, endless)
    assert learner.steps == learner.steps_done == 5
    with pytest.raises(HourglassError, match=r"needs pl\.Trainer\(max_steps=\.\.\.\)"):
        trainer().fit(learner, endless)


def test_a_closed_form_is_solved_once() -> None:
    learner = hourglass.module(data="digits", model="pca", code_size=4)
    mine = trainer(max_epochs=3)
    mine.fit(learner)
    assert mine.current_epoch == 1
    assert mine.test(learner, verbose=False)[0]["test/mse"] < 0.05
    with pytest.raises(HourglassError, match="must see all samples at once"):
        trainer().fit(learner, loader(learner))


def test_own_arrays_and_modules() -> None:
    x = torch.rand(60, 6)
    encoder, decoder = torch.nn.Linear(6, 2), torch.nn.Linear(2, 6)
    state = torch.get_rng_state()
    learner = hourglass.module(x, encoder=encoder, decoder=decoder, overrides={"training.batch_size": 16})
    assert torch.equal(torch.get_rng_state(), state)
    trainer().fit(learner)
    assert learner.steps_done == 6  # 48 samples of the 60


@pytest.mark.parametrize(
    ("kind", "words", "batch", "message"),
    [
        ("backprop", [], torch.rand(5, 1, 9, 9), r"samples of shape \(1, 8, 8\)"),
        ("backprop", [], 255 * torch.rand(5, 8, 8), r"must lie in \[0, 1\]"),
        ("backprop", [], torch.ones(5, 8, 8, dtype=torch.int64), "must be floats or uint8, got int64"),
        ("backprop", [], {"x": torch.rand(5, 8, 8)}, r"must be samples x or a pair \(x, y\), tensors, got dict"),
        ("finetune", [], torch.rand(5, 8, 8), "needs batches"),
        ("finetune", [], [torch.rand(5, 8, 8), torch.full((5,), 10)], "knows classes from 0 to 9"),
        ("backprop", ["noise.frozen=true"], torch.rand(5, 8, 8), r"noise\.frozen must be false"),
        ("backprop", ["data.binarize=dynamic"], torch.rand(5, 8, 8), r"data\.binarize must be none"),
        ("backprop", ["sampler=mixture"], torch.rand(5, 8, 8), "sampler must be none"),
    ],
)
def test_what_a_persons_loader_cannot_give_is_refused(kind: str, words: list[str], batch: Any, message: str) -> None:
    batches: Any = [batch]
    with pytest.raises(HourglassError, match=message) as refused:
        trainer(num_sanity_val_steps=0).fit(make(kind, *words), DataLoader(batches, batch_size=None))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_epochs": -1}, "must have max_epochs or max_steps"),
        ({"devices": 2, "strategy": "ddp_spawn"}, "must have devices=1, got 2"),
    ],
)
def test_a_trainer_that_no_learner_can_use_is_refused(given: dict[str, Any], message: str) -> None:
    learner = make()
    learner.trainer = trainer(**given)
    with pytest.raises(HourglassError, match=message):
        learner.setup("fit")


def test_more_epochs_than_pretraining() -> None:
    learner = make("layerwise", "training.pretrain_epochs=1")
    with pytest.raises(HourglassError, match=r"more epochs than .* 1 x 2 = 2, got max_epochs=2"):
        trainer().fit(learner)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"y": [1, 2]}, "x must be given with y"),
        ({"x": torch.rand(20, 4), "data": "digits"}, "data must be left out beside x, got digits"),
        ({"overrides": ["resume=abc"]}, "resume must be null"),
        ({"overrides": {"trainer.devices": 2}}, r"trainer\.devices=2: hourglass\.module has no use for it"),
    ],
)
def test_a_module_that_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(HourglassError, match=message):
        hourglass.module(**given)
