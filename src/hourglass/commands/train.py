"""`hourglass train` as a Hydra application, with Hydra's errors in one line."""

import logging
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from hourglass.commands.flags import arranged
from hourglass.configuration.build import build
from hourglass.configuration.composition import check_hydra, check_top, update
from hourglass.configuration.groups import chosen, conf_dir
from hourglass.configuration.hydra_internals import files_read_once
from hourglass.configuration.overrides import explain
from hourglass.configuration.resolvers import register_resolvers
from hourglass.system import process
from hourglass.system.environment import restored
from hourglass.system.errors import HourglassError

log = logging.getLogger("hourglass")


def run(words: list[str]) -> int:
    """Run `hourglass train` with these words; returns the exit code."""
    words, held = _held(arranged(words))
    register_resolvers()
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    failures: list[HourglassError] = []

    def job(config: DictConfig) -> None:
        try:
            _job(config, held)
        except Exception as error:
            expected = isinstance(error, HourglassError | OmegaConfBaseException) or _is_of_lightning(error)
            if wants_traceback or not expected:
                raise
            failure = error if isinstance(error, HourglassError) else HourglassError(explain(error))
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                # This may be another process, so it is raised; and said here, as Hydra tells of the first one only.
                log.error("failed   %s: %s", " ".join(HydraConfig.get().overrides.task), failure)
                raise JobFailed(str(failure)) from error
            failures.append(failure)  # raised, Hydra would say it too

    sys.argv = ["hourglass train", *words]
    application = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(job)
    try:
        with restored("HYDRA_FULL_ERROR"), files_read_once():  # Hydra composes twice, to learn its own mode first
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its exceptions over instead of printing them itself
            application()
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        if wants_traceback:
            raise
        raise HourglassError(explain(error)) from error
    except OSError as error:
        if wants_traceback or not _is_of_hydra(error):
            raise
        raise HourglassError(f"hydra.run.dir or hydra.sweep.dir can't be made: {error}") from error
    if failures:
        raise failures[0]
    return 0


LIGHTNING = ("pytorch_lightning.", "lightning_fabric.")


def _raised_in(error: BaseException) -> list[str]:
    """The modules through which an error came, the one that raised it last."""
    return [str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(error.__traceback__)]


def _is_of_lightning(error: BaseException) -> bool:
    """Whether Lightning itself complains: of a callback's settings, or of what doesn't go with its trainer."""
    return _raised_in(error)[-1].startswith(LIGHTNING)


def _is_of_hydra(error: BaseException) -> bool:
    """Whether Hydra could not make a folder of its own."""
    return [name for name in _raised_in(error) if name != "pathlib"][-1].startswith("hydra.")


class JobFailed(HourglassError):  # noqa: N818 - says what happened
    """A job failed of a sweep with another launcher than ours; the others ran."""

    exit_code = 1


def _held(words: list[str]) -> tuple[list[str], list[str]]:
    """The words that Hydra composes, and those that a resumed run is given.

    What that has been composed of, Hydra doesn't know.
    """
    resumes = any(word.startswith("resume=") and word not in ("resume=", "resume=null") for word in words)
    if not resumes or any(word.startswith("--cfg") for word in words):
        return words, []
    if "--multirun" in words:
        raise HourglassError("-m trains new models: leave out -m to go on with a run (resume=...)")
    own = ("--", "resume=", "tracking.uri=", "hydra")
    held = [word for word in words if not word.lstrip("+~").startswith(own)]
    return [word for word in words if word not in held], [
        word for word in words if not word.startswith(("--", "hydra"))
    ]


def _job(config: DictConfig, held: list[str]) -> None:
    """One training: compose, fit, test, record, and say where to look."""
    register_resolvers()  # another launcher may have sent it to a process that doesn't know them
    context = HydraConfig.get()
    if context.mode == RunMode.RUN and sys.stderr.isatty():  # what follows takes seconds, in which a person waits
        log.info("%s: starting", _subject(config, context.runtime.choices))
    with process.importing():
        from hourglass.commands.summary import summary
        from hourglass.pipeline.train import train
        from hourglass.tracking.retries import import_mlflow

        import_mlflow()
    process.raise_at_sigterm()

    check_top(config)
    check_hydra(context)
    choices = chosen(config, context.runtime.choices)
    if config.resume:
        # Those of the composition at hand say nothing of the run, whose tags hold its own.
        config, choices = resumed(config, held), {}
    else:
        build(config.sweep)  # not used here, but a mistake in it is one
    result = train(config, choices=choices, folder=Path(context.runtime.output_dir), words=list(context.overrides.task))
    print(summary(result, folder=Path(context.runtime.output_dir)))


def _subject(config: DictConfig, choices: Mapping[str, str]) -> str:
    return f"resume={config.resume}" if config.resume else f"{choices['model']} on {choices['data']}"


def resumed(config: DictConfig, overrides: list[str]) -> DictConfig:
    """The configuration of the run to go on with, with the values (not the choices) that are given anew."""
    from hourglass.configuration.trust import recorded
    from hourglass.tracking import Run, resolve_uri

    try:
        run = Run.find(str(config.resume), resolve_uri(config.tracking.uri))
        stored = recorded(run, training=True)  # before the words, which are the person's own and free
    except HourglassError as error:
        raise HourglassError(f"resume: {error}") from error
    given = [override for override in overrides if not override.startswith("resume=")]
    for override in given:
        if "." not in override.partition("=")[0]:
            raise HourglassError(
                f"{override}: a resumed run keeps its choices; a value, as training.epochs, can change"
            )
    _follow(stored, OmegaConf.to_container(config))
    update(stored, given)
    stored.resume, stored.tracking.uri = run.id, config.tracking.uri  # where it was found
    return stored


def _follow(stored: DictConfig, node: Any, prefix: str = "") -> None:
    """Let the values of a resolved configuration that follow another one (`${training.epochs}`) do so again."""
    for name, value in node.items() if isinstance(node, dict) else ():
        key = f"{prefix}{name}"
        _follow(stored, value, f"{key}.")
        kept = OmegaConf.select(stored, key)
        if isinstance(value, str) and "${" in value and kept is not None:
            OmegaConf.update(stored, key, value)
            if OmegaConf.select(stored, key) != kept:  # it was given a value of its own
                OmegaConf.update(stored, key, kept)
