"""A training that goes on: what it may change, what is refused without a trace, and where nothing is left to do."""

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from hourglass.callbacks import CHECKPOINT
from hourglass.commands.main import main
from hourglass.commands.train import resumed
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.train import Result, train
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run, initialise_store
from hourglass.trained.load import Trained

SMALL = ("data=digits", "data.train_size=200", "data.test_size=60", "training.batch_size=50", "model.code_size=4")
QUIET = ("callback=quick", "training.log_every_n_steps=2")
TIMES = {"time/steps_per_second", "time/fit_seconds"}


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    address = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    initialise_store(address)
    return address


@pytest.fixture(autouse=True)
def _store(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)


def first(*overrides: str, callbacks: tuple[pl.Callback, ...] = ()) -> Result:
    config, choices = compose_config([*SMALL, *QUIET, "training.epochs=3", *overrides])
    return train(config, choices=choices, folder=Path.cwd(), callbacks=callbacks)


def again(run: Run, *overrides: str) -> Result:
    config = _as_configured().copy()
    config.resume = run.id
    return train(resumed(config, list(overrides)), choices={}, folder=Path.cwd())


@cache
def _as_configured() -> DictConfig:
    return compose_config([])[0]


def trace(run: Run) -> dict[str, Any]:
    """All that a run consists of."""
    files = [path for path in run.artifact(".").rglob("*") if path.is_file()]
    return {
        "status": run.status,
        "tags": run.tags,
        "points": {key: run.history(key) for key in run.metrics},
        "files": {path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files},
    }


def curves(run: Run) -> dict[str, list[tuple[int, float]]]:
    return {key: run.history(key) for key in run.metrics if key not in TIMES}


@pytest.fixture(scope="module")
def finished(uri: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("finished"))
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        return first("training.max_steps=12", "training.keep=last", "name=finished").run


