"""Recording: what a run keeps besides its losses and metrics, as configured by the group `tracking`."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from typing_extensions import override

from hourglass.configuration.identity import config_hash
from hourglass.configuration.trust import check_recordable
from hourglass.pipeline.compose import Parts
from hourglass.pipeline.description import describe
from hourglass.pipeline.naming import command_line, run_name
from hourglass.pipeline.resume import Earlier
from hourglass.system.passwords import redacted
from hourglass.tracking import Run, flatten, initialise_store, log_model, mark_dead_runs, resolve_uri
from hourglass.tracking.machine import CONFIG_HASH, GIT_DIRTY, GIT_SHA, machine_tag
from hourglass.tracking.mlflow_internals import NOTE
from hourglass.tracking.model import check_loggable, check_name
from hourglass.tracking.unrecorded import UnrecordedRun
from hourglass.trained.served import about
from hourglass.trained.table_model import in_own_units
from hourglass.trained.target import Target


class Recorder:
    """What is recorded of a run, and where.

    Args:
        uri: tracking server or database; null: MLFLOW_TRACKING_URI, else mlflow.db in the current directory.
        experiment: name of the MLflow experiment.
        log_every_n_steps: optimizer steps between two points of a training curve; the training procedure reads it.
        log_model: whether an MLflow model with a signature is logged too.
        register: the registered model that it becomes a new version of; null: of none.
    """

    def __init__(
        self,
        *,
        uri: str | None,
        experiment: str,
        log_every_n_steps: int,
        log_model: bool,
        register: str | None = None,
    ) -> None:
        if log_every_n_steps < 1:
            raise ValueError(f"log_every_n_steps must be at least 1, got {log_every_n_steps}")
        if not experiment:
            raise ValueError("experiment must be a name, got ''")
        if not experiment.strip(".") or not experiment.isprintable() or len(experiment.encode()) > 200:
            # A folder is called by it.
            raise ValueError(f"experiment must be a name of at most 200 printable characters, got {experiment[:200]!r}")
        if register is not None:
            check_name(register, key="register")
        self.uri = uri
        self.experiment = experiment
        self.log_model = log_model
        self.register = register

    def open(
        self,
        config: DictConfig,
        *,
        choices: Mapping[str, str],
        parts: Parts,
        parent: str | None,
        varied: Sequence[str],
        words: Sequence[str],
        earlier: Earlier | None,
    ) -> Run:
        """Start the run of a configuration, or go on with an earlier one, which has been compared with it.

        `parent` is a study's run, `varied` the overrides that tell this one from the study's others, `words` all.
        """
        if self.log_model or self.register is not None:
            check_loggable(parts.model)
        uri = resolve_uri(self.uri)
        resolved: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        if self.uri:
            resolved["tracking"]["uri"] = redacted(self.uri)
        check_recordable(resolved)
        tags = {**choices, **code_version(), CONFIG_HASH: _hash(resolved, earlier), "kind": "training"}
        if config.study:
            tags["study"] = config.study
        if earlier is not None:
            run = Run.resume(earlier.run.id, uri=earlier.run.uri, after=earlier.steps)
        else:
            if parent is None:  # else the sweep has seen to it
                initialise_store(uri)
                mark_dead_runs(uri, self.experiment)
            run = Run.start(
                uri=uri,
                experiment=self.experiment,
                name=_name(config, choices, parts, varied),
                tags={**tags, **_command(words)},
                params=flatten(resolved),
                parent_id=parent,
            )
        try:
            if earlier is not None:
                run.set_tags(tags)
            else:
                run.log_dataset(parts.data.name, parts.data.digest, parts.data.sizes)
            run.log_text(yaml.safe_dump(resolved, sort_keys=False), "config.yaml")
        except BaseException as error:
            run.give_up(error)
            raise
        return run

    def close(self, run: Run, parts: Parts) -> None:
        """Record the weights and what is known at the end."""
        learner, model, data = parts.learner, parts.model, parts.data
        run.log_metrics(
            {
                "time/fit_seconds": learner.seconds,
                "time/steps_per_second": learner.steps_done / learner.seconds if learner.seconds else 0.0,
                "model/parameters": sum(weight.numel() for weight in model.parameters()),
                "model/code_size": model.code_size,
                **{f"data/{name}": value for name, value in data.statistics.items()},
            },
            step=learner.steps_done,
        )
        run.log_weights(model.state_dict(), metadata=data.metadata)
        for name, network in learner.auxiliary_networks().items():
            run.log_weights(network.state_dict(), f"{name}.safetensors")
        run.flush()
        picture = run.described[0] if run.described else None
        run.set_tags({NOTE: describe(run_id=run.id, metrics=run.metrics, tags=run.tags, picture=picture)})
        if self.log_model or self.register is not None:
            samples = data.scaled(data.train.x[:2])
            example = samples if data.scaling is None else data.scaling.undo(samples)
            log_model(
                run,
                in_own_units(model.cpu(), data.scaling, Target.of(data)),
                example,
                register=self.register,
                about=about(data.range, data.columns, in_units=data.scaling is not None),
            )


class NoRecorder(Recorder):
    """Keeps nothing: its run is in memory, and no file is made."""

    def __init__(self) -> None:
        super().__init__(uri=None, experiment="none", log_every_n_steps=1, log_model=False)

    @override
    def open(
        self,
        config: DictConfig,
        *,
        choices: Mapping[str, str],
        parts: Parts,
        parent: str | None,
        varied: Sequence[str],
        words: Sequence[str],
        earlier: Earlier | None,
    ) -> Run:
        resolved: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        check_recordable(resolved)
        run = UnrecordedRun(name=_name(config, choices, parts, varied), tags=choices, params=flatten(resolved))
        run.log_dataset(parts.data.name, parts.data.digest, parts.data.sizes)
        return run


def _name(config: DictConfig, choices: Mapping[str, str], parts: Parts, varied: Sequence[str]) -> str:
    return run_name(config, choices, code_size=parts.model.code_size, data=parts.data.name, varied=varied)


def _hash(resolved: Mapping[str, Any], earlier: Earlier | None) -> str:
    """What a run computes, by which it is found again: never as a whole training where it changed on the way."""
    if earlier is None:
        return config_hash(resolved)
    before = machine_tag(earlier.run.tags, CONFIG_HASH) or config_hash(earlier.config)
    if config_hash(resolved) == config_hash(earlier.config):
        return before
    return config_hash({**resolved, "resumed": [before, earlier.steps]})


def _command(words: Sequence[str]) -> dict[str, str]:
    """How it was asked for, as a tag; nothing where that was in Python."""
    return {"command": command_line(words)} if words else {}


@cache
def code_version() -> dict[str, str]:
    """Tags that say which code ran: the commit, and whether the files differed from it.

    Asked once in a process, and by a sweep's fork server for all of its jobs: what has been imported stays as it is.
    """
    source, program = Path(__file__).resolve().parent, shutil.which("git")

    def git(*words: str) -> str:
        if program is None:
            return ""
        result = subprocess.run([program, "-C", str(source), *words], capture_output=True, text=True, check=False)
        return result.stdout.strip() if result.returncode == 0 else ""

    tags = {"hourglass_version": version("hourglass")}
    if sha := git("rev-parse", "HEAD"):
        tags |= {GIT_SHA: sha, GIT_DIRTY: str(bool(git("status", "--porcelain"))).lower()}
    return tags
