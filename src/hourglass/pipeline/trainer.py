"""Lightning's `Trainer` as a node of the configuration: which of its keys work here, and what to use for the others.

The training set comes in chunks of many batches, optimizer steps are made by hand, and epochs, clipping and records
have keys of their own. So a key of Lightning's that would count chunks, or be ignored, is refused with the key that
does what was meant.
"""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, open_dict

from hourglass.callbacks import in_order
from hourglass.configuration.build import build
from hourglass.configuration.schema import not_chosen
from hourglass.configuration.trust import ONLY_TRAINING
from hourglass.system.devices import check_cuda, device_count
from hourglass.system.errors import HourglassError

ONE_MACHINE = "the devices that train one model are those of one machine"
HALF = ("16-mixed", "16", 16)
"""Precisions of 16 bits with few exponents, whose loss is scaled."""
IN_MEMORY = "data are in memory, in the same arrays every epoch"

ONLY: dict[str, tuple[tuple[Any, ...], str]] = {
    "accelerator": (("auto", "cpu", "gpu", "cuda", "mps"), ""),
    "strategy": (("auto", "ddp"), "each device has the whole model, and a share of every batch"),
    "num_nodes": ((1,), ONE_MACHINE),
    "sync_batchnorm": ((False,), "a layer that goes by the whole batch trains on one device"),
    "precision": (
        ("32-true", "bf16-mixed", "16-mixed", "64-true", "bf16", "16", "32", "64", 16, 32, 64, None),
        "weights of 16 bits lose small changes",
    ),
    "deterministic": ((True, False, "warn", None), ""),
    "benchmark": ((True, False, None), ""),
    "detect_anomaly": ((True, False), ""),
    "enable_checkpointing": ((True, False), ""),
    "enable_progress_bar": ((True, False), ""),
    "logger": ((None, False), "runs are recorded by MLflow: see tracking"),
    "default_root_dir": ((None,), "a run keeps its files itself"),
    "log_every_n_steps": ((None,), "use tracking.log_every_n_steps"),
    "model_registry": ((None,), "use tracking.log_model"),
    "enable_autolog_hparams": ((True,), "every key is recorded"),
    "enable_model_summary": ((False,), "a training ends with its number of parameters"),
    "barebones": ((False,), "use callback=quick"),
    "fast_dev_run": ((False,), "use training.max_steps, as training.max_steps=1"),
    "min_epochs": ((None,), "use training.epochs, and training.patience for an early end"),
    "max_steps": ((-1,), "use training.max_steps"),
    "min_steps": ((None,), "use training.max_steps, and training.patience for an early end"),
    "limit_train_batches": ((None, 1.0), "use training.max_steps for fewer steps, data.train_size for fewer samples"),
    "limit_val_batches": ((None, 1.0), "use data.validation_size"),
    "limit_test_batches": ((None, 1.0), "use data.test_size"),
    "limit_predict_batches": ((None, 1.0), "nothing is predicted here: see hourglass encode"),
    "overfit_batches": ((0.0, 0), "use data.train_size"),
    "val_check_interval": ((None, 1.0), "validation comes after an epoch: see trainer.check_val_every_n_epoch"),
    "num_sanity_val_steps": ((0,), "the first validation comes after the first epoch"),
    "accumulate_grad_batches": ((1,), "use training.batch_size"),
    "gradient_clip_val": ((None,), "use training.gradient_clip"),
    "gradient_clip_algorithm": ((None,), "training.gradient_clip clips by the norm"),
    "inference_mode": ((False,), "penalties on derivatives are measured too"),
    "reload_dataloaders_every_n_epochs": ((0,), IN_MEMORY),
}
"""The values that a key may have, and what to use instead of others. Keys that are not here work as Lightning says:
`callbacks`, `check_val_every_n_epoch`, `max_time`, `plugins`, `use_distributed_sampler`."""


def check_trainer(trainer: Mapping[str, Any], *, epochs: Any) -> None:
    """Refuse what would not do what its name says.

    Args:
        trainer: the node of the configuration.
        epochs: `training.epochs`.

    Raises:
        HourglassError: a key or value that has no place here, in one line with what has; a GPU that isn't there.
    """
    for key, (allowed, instead) in ONLY.items():
        value = _value(trainer, key)
        if not _is_among(value, allowed):
            raise HourglassError(
                f"trainer.{key} must be {_one_of(allowed)}, got {value}{f': {instead}' if instead else ''}"
            )
    _check_device(trainer)
    if isinstance(profiler := _value(trainer, "profiler"), str):
        raise HourglassError(
            f"trainer.profiler must be an object with a file to write to, got {profiler}: use"
            " '+trainer.profiler={_target_:pytorch_lightning.profilers.SimpleProfiler,dirpath:.,filename:times}'"
        )
    if type(epochs) is not int:
        return  # which is said where the training procedure is built
    limit = _value(trainer, "max_epochs")
    if limit not in (epochs, None):
        raise HourglassError(f"trainer.max_epochs must be training.epochs={epochs}, got {limit}: use training.epochs")
    every = _value(trainer, "check_val_every_n_epoch")
    if type(every) is not int or not 1 <= every <= max(1, epochs):
        raise HourglassError(
            f"trainer.check_val_every_n_epoch must be a whole number from 1 to training.epochs={epochs}, got {every}"
        )


def _value(trainer: Mapping[str, Any], key: str) -> Any:
    return trainer.get(key, inspect.signature(pl.Trainer).parameters[key].default)


