"""Lightning's keys: each works, or is refused with the key to use."""

import inspect
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from omegaconf import OmegaConf

import hourglass
from hourglass.configuration.composition import compose_config
from hourglass.configuration.identity import config_hash
from hourglass.configuration.trust import recorded
from hourglass.pipeline.compose import compose
from hourglass.pipeline.train import train
from hourglass.pipeline.trainer import ONLY, check_trainer, make_trainer, measuring
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run

WORK = {"callbacks", "devices", "max_epochs", "check_val_every_n_epoch", "max_time", "profiler"}
WORK |= {"plugins", "use_distributed_sampler"}
"""Keys that do here what Lightning says, within limits or without."""
SMALL = ("data=digits", "data.train_size=100", "callback=quick")


@cache
def preset() -> Any:
    return OmegaConf.to_container(compose_config([])[0].trainer, resolve=True)


def trainer(**keys: Any) -> Any:
    return OmegaConf.create({"trainer": {**preset(), **keys}}).trainer


def whole(trainer: Any) -> Any:
    return OmegaConf.create({"trainer": trainer, "callback": {}})


def test_every_key_of_lightning_is_known() -> None:
    """An upgrade that brings keys shows here."""
    assert set(inspect.signature(pl.Trainer).parameters) == {*ONLY, *WORK}


@pytest.mark.parametrize("name", ["exact", "fast"])
def test_the_presets_pass(name: str) -> None:
    config, _ = compose_config([f"trainer={name}"])
    check_trainer(config.trainer, epochs=config.training.epochs)


@pytest.mark.parametrize(
    ("key", "value", "instead"),
    [
        ("devices", "2", "whole number"),
        ("devices", -1, "whole number of at least 1"),
        ("devices", 0, "whole number of at least 1"),
        ("devices", "auto", "whole number"),
        ("devices", True, "whole number"),
        ("devices", [0, 99], "99"),
        ("devices", [0, 0], "list of GPUs"),
        ("devices", [99], "99"),
        ("num_nodes", 2, "one machine"),
        ("strategy", "ddp_spawn", "one of auto, ddp, got ddp_spawn"),
        ("sync_batchnorm", True, "trains on one device"),
        ("limit_train_batches", 2, "training.max_steps"),
        ("limit_train_batches", 1, "training.max_steps"),  # a single batch, while 1.0 is all of them
        ("limit_train_batches", 0.2, "data.train_size"),
        ("limit_val_batches", 0, "data.validation_size"),
        ("limit_test_batches", 2, "data.test_size"),
        ("overfit_batches", 1, "data.train_size"),
        ("val_check_interval", 0.5, "trainer.check_val_every_n_epoch"),
        ("check_val_every_n_epoch", 21, "from 1 to training.epochs=20"),
        ("check_val_every_n_epoch", 0, "from 1"),
        ("accumulate_grad_batches", 2, "training.batch_size"),
        ("gradient_clip_val", 1.0, "training.gradient_clip"),
        ("gradient_clip_algorithm", "value", "training.gradient_clip"),
        ("fast_dev_run", True, "training.max_steps"),
        ("max_epochs", 3, "training.epochs"),
        ("max_epochs", -1, "training.epochs"),
        ("min_epochs", 3, "training.epochs"),
        ("max_steps", 3, "training.max_steps"),
        ("min_steps", 3, "training.max_steps"),
        ("num_sanity_val_steps", 2, "must be 0"),
        ("log_every_n_steps", 5, "tracking.log_every_n_steps"),
        ("logger", True, "tracking"),
        ("barebones", True, "callback=quick"),
        ("profiler", "simple", "SimpleProfiler"),
        ("inference_mode", True, "must be false"),
        ("enable_model_summary", True, "number of parameters"),
        ("deterministic", "maybe", "one of true, false, warn"),
        ("precision", "16-true", "weights of 16 bits lose small changes"),
        ("accelerator", "quantum", "one of auto, cpu, gpu, cuda, mps"),
    ],
)
def test_what_would_do_something_else_names_the_key_to_use(key: str, value: Any, instead: str) -> None:
    with pytest.raises(HourglassError) as caught:
        check_trainer(trainer(**{key: value}), epochs=20)
    assert str(caught.value).startswith(f"trainer.{key}")
    assert instead in str(caught.value)
    assert "\n" not in str(caught.value)
    check_trainer(measuring(trainer(**{key: value})), epochs=20)  # a run that was recorded so can be evaluated


def test_a_key_that_is_taken_away_is_judged_by_lightnings_default() -> None:
    node = trainer()
    del node["num_sanity_val_steps"]
    with pytest.raises(HourglassError, match="num_sanity_val_steps must be 0, got None"):
        check_trainer(node, epochs=20)


class Count(pl.Callback):
    """Notes the optimizer steps that were made when each batch ended."""

    def __init__(self, *, path: str) -> None:
        self.path = path
        self.steps: list[int] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.steps.append(trainer.global_step)

    def on_train_end(self, *_: Any) -> None:
        Path(self.path).write_text(" ".join(map(str, self.steps)))


