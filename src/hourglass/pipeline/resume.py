"""Going on with a training: what it left is read and compared before its run is opened.

A run that can't be gone on with as asked is refused in one line and stays as it is, to the last tag. What stays the
same is what the checkpoint holds, how many epochs and steps have been made, and which sample is in which split; how
the training goes on from there may change: learning rate, noise level, weights of penalties, epochs, patience.
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf

from hourglass.callbacks import CHECKPOINT
from hourglass.configuration.build import build
from hourglass.configuration.schema import declared_tensors
from hourglass.configuration.trust import recorded
from hourglass.pipeline.compose import Parts
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run, flatten, resolve_uri

_HELD = ("epoch", "state_dict", "optimizer_states", "callbacks", "loops", "pytorch-lightning_version")


class Earlier(NamedTuple):
    """What a training left."""

    run: Run
    config: dict[str, Any]
    """The configuration that it was recorded with."""
    checkpoint: dict[str, Any]
    """The state after its last whole epoch, as Lightning keeps it."""

    @classmethod
    def of(cls, reference: str, *, uri: str | None) -> "Earlier":
        """Read it, and write nothing.

        Raises:
            HourglassError: no such run, one that a process is writing, one without a checkpoint, a damaged file.
        """
        run = Run.find(reference, resolve_uri(uri))
        run.check_unused()
        config: dict[str, Any] = OmegaConf.to_container(recorded(run, training=True))  # type: ignore[assignment]
        return cls(run, config, run.read_file(CHECKPOINT, _read_checkpoint))

    @property
    def epochs(self) -> int:
        """Epochs that have been made."""
        return int(self.checkpoint["epoch"]) + 1

    @property
    def steps(self) -> int:
        """Optimizer steps that have been made."""
        own = self.checkpoint.get("minibatch") or self.checkpoint["closed_form"]
        return int(own["steps_done"])

    def check_config(self, config: DictConfig) -> None:
        """HourglassError unless a training with this configuration can go on from here, as far as its keys tell."""
        ours: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        free = {f"model.{key}" for key in _numbers(self.config["model"])}
        now = flatten(ours)
        for key, before in flatten(self.config).items():
            kept = key.startswith("model.") and key not in free
            if (kept or key.rpartition(".")[2] == "_target_") and now.get(key, before) != before:
                raise self._refusal(key, f"be {before}, as in the run {self.run.name}", now[key])
        training, before = ours["training"], self.config["training"]
        if training.get("keep") == "best" and before.get("keep", "best") != "best":
            raise self._refusal("training.keep", "be last: the run did not keep the weights of its best epoch", "best")
        for key, made in (("epochs", self.epochs), ("max_steps", self.steps)):
            if type(training.get(key)) is int and training[key] < made:  # what is no number, its schema refuses
                raise self._refusal(f"training.{key}", f"be at least {made}, which the run has", training[key])

    def check_parts(self, config: DictConfig, parts: Parts) -> None:
        """HourglassError unless the samples are the run's, split by split, and the checkpoint suits the parts."""
        digest = self.run.digest
        if digest is not None and not parts.data.digest.startswith(digest):
            moved = self._changed(config, "data")
            raise HourglassError(
                f"resume={self.run.id}: {moved} moves samples between training, validation and test, which must stay"
                f" those of the run {self.run.name}"
                if moved
                else f"resume={self.run.id}: data={parts.data.name} holds other samples than when the run"
                f" {self.run.name} was trained on it"
            )
        held = {name: tuple(value.shape) for name, value in self.checkpoint["state_dict"].items()}
        needed = {name: tuple(value.shape) for name, value in parts.learner.state_dict().items()}
        for name in [*held, *needed]:
            if held.get(name) != needed.get(name):
                self._refuse_state(config, f"{name} is {held.get(name)} in its checkpoint, here {needed.get(name)}")
        optimizers = parts.learner.optimizers_used()
        states = [
            state for state in self.checkpoint["optimizer_states"] if state
        ]  # none: Lightning holds one all the same
        if len(states) != len(optimizers):
            self._refuse_state(config, f"its checkpoint holds {len(states)} optimizers, here are {len(optimizers)}")
        for optimizer, state in zip(optimizers, states, strict=True):
            if (reason := _unsuited(optimizer, state, config.optimizer)) is not None:
                self._refuse_state(config, reason)

    def _refuse_state(self, config: DictConfig, reason: str) -> None:
        changed = self._changed(config, "training", "optimizer", "loss", "noise", "regularizer")
        raise HourglassError(
            f"resume={self.run.id}: {changed or 'this version'} asks for another state than the run {self.run.name}"
            f" has: {reason}"
        )

    def _refusal(self, key: str, what: str, got: object) -> HourglassError:
        return HourglassError(f"resume={self.run.id}: {key} must {what}, got {got}")

    def _changed(self, config: DictConfig, *groups: str) -> str:
        """`data.split_seed=1, data.test_size=20`: the values in some groups that the run did not have."""
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        then, now = (flatten({group: each[group] for group in groups}) for each in (self.config, plain))
        return ", ".join(f"{key}={value}" for key, value in now.items() if then.get(key) != value)


def _read_checkpoint(path: Path) -> dict[str, Any]:
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    if missing := [key for key in _HELD if key not in checkpoint]:
        raise ValueError(f"no {missing[0]}")
    return dict(checkpoint)


def _numbers(node: Any) -> list[str]:
    """The keys below a node of values that are weights of terms, levels and the like: tensors in their class."""
    if not isinstance(node, Mapping):
        return []
    own = declared_tensors(str(node.get("_target_", ""))) & node.keys()
    return [*own, *(f"{key}.{below}" for key, value in node.items() for below in _numbers(value))]


def _unsuited(optimizer: torch.optim.Optimizer, state: Mapping[str, Any], config: DictConfig) -> str | None:
    """Why an optimizer can't go on from a state, in one line; None where it can."""
    then, now = (
        [len(group["params"]) for group in groups] for groups in (state["param_groups"], optimizer.param_groups)
    )
    if then != now:
        return f"its checkpoint holds an optimizer of {then} weights, here it has {now}"
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for number, held in list(state["state"].items())[:1]:
        # Some settings, as amsgrad, let an optimizer remember more: a step of a copy of one weight shows it.
        copy = torch.zeros_like(weights[number], device="cpu", requires_grad=True)
        copy.grad = torch.zeros_like(copy)
        probe = build(config, params=[copy])
        probe.state[copy] = deepcopy(held)
        try:
            probe.step()
        except Exception as error:
            return f"{type(optimizer).__name__} needs more than its checkpoint holds, {', '.join(held)} ({error!r})"
    return None