def _is_among(value: Any, allowed: Sequence[Any]) -> bool:
    """Whether a value is one of these, of the same type: 1 is a single batch, 1.0 all of them."""
    return any(type(value) is type(each) and value == each for each in allowed)


def _one_of(allowed: Sequence[Any]) -> str:
    words = ["null" if each is None else str(each).lower() for each in allowed]
    return words[0] if len(words) == 1 else f"one of {', '.join(dict.fromkeys(words))}"


def _check_device(trainer: Mapping[str, Any]) -> None:
    accelerator, devices = _value(trainer, "accelerator"), _value(trainer, "devices")
    check_cuda(accelerator, there=torch.cuda.is_available())
    gpus = 0 if accelerator in ("cpu", "mps") else torch.cuda.device_count()
    if _value(trainer, "precision") in HALF and not gpus:
        raise HourglassError(
            f"trainer.precision={trainer['precision']} needs a CUDA device; set trainer.precision=bf16-mixed or 32-true"
        )
    which = list(devices) if isinstance(devices, Sequence) and not isinstance(devices, str) else None
    if which and all(type(each) is int for each in which) and len(set(which)) == len(which):
        if not 0 <= min(which) <= max(which) < gpus:
            raise HourglassError(f"trainer.devices={devices} names a GPU, and there are {gpus} here: use 1")
    elif type(devices) is not int or devices < 1:
        raise HourglassError(
            f"trainer.devices must be a whole number of at least 1, or a list of GPUs by their numbers from 0, got"
            f" {devices}"
        )
    elif devices > max(1, gpus) and (gpus or accelerator == "mps"):
        raise HourglassError(f"trainer.devices must be at most {max(1, gpus)}, the GPUs that are here, got {devices}")


def place(trainer: Mapping[str, Any], rank: int) -> torch.device:
    """Where one of several devices is."""
    if _value(trainer, "accelerator") == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    devices = _value(trainer, "devices")
    return torch.device("cuda", rank if isinstance(devices, int) else devices[rank])


def make_trainer(
    config: DictConfig, *, folder: Path | None = None, callbacks: Sequence[pl.Callback] = (), rank: int = 0
) -> Any:
    """The `pl.Trainer` of a configuration, with all its callbacks.

    Of several devices each has one of its own, that knows of no other: what they share, the learner sees to.

    Args:
        config: the whole configuration, of which `trainer` and `callback` are used here.
        folder: where callbacks put files; None: nowhere yet.
        callbacks: others that watch.
        rank: which of several devices it is for.

    Raises:
        HourglassError: see `hourglass.configuration.build.build`; a callback that is none.
    """
    chosen = [*make_callbacks(config.callback), *callbacks, *_own_callbacks(config.trainer)]
    node = config.trainer.copy()
    with open_dict(node):
        node.pop("callbacks", None)
        node.pop("strategy", None)
        if device_count(node) > 1:
            where = place(node, rank)
            node.devices = 1 if where.index is None else [where.index]
    if any(isinstance(callback, pl.callbacks.Checkpoint) for callback in chosen):
        node.enable_checkpointing = True  # without it Lightning refuses them
    files = None if folder is None else str(folder)
    return build(node, callbacks=in_order(chosen), logger=False, default_root_dir=files)


def make_callbacks(group: DictConfig) -> list[pl.Callback]:
    """The callbacks of the group `callback`, in the order in which they were chosen.

    Raises:
        HourglassError: one that has values but was not chosen, or is no callback of Lightning's.
    """
    made = []
    for name, node in ((str(key), value) for key, value in group.items()):
        if not isinstance(node, DictConfig) or "_target_" not in node:
            raise not_chosen("callback", name)
        made.append(_made(node, f"callback.{name}"))
    return made


def _own_callbacks(trainer: DictConfig) -> list[pl.Callback]:
    """Those that the trainer's node names, one, a list or by name."""
    own = trainer.get("callbacks")
    return [_made(node, "trainer.callbacks") for node in ([] if own is None else _nodes(own))]


def _made(node: DictConfig, key: str) -> pl.Callback:
    callback = build(node)
    if not isinstance(callback, pl.Callback):
        raise HourglassError(f"{key} must be a callback of Lightning, got {node._target_}")
    return callback


def _nodes(own: Any) -> list[DictConfig]:
    found = (
        [own]
        if isinstance(own, DictConfig) and "_target_" in own
        else list(own.values() if isinstance(own, DictConfig) else own)
    )
    for each in found:
        if not isinstance(each, DictConfig) or "_target_" not in each:
            raise HourglassError(
                "trainer.callbacks must be a list of objects, as '+trainer.callbacks=[{_target_:mypackage.Watch}]',"
                f" got {each}"
            )
    return found


def measuring(config: DictConfig) -> DictConfig:
    """The node for a test alone, of a recorded run: without what only training asks for, or what has no place here."""
    node = config.copy()
    with open_dict(node):
        for key in (*ONLY_TRAINING, "check_val_every_n_epoch", "max_epochs", "max_time"):
            node.pop(key, None)
        for key, (allowed, _) in ONLY.items():
            if key in node and not _is_among(node[key], allowed):
                node[key] = allowed[0]
        # Whatever it was trained on, it is measured on what is here, as every training measures.
        node.update(accelerator="auto", devices=1, strategy="auto", precision="32-true")
    return node