def test_own_callbacks_work_and_see_every_batch(tmp_path: Path) -> None:
    """The same training with and without one: batches one by one give the weights that chunks of them give."""

    def trained(name: str, *words: str) -> Any:
        (tmp_path / name).mkdir()
        uri = f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"
        config, choices = compose_config([*SMALL, uri, "training.epochs=2", "training.batch_size=30", *words])
        return train(config, choices=choices, folder=tmp_path / name).metrics

    count = f"{{_target_:{__name__}.Count,path:{tmp_path}/steps}}"
    stop = "{_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:val/loss,mode:max,patience:1}"
    plain = trained("plain")
    watched = trained("watched", f"+trainer.callbacks=[{count}]", "name=callbacks")
    assert (tmp_path / "steps").read_text() == "1 2 3 4 5 6 7 8"
    same = [name for name in plain if not name.startswith(("time/", "system/"))]
    assert {name: watched[name] for name in same} == {name: plain[name] for name in same}
    trained("stopped", f"+trainer.callbacks=[{count},{stop}]", "training.epochs=5")
    assert (tmp_path / "steps").read_text() == "1 2 3 4 5 6 7 8"  # after the second epoch
    trained(
        "kept",
        f"+trainer.callbacks.keep={{_target_:pytorch_lightning.callbacks.ModelCheckpoint,dirpath:{tmp_path}/ck}}",
    )
    assert [each.name for each in (tmp_path / "ck").iterdir()] == ["epoch=1-step=8.ckpt"]
    # The same as a choice of the group `callback`; ours never change what is computed, those of others may.
    chosen = trained("chosen", f"+callback.count={count}", "name=chosen")
    assert {name: chosen[name] for name in same} == {name: plain[name] for name in same}
    runs = {name: Run.find(name, f"sqlite:///{tmp_path}/mlflow.db") for name in ("callbacks", "chosen")}
    assert runs["chosen"].tags["machine.config_hash"] != runs["callbacks"].tags["machine.config_hash"]
    assert list(hourglass.load(runs["chosen"].id, uri=runs["chosen"].uri).shape) == [1, 8, 8]
    # What was called while it trained is no part of the model: it is loaded without that, and without trust in it.
    run = Run.find("callbacks", f"sqlite:///{tmp_path}/mlflow.db")
    assert run.read_config()["trainer"]["callbacks"][0]["_target_"].endswith("Count")
    assert hourglass.load(run.id, uri=run.uri).code_size == 64
    with pytest.raises(HourglassError, match=r"trainer\.callbacks"):
        recorded(run, training=True)


@pytest.mark.parametrize(
    ("callbacks", "problem"),
    [
        ([{"_target_": "torch.nn.ReLU"}], "trainer.callbacks must be a callback of Lightning, got torch.nn.ReLU"),
        ([3], "trainer.callbacks must be a list of objects"),
        ("Timer", "trainer.callbacks must be a list of objects"),
        ([{"_target_": "pytorch_lightning.callbacks.Tmer"}], "nearest: Timer"),
        ([{"_target_": "pytorch_lightning.callbacks.EarlyStopping"}], r"trainer.callbacks\[0\].monitor must be given"),
        (
            [{"_target_": "pytorch_lightning.callbacks.EarlyStopping", "montor": "val/loss"}],
            r"trainer.callbacks\[0\].montor: .* takes no such key; nearest: monitor",
        ),
    ],
)
def test_callbacks_that_are_none_are_refused(callbacks: Any, problem: str) -> None:
    with pytest.raises(HourglassError, match=problem):
        make_trainer(whole(trainer(callbacks=callbacks)))


def test_64_bits_train_and_refuse_what_is_shown_in_32() -> None:
    config, _ = compose_config([*SMALL, "trainer.precision=64-true"])
    compose(config)
    for choice in ("pictures", "usefulness"):
        words = [*SMALL[:-1], f"callback=[quick,{choice}]", "trainer.precision=64-true"]
        with pytest.raises(HourglassError, match=f"needs callback=quick: what {choice} draw"):
            compose(compose_config(words)[0])
    words = [*SMALL[:-1], "callback=[quick,baselines]", "trainer.precision=64-true"]
    compose(compose_config(words)[0])
    with pytest.raises(HourglassError, match="needs callback=quick: what baselines draw"):
        compose(compose_config([*words, "noise=gaussian"])[0])


def test_an_optimizer_that_asks_for_the_loss_again_is_refused() -> None:
    words = ["optimizer._target_=torch.optim.LBFGS", *(f"~optimizer.{key}" for key in ("betas", "eps", "fused"))]
    with pytest.raises(HourglassError, match="LBFGS computes the loss several times"):
        compose(compose_config([*SMALL, *words, "~optimizer.weight_decay"])[0])


def test_optimizers_of_other_names_bring_their_own_keys() -> None:
    named = ["optimizer._target_=torch.optim.NAdam", "+optimizer.momentum_decay=0.01"]
    with pytest.raises(HourglassError) as caught:
        compose(compose_config([*SMALL, *named])[0])
    assert str(caught.value).startswith("optimizer.fused: torch.optim.NAdam takes no such key")
    assert str(caught.value).endswith("~optimizer.fused")
    learner: Any = compose(compose_config([*SMALL, *named, "~optimizer.fused"])[0]).learner
    assert type(learner.optimizer).__name__ == "NAdam"
    with pytest.raises(HourglassError, match=r"optimizer\.fused must be true or false or null, got 'maybe'"):
        compose(compose_config([*SMALL, "optimizer.fused=maybe"])[0])


def test_what_judges_and_keeps_comes_last(tmp_path: Path) -> None:
    words = ["callback=[checkpoints,health,pictures]", f"+callback.count={{_target_:{__name__}.Count,path:x}}"]
    made = make_trainer(compose_config([*SMALL[:-1], *words])[0], folder=tmp_path)
    assert [type(each).__name__ for each in made.callbacks] == ["Pictures", "Count", "Health", "Checkpoints"]


def test_our_callbacks_leave_the_hash_as_it_is() -> None:
    """A run is found again, whatever was measured of it."""
    hashes = {
        config_hash(OmegaConf.to_container(compose_config(words)[0], resolve=True))  # type: ignore[arg-type]
        for words in (
            ["callback=quick"],
            ["callback=default"],
            ["callback=[quick,pictures]", "callback.pictures.count=3"],
        )
    }
    assert len(hashes) == 1