# -- refused, and the run as it was ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("model.code_size=8", "model.code_size must be 4, as in the run finished, got 8"),
        ("model.depth=1", "model.depth must be 0, as in the run finished, got 1"),
        ("model.tied=true", "model.tied must be false, as in the run finished, got true"),
        ("model.activation=tanh", "model.activation must be relu, as in the run finished, got tanh"),
        ("model._target_=hourglass.models.Conv", "model._target_ must be hourglass.models.MLP, as in the run finished"),
        ("optimizer._target_=torch.optim.SGD", "optimizer._target_ must be torch.optim.Adam, as in the run finished"),
        (
            "training._target_=hourglass.training.Recirculation",
            "training._target_ must be hourglass.training.Backprop, as in the run finished",
        ),
        ("training.epochs=2", "training.epochs must be at least 3, which the run has, got 2"),
        ("training.max_steps=11", "training.max_steps must be at least 12, which the run has, got 11"),
        ("training.keep=best", "training.keep must be last: the run did not keep the weights of its best epoch"),
        ("data.split_seed=1", "data.split_seed=1 moves samples between training, validation and test"),
        ("data.test_size=50", "data.test_size=50 moves samples"),
        ("data.train_size=199", "data.train_size=199 moves samples"),
        ("data.validation_size=0.2", "data.validation_size=0.2 moves samples"),
        ("data.validation=test", "data.validation=test moves samples"),
        ("training.epochs=0", "training.epochs must be at least 3"),
        ("seed=1", "seed=1: a resumed run keeps its choices"),
    ],
)
def test_refused_in_one_line_and_untouched(finished: Run, given: str, message: str) -> None:
    before = trace(finished)
    with pytest.raises(HourglassError) as caught:
        again(finished, given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert trace(finished) == before


def test_an_optimizer_that_needs_to_remember_more_is_refused() -> None:
    run = first("optimizer=rmsprop", "training.epochs=1").run
    before = trace(run)
    with pytest.raises(HourglassError, match=r"optimizer\.momentum=0\.9 asks for another state .*: RMSprop needs more"):
        again(run, "optimizer.momentum=0.9", "training.epochs=2")
    assert trace(run) == before
    again(run, "optimizer.alpha=0.9", "training.epochs=2")
    assert len(run.history("val/loss")) == 2


def test_a_head_of_another_size_is_refused() -> None:
    run = first("training=finetune", "training.epochs=1").run
    before = trace(run)
    with pytest.raises(HourglassError, match=r"training\.head_widths=\[8\] asks for another state .*classifier\.0"):
        again(run, "training.head_widths=[8]")
    assert trace(run) == before


def test_a_file_of_data_that_has_changed_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    rows = np.random.default_rng(0).random((100, 6), dtype=np.float32)
    np.savez("rows.npz", x=rows)
    run = first("data=npz", "data.path=rows.npz", "data.train_size=null", "data.test_size=null").run
    before = trace(run)
    Path("rows.npz").rename("moved.npz")
    assert again(run, "data.path=moved.npz").run.status == "FINISHED"  # the same samples elsewhere
    after = trace(run)
    assert after["points"] == before["points"]
    np.savez("moved.npz", x=rows[::-1])
    assert main(["train", f"resume={run.id}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"hourglass: resume={run.id}: data=npz holds other samples than when the run")
    assert trace(run) == after


@pytest.mark.parametrize("content", [b"", b"junk \x00\x01", None], ids=["empty", "junk", "cut off"])
@pytest.mark.parametrize("name", ["config.yaml", "weights.safetensors", CHECKPOINT])
def test_a_damaged_file_is_named_and_the_run_keeps_its_status(
    finished: Run, name: str, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = finished.artifact(name)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    np.save("x.npy", np.zeros((2, 1, 8, 8), dtype=np.uint8))
    try:
        before = trace(finished)
        if name != "weights.safetensors":
            with pytest.raises(HourglassError, match=name):
                again(finished)
        for command in (["encode", "x.npy", "y.npy"], ["evaluate"]) if name != CHECKPOINT else ():
            assert main([command[0], finished.id, *command[1:]]) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert line.startswith("hourglass: ")
            assert name in line
            assert f"run finished ({finished.id})" in line
        assert trace(finished) == before
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("text", ["- a\n- list\n", "text", "model: 3\n", "{}", "model: [open"])
def test_a_configuration_that_is_none_is_named(finished: Run, text: str) -> None:
    path = finished.artifact("config.yaml")
    whole = path.read_text()
    path.write_text(text)
    try:
        with pytest.raises(ValueError, match=r"config\.yaml"):
            Trained.of(finished.id, uri=None)
    finally:
        path.write_text(whole)


def test_weights_without_words_about_them_are_named(finished: Run) -> None:
    from safetensors.torch import save_file

    path = finished.artifact("weights.safetensors")
    whole = path.read_bytes()
    save_file(finished.load_weights(), path)
    try:
        with pytest.raises(ValueError, match=r"weights\.safetensors"):
            Trained.of(finished.id, uri=None)
    finally:
        path.write_bytes(whole)


# -- nothing left to do ----------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(
    "given",
    [
        ("optimizer.lr=0.3",),  # the best epoch is not the last
        ("training.max_steps=12",),
        ("training.max_steps=6",),  # in the middle of an epoch
    ],
)
def test_a_training_that_is_through_ends_as_it_did(given: tuple[str, ...]) -> None:
    run = first(*given).run
    before, weights, key = curves(run), run.load_weights(), run.tags["machine.config_hash"]
    for _ in range(2):
        assert again(run).run.status == "FINISHED"
        assert curves(run) == before
        assert run.tags["machine.config_hash"] == key  # by which a study knows that it is done
        for name, value in run.load_weights().items():
            assert torch.equal(value, weights[name])


class Interrupt(pl.Callback):
    """Ctrl-C as the test begins."""

    def on_test_start(self, *_: Any) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("given", ["training.max_steps=6", "training.max_steps=null"])
def test_a_training_that_was_stopped_in_its_test_is_tested(given: str) -> None:
    whole = first("noise=masking", given).run
    with pytest.raises(KeyboardInterrupt):
        first("noise=masking", given, "name=stopped", callbacks=(Interrupt(),))
    run = Run.find("stopped", None)
    assert run.status == "KILLED"
    assert again(run).run.status == "FINISHED"
    assert "failure" not in run.tags
    assert curves(run) == curves(whole)
    Run.find("stopped", None).set_tags({"mlflow.runName": "stopped before"})  # the name is used again


def test_patience_is_asked_anew() -> None:
    # Rate 0: the first epoch is the best, the others are no better.
    run = first("optimizer.lr=0.0", "training.epochs=10", "training.patience=2").run
    before = curves(run)
    assert len(before["val/loss"]) == 3
    for given in ((), ("training.patience=1",)):
        assert again(run, *given).run.status == "FINISHED"
        assert curves(run) == before
    again(run, "training.patience=4")
    assert len(run.history("val/loss")) == 5
    again(run, "training.patience=null")
    assert len(run.history("val/loss")) == 10


# -- going on --------------------------------------------------------------------------------------------------------


def test_the_rest_of_a_training_may_change() -> None:
    run = first("noise=masking", "regularizer=l1", "bottleneck=gaussian", "schedule=cosine").run
    given = ("training.epochs=5", "optimizer.lr=0.01", "noise.masking.share=0.2", "regularizer.l1.weight=0.1")
    result = again(run, *given, "model.bottleneck.beta=2.0", "training.batch_size=100", "training.keep=last")
    assert [step for step, _ in run.history("val/loss")] == [4, 8, 12, 14, 16]
    assert run.read_config()["model"]["bottleneck"]["beta"] == 2.0
    assert result.parts.learner.keep_best.weights == {}  # type: ignore[attr-defined]


def test_a_training_that_changed_on_the_way_is_taken_for_no_other() -> None:
    run = first("optimizer.lr=0.002").run
    key = run.tags["machine.config_hash"]
    again(run, "optimizer.lr=0.02", "training.epochs=4")
    changed = run.tags["machine.config_hash"]
    assert changed not in (key, first("optimizer.lr=0.02", "training.epochs=4").run.tags["machine.config_hash"])
    again(run)  # as it is by now
    assert run.tags["machine.config_hash"] == changed
    again(run, "optimizer.lr=0.002", "training.epochs=5")
    again(run, "optimizer.lr=0.02", "training.epochs=5")
    assert run.tags["machine.config_hash"] not in (key, changed)


def test_nothing_is_there_twice_after_a_kill_between_two_checkpoints() -> None:
    whole = first("callback.checkpoints.every=2").run

    class Die(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
            if trainer.current_epoch == 2:
                trainer.logger.run.flush()  # type: ignore[union-attr]
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first("callback.checkpoints.every=2", callbacks=(Die(),))
    (run,) = [each for each in _runs() if each.status == "KILLED" and each.id != whole.id][:1]
    assert [step for step, _ in run.history("val/loss")] == [4, 8, 12]
    again(run)
    assert curves(run) == curves(whole)


def _runs() -> list[Run]:
    from hourglass.tracking import resolve_uri, search_runs

    uri = resolve_uri(None)
    return [Run.find(each.info.run_id, uri) for each in search_runs(uri, None, "tags.kind = 'training'")]


@pytest.mark.parametrize("reference", ["0123456789", "none"])
def test_no_such_run(reference: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", f"resume={reference}"]) == 2
    assert re.search(r"resume: run '.*' is not in sqlite", capsys.readouterr().err)


def test_a_run_without_a_checkpoint_is_left_alone() -> None:
    class Early(pl.Callback):
        def on_train_start(self, *_: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first("name=early", callbacks=(Early(),))
    run = Run.find("early", None)
    before = trace(run)
    with pytest.raises(ValueError, match=f"holds no '{CHECKPOINT}', it holds config.yaml"):
        again(run)
    assert trace(run) == before
