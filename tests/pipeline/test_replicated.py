"""One model on several devices: the numbers of one, everything recorded once, and what can't be shared is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

import hourglass
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import compose
from hourglass.pipeline.train import Result, train
from hourglass.system.errors import Diverged, HourglassError
from hourglass.tracking import initialise_store, search_runs
from hourglass.training.replicas import Replicas

pytestmark = pytest.mark.usefixtures("fork_server_of_its_own")

# 101 samples in batches of 20: the last has one, and a device none of it.
SMALL = ("data=digits", "data.train_size=101", "data.test_size=40", "training.batch_size=20", "model.code_size=6")
QUIET = ("callback=[quick,pictures]", "training.log_every_n_steps=2", "trainer.accelerator=cpu", "training.epochs=2")
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


def run_of(*words: str, devices: int) -> Result:
    chosen = [*SMALL, *QUIET, f"trainer.devices={devices}", "trainer.strategy=ddp", *words]
    config, choices = compose_config(chosen)
    return train(config, choices=choices, folder=Path.cwd())


def curves(result: Result) -> dict[str, list[tuple[int, float]]]:
    return {key: result.run.history(key) for key in result.run.metrics if key not in TIMES}


def learned(result: Result) -> dict[str, list[tuple[int, float]]]:
    return {key: points for key, points in curves(result).items() if key.startswith(("train/", "val/"))}


@pytest.mark.long
@pytest.mark.parametrize(
    "words",
    [
        ("noise=masking", "schedule=cosine", "training.gradient_clip=0.01", "regularizer=contractive"),
        ("bottleneck=top_k", "model.bottleneck.k=2", "regularizer=revival", "regularizer.revival.after=2"),
        ("training=recirculation", "noise=gaussian", "noise.frozen=true"),
    ],
)
def test_two_devices_give_the_numbers_of_one(words: tuple[str, ...], uri: str) -> None:
    before = len(search_runs(uri, None, ""))
    one, two = run_of(*words, devices=1), run_of(*words, devices=2)
    assert len(search_runs(uri, None, "")) == before + 2
    mine, theirs = curves(one), curves(two)
    assert mine.keys() == theirs.keys()
    for key, points in mine.items():
        assert [step for step, _ in points] == [step for step, _ in theirs[key]], key
        assert [value for _, value in points] == pytest.approx([value for _, value in theirs[key]], rel=2e-3), key
    for name, weight in one.parts.model.state_dict().items():
        torch.testing.assert_close(weight, two.parts.model.state_dict()[name], rtol=1e-3, atol=1e-5, msg=name)
    pictures = [
        sorted(path.name.split("%")[0] for path in each.run.artifact("images").iterdir()) for each in (one, two)
    ]
    assert len(pictures[0]) == len(pictures[1]) > 0


@pytest.mark.long
def test_a_resumed_training_goes_on_bit_by_bit() -> None:
    """Its code is drawn on each device from a stream that the step says."""
    words = ("bottleneck=gaussian", "loss.reduction=sum", "noise=masking", "schedule=plateau", "schedule.patience=0")
    words = (*words, "callback=[quick,checkpoints]", "training.keep=last")
    whole = run_of(*words, "training.epochs=3", devices=2)
    cut = run_of(*words, "training.epochs=2", devices=2)
    again = run_of(*words, "training.epochs=3", f"resume={cut.run.id}", devices=2)
    assert again.run.id == cut.run.id
    for name, weight in whole.parts.learner.state_dict().items():
        assert torch.equal(weight, again.parts.learner.state_dict()[name]), name
    assert learned(whole) == learned(again)


def test_arrays_from_python_reach_every_device() -> None:
    x = np.random.default_rng(0).random((60, 5), dtype=np.float32)
    asked = {"trainer.devices": 2, "trainer.accelerator": "cpu", "training.batch_size": 10}
    threads = torch.get_num_threads()
    fits = [
        hourglass.fit(x, code_size=2, epochs=2, callback="quick", tracking="none", overrides={**asked, **devices})
        for devices in ({}, {"trainer.devices": 1})
    ]
    assert torch.get_num_threads() == threads
    assert not torch.distributed.is_initialized()
    np.testing.assert_allclose(*(each.reconstruct(x) for each in fits), rtol=1e-4, atol=1e-6)


def test_a_divergence_ends_all() -> None:
    with pytest.raises(Diverged, match="diverged"):
        run_of("optimizer=sgd", "optimizer.lr=1e30", devices=2)


def test_what_fails_on_another_device_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "watching.py").write_text(
        "import multiprocessing\n"
        "import pytorch_lightning as pl\n\n\n"
        "class Watch(pl.Callback):\n"
        "    def on_train_epoch_end(self, trainer, module):\n"
        "        if multiprocessing.parent_process() is not None:\n"
        "            raise RuntimeError('no room on the second device')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(HourglassError, match=r"trainer.devices=2: one of the devices failed: .*no room on the second"):
        run_of("+trainer.callbacks=[{_target_:watching.Watch}]", devices=2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["regularizer=decorrelation"], "Decorrelation goes by the whole of it: set trainer.devices=1"),
        (["regularizer=l1", "regularizer.l1.reduction=batch"], "L1 goes by the whole"),
        (["bottleneck=batch_top_k", "model.bottleneck.k=2"], "BatchTopK goes by the whole"),
        (["bottleneck=vector_quantized", "model.bottleneck.dimension=2"], "VectorQuantized"),
        (["training=layerwise", "model=multilayer", "model.code_size=4", "noise=masking"], "Layerwise trains on 1"),
        (["training.batch_size=1"], "training.batch_size must be at least trainer.devices=2"),
    ],
)
def test_what_goes_by_the_whole_batch_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(HourglassError) as refused:
        compose(compose_config([*SMALL, "trainer.accelerator=cpu", "trainer.devices=2", *words])[0])
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_closed_form_has_no_steps_to_share() -> None:
    with pytest.raises(HourglassError, match="ClosedForm trains on 1, because it makes no steps by batches"):
        compose(compose_config(["data=digits", "model=pca", "trainer.accelerator=cpu", "trainer.devices=2"])[0])


def test_every_sample_of_a_batch_is_some_devices() -> None:
    for samples in (1, 2, 3, 7, 20):
        devices = [Replicas(rank=rank, count=3) for rank in range(3)]
        shares = [(each.take(samples), each.weight) for each in devices]
        assert sum(weight for _, weight in shares) == pytest.approx(1)
        assert [row for rows, weight in shares if weight for row in range(rows.start, rows.stop)] == list(
            range(samples)
        )
        assert all(rows.stop > rows.start for rows, _ in shares)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_gpus_give_the_numbers_of_one() -> None:
    words = ("trainer.accelerator=gpu", "noise=masking", "callback=quick")
    one, two = run_of(*words, devices=1), run_of(*words, devices=2)
    assert two.metrics["test/mse"] == pytest.approx(one.metrics["test/mse"], rel=1e-3)
