"""Trained models measured anew: on the test set of other data, under other noise.

What the model sees changes, the model doesn't. Rows of another table are scaled as the run's own were, so that a
metre stays a metre; errors and PSNR refer to the range of the data that it was trained on.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from omegaconf import DictConfig, OmegaConf

from hourglass import process
from hourglass.callbacks import Baselines, Progress, Usefulness
from hourglass.compose import compose
from hourglass.config import build, compose_config, update
from hourglass.data import Dataset
from hourglass.errors import HourglassError
from hourglass.tracking import Run, RunLogger, flatten
from hourglass.trained import Trained, recorded_by, restore
from hourglass.trainers import make_trainer, measuring

EVALUATED = ("data", "noise")
"""What an evaluation may change of a run: the groups that say what the model sees."""


def evaluate(reference: str, overrides: Sequence[str], *, uri: str | None) -> tuple[Run, dict[str, float]]:
    """Measure a run's model on the test set of other data, under other noise.

    The measurement is a run of its own, below the one it measures. Other data than the run's own also get
    `test/anomaly_auroc`: how well the reconstruction error tells them from the run's own test set.

    Args:
        reference: the run.
        overrides: `data=fashion_mnist`, `noise=gaussian`, `noise.gaussian.sigma=0.3`, ...

    Raises:
        HourglassError: an override of anything but data and noise; data of another shape.
    """
    process.quieten()
    trained = Trained.of(reference, uri=uri)
    config, chosen = _with_overrides(trained, overrides)
    data = _as_seen(trained, config.data)
    tags = {"kind": "evaluation", "evaluation_of": trained.run.id, **chosen}
    config.trainer = measuring(config.trainer)
    config.start = None  # it has been
    with recorded_by(trained.run):
        parts = compose(config, data=data)
    parts.model.load_state_dict(trained.model.state_dict())
    for name, companion in parts.learner.companions().items():
        restore(companion, trained.run, f"{name}.safetensors")
    other = any(override.startswith("data=") for override in overrides)
    own = _as_seen(trained, trained.config.data) if other else data
    trainer = make_trainer(config.trainer, callbacks=[Progress()])
    with (
        process.sigterm_raises(),
        Run.start(
            uri=trained.run.uri,
            experiment=trained.run.experiment,
            name=f"evaluation of {trained.run.name} on {data.name} {chosen['noise']}",
            tags=tags,
            params=flatten({group: OmegaConf.to_container(config[group], resolve=True) for group in EVALUATED}),
            parent_id=trained.run.id,
        ) as run,
    ):
        trainer.logger = RunLogger(run=run)
        trainer.callbacks += [
            Usefulness(
                run=run,
                data=parts.data,
                train_samples=config.tracking.probe_samples,
                likelihood_draws=config.tracking.likelihood_draws,
                likelihood_samples=config.tracking.likelihood_samples,
                normal=own if own.digest != data.digest else None,
            )
        ]
        if config.tracking.baseline_samples is not None:
            trainer.callbacks.append(
                Baselines(run=run, data=parts.data, samples=config.tracking.baseline_samples, pictured=True)
            )
        run.log_dataset(data.name, data.digest, data.sizes)
        with process.interruptible():
            trainer.test(parts.learner, verbose=False)
    return run, run.metrics


def _as_seen(trained: Trained, config: DictConfig) -> Dataset:
    """The data set of a configuration, scaled as the run's own was: a model knows no other units."""
    with recorded_by(trained.run):
        data: Dataset = build(config)
    if data.shape != trained.model.shape:
        raise HourglassError(
            f"data={data.name} has samples of shape {data.shape}, the model of run {trained.run.name} takes"
            f" {trained.model.shape}"
        )
    data = data.rescaled(trained.scaling)
    return data if trained.scaling is None else replace(data, range=trained.range)


def _with_overrides(trained: Trained, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """The run's configuration with other data or noise, and the names of the choices."""
    config = trained.config.copy()
    scaling = str(trained.config.data.get("scaling", "none"))
    choices = {group: trained.run.tags.get(group, "none") for group in EVALUATED}
    for override in overrides:
        if "=" not in override or re.split("[.=]", override)[0] not in EVALUATED:
            raise HourglassError(f"{override}: evaluate takes data=..., noise=... and their values, as noise.seed=1")
        key, _, value = override.partition("=")
        if key == "data.scaling" and value != scaling:
            raise HourglassError(f"{override}: evaluate scales rows as the run's own were, data.scaling={scaling}")
    for group in EVALUATED:
        mine = [override for override in overrides if re.split("[.=]", override)[0] == group]
        if any(override.startswith(f"{group}=") for override in mine):
            fresh, chosen = compose_config(mine)
            config[group] = fresh[group]
            choices[group] = chosen[group]
        else:  # the run's own, with a value changed
            update(config, mine)
    if "scaling" in config.data:
        config.data.scaling = scaling
    return config, choices
