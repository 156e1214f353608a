"""The other devices of a training, each in a process of its own that the first one starts and ends.

The first is the process that a person started: it alone has a run, measures and records. The others make their share
of every step (`training.replicas`), and end with it, however it ends. They meet through a file, and talk over gloo on
CPUs and NCCL on GPUs, on this machine only.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf

from hourglass.data import Dataset
from hourglass.system import fork_server, process
from hourglass.system.environment import restored
from hourglass.system.errors import Diverged, HourglassError
from hourglass.system.fork_server import Child
from hourglass.training import Learner
from hourglass.training.replicas import Replicas

LONGEST = timedelta(hours=2)
"""That one device waits for another, which may be drawing, or waiting for the store."""


class Order(NamedTuple):
    """What a process needs to be one of the devices."""

    config: dict[str, Any]
    """The whole configuration, resolved."""
    rank: int
    """Which it is, from 1."""
    folder: str
    """Where it finds what the first has put there: `data`, `checkpoint`, and the file to meet by."""


@contextmanager
def replicated(
    config: DictConfig, learner: Learner, *, data: Dataset | None, checkpoint: dict[str, Any] | None
) -> Iterator[None]:
    """Within, the other devices of a training are there, and a fit is made by all.

    Args:
        config: the whole configuration.
        learner: the first device's.
        data: the data set, where the configuration alone doesn't make it; None: each reads its own.
        checkpoint: what the training goes on from.

    Raises:
        HourglassError: another device failed, with its reason.
    """
    count = learner.replicas.count
    if count == 1:
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="hourglass-devices-"))
    threads = torch.get_num_threads()
    children: list[Child] = []
    try:
        if data is not None:
            torch.save(data, folder / "data")
        if checkpoint is not None:
            torch.save(checkpoint, folder / "checkpoint")
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        fork_server.start(("hourglass.pipeline.train",))
        share = max(1, threads // count)
        for rank in range(1, count):
            order = Order(plain, rank, str(folder))
            children.append(Child(follow, order, threads=share, environment={}))
        _await(children, folder, count)
        torch.set_num_threads(share)
        with _joined(learner.replicas, folder, _device(config, 0)):
            yield
        for child in children:
            if (answer := child.answer()).failure is not None:
                raise HourglassError(_failed(count, answer.failure), trace=answer.trace)
    except (HourglassError, KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:
        # Where one ends, the others hear that its connection is closed: what ended it is what to say.
        for child in children:
            if child.receiver.poll(2.0) and (answer := child.answer()).failure is not None:
                raise HourglassError(_failed(count, answer.failure), trace=answer.trace) from error
        raise
    finally:
        torch.set_num_threads(threads)
        fork_server.end(children, patience=0.0)  # they hold nothing
        shutil.rmtree(folder, ignore_errors=True)


def follow(order: Order) -> None:
    """Be one of the devices, from the first step of a fit to its last."""
    import pytorch_lightning as pl

    from hourglass.callbacks import CHECKPOINT, CheckpointsOfRun
    from hourglass.configuration.build import build
    from hourglass.configuration.resolvers import register_resolvers
    from hourglass.pipeline.compose import compose
    from hourglass.pipeline.trainer import make_trainer
    from hourglass.tracking.unrecorded import UnrecordedRun
    from hourglass.training.lightning_internals import checkpoint_with

    register_resolvers()
    process.before_training()
    process.silence_libraries()
    folder = Path(order.folder)
    config = OmegaConf.create(order.config)
    # The weights come from the first device, and what measures, draws and records is its own affair.
    config.update(start=None, resume=None, sampler={"_target_": "hourglass.samplers.NoSampler"})
    ours = [name for name, node in config.callback.items() if str(node["_target_"]).startswith("hourglass.")]
    config.callback = {name: node for name, node in config.callback.items() if name not in ours}
    pl.seed_everything(config.seed, verbose=False)
    held = folder / "data"
    data = torch.load(held, weights_only=False) if held.exists() else build(config.data)
    learner = compose(config, data=data, rank=order.rank).learner
    trainer = make_trainer(config, folder=folder, rank=order.rank)
    earlier = folder / "checkpoint"
    known = torch.load(earlier, map_location="cpu", weights_only=True) if earlier.exists() else None
    checkpoint_with(trainer, CheckpointsOfRun(run=UnrecordedRun(name="", tags={}, params={}), earlier=known))
    (folder / f"ready-{order.rank}").touch()
    try:
        with _joined(learner.replicas, folder, _device(config, order.rank)):
            trainer.fit(learner, ckpt_path=CHECKPOINT if known else None)
    except Diverged:
        pass  # as on the first device, which says so


def _await(children: Sequence[Child], folder: Path, count: int) -> None:
    """Wait until all are ready: to meet, which can't be cut off, takes no time then."""
    while not all((folder / f"ready-{rank}").exists() for rank in range(1, count)):
        for child in children:
            if child.receiver.poll():
                answer = child.answer()
                raise HourglassError(_failed(count, answer.failure or "ended early"), trace=answer.trace)
        time.sleep(0.05)


def _failed(count: int, failure: str) -> str:
    return f"trainer.devices={count}: one of the devices failed: {failure}"


def _device(config: DictConfig, rank: int) -> torch.device:
    from hourglass.pipeline.trainer import place

    return place(config.trainer, rank)


@contextmanager
def _joined(replicas: Replicas, folder: Path, device: torch.device) -> Iterator[None]:
    """Within, the devices can talk to each other."""
    gpu = device.type == "cuda"
    if gpu:
        torch.cuda.set_device(device)
    with restored("GLOO_SOCKET_IFNAME"):
        # This machine's own way to itself: the name of the machine may lead nowhere.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo" if sys.platform == "linux" else "lo0")
        torch.distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if gpu else "gloo",
            init_method=f"file://{folder}/meeting",
            rank=replicas.rank,
            world_size=replicas.count,
            timeout=LONGEST,
        )
    replicas.joined = True
    try:
        yield
    finally:
        replicas.joined = False
        torch.distributed.destroy_process_group()
