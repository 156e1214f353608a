"""The `LightningModule` that a training would train, for a `pl.Trainer` of a person's own.

    pl.Trainer(max_epochs=5).fit(hourglass.module(x, model="conv"))

The trainer says how long, on what and with which callbacks; the words say all else. Nothing is recorded but by it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
from omegaconf import open_dict
from omegaconf.errors import OmegaConfBaseException

from hourglass.configuration.composition import check_top
from hourglass.configuration.overrides import explain
from hourglass.data.given_arrays import Given
from hourglass.pipeline.compose import compose
from hourglass.pipeline.fit import Overrides, configured, data_of, given_as, model_of, words_of
from hourglass.system.errors import HourglassError
from hourglass.system.undone import undone
from hourglass.training import Learner

__all__ = ["module"]

NOT_HERE = ("trainer", "callback", "tracking", "sweep", "name", "study")
"""Keys of what a run is and how it is made."""
Choice = str | Sequence[str] | None


def module(
    x: Any = None,
    y: Any = None,
    *,
    target: Any = None,
    validation: Any = None,
    test: Any = None,
    data: str | None = None,
    encoder: Any = None,
    decoder: Any = None,
    model: str | None = None,
    bottleneck: str | None = None,
    prior: str | None = None,
    flow: str | None = None,
    condition: str | None = None,
    noise: Choice = None,
    regularizer: Choice = None,
    loss: str | None = None,
    sampler: str | None = None,
    optimizer: str | None = None,
    schedule: str | None = None,
    training: str | None = None,
    experiment: str | None = None,
    code_size: int | None = None,
    depth: int | None = None,
    seed: int | None = None,
    overrides: Overrides = (),
) -> Learner:
    """A `LightningModule` of an autoencoder and how it learns, for a `pl.Trainer` of your own.

    It has data loaders, of x or of `data`; others are given to the trainer as for any module, whose batches are x or
    (x, y), each one step. How long the training is, the trainer says, by `max_epochs` and `max_steps`.

    Args:
        x: see `hourglass.fit`, as for every argument that isn't here; None: `data` is what is trained on.
        y: see `hourglass.fit`.
        target: see `hourglass.fit`.
        validation: see `hourglass.fit`.
        test: see `hourglass.fit`.
        data: a choice, as `hourglass list data` shows them, where there is no x; None: as on the command line, mnist.
        encoder: see `hourglass.fit`, as for the others.
        decoder: of codes.
        model: a choice.
        bottleneck: a choice.
        prior: a choice, of a variational code.
        flow: a choice, of a variational code.
        condition: a choice.
        noise: a choice, or several in a list.
        regularizer: the same.
        loss: a choice.
        sampler: a choice.
        optimizer: a choice.
        schedule: a choice.
        training: a choice.
        experiment: a recipe.
        code_size: `model.code_size`.
        depth: `model.depth`.
        seed: of the weights and the noise of measurements; None: 0. What training draws, `pl.seed_everything` sets.
        overrides: every other value, as `{"optimizer.lr": 1e-3}`, or words of the command line.

    Raises:
        ValueError: a mistake, in one line that names the key, the value and what is allowed.

    Example:
        >>> learner = module(data="digits", bottleneck="gaussian", code_size=8)
        >>> learner.model.code_size
        8
    """
    if x is None and any(each is not None for each in (y, target, validation, test)):
        raise HourglassError("x must be given with y, target, validation or test, got None")
    choices = {
        "data": data,
        "experiment": experiment,
        "model": model,
        "bottleneck": bottleneck,
        "prior": prior,
        "flow": flow,
        "condition": condition,
        "noise": noise,
        "regularizer": regularizer,
        "loss": loss,
        "sampler": sampler,
        "optimizer": optimizer,
        "schedule": schedule,
        "training": training,
    }
    values = {"model.code_size": code_size, "model.depth": depth, "seed": seed}
    with undone():
        given = None if x is None else given_as(x, y, validation=validation, test=test, target=target)
        return _made(given, {"encoder": encoder, "decoder": decoder}, choices, values, overrides)


def _made(
    given: Given | None,
    modules: Mapping[str, Any],
    choices: Mapping[str, Choice],
    values: Mapping[str, Any],
    overrides: Overrides,
) -> Learner:
    words = words_of(overrides)
    for word in words:
        if re.split(r"[.=@/]", word.lstrip("+~"))[0] in NOT_HERE:
            raise HourglassError(f"{word}: hourglass.module has no use for it; the pl.Trainer says it, and records")
    objects, config, made = configured(given, modules, choices=choices, values=values, overrides=words)
    if given is not None and made["data"] != "arrays":
        raise HourglassError(f"data must be left out beside x, got {made['data']}")
    if config.resume:
        raise HourglassError("resume must be null: a pl.Trainer goes on by its own fit(..., ckpt_path=FILE)")
    with open_dict(config):
        config.callback = {}  # the trainer has its own
    try:
        check_top(config)
        pl.seed_everything(config.seed, verbose=False)
        own = None if given is None else data_of(config, given)
        return compose(config, data=own, make_model=model_of(config, objects) if objects else None).learner
    except OmegaConfBaseException as error:
        raise HourglassError(explain(error)) from error
