"""What a search leaves in its study's run: the best trials, all trials as a table, three pictures."""

import csv
import io
import logging
from collections.abc import Sequence
from functools import partial

import optuna
from optuna.trial import FrozenTrial, TrialState

from hourglass.sweeps.search.pictures import front, history, importances, slices
from hourglass.sweeps.search.trials import Trials
from hourglass.tracking import Run

log = logging.getLogger("hourglass")

TESTED = "test/mse"
"""What is said of the best trial besides, whatever it was chosen by."""
_SHOWN = 10  # lines of the front that the end prints
_ENOUGH = 10  # trials from which the importance of a key can be estimated at all


def track(parent: Run, trials: Trials) -> None:
    """Record how far the search is: counts, the best values and the trial that has them."""
    ended, best = trials.ended, trials.best()
    count = len(ended)
    states = [trial.state for trial in ended]
    values = {"search/trials": count, "search/failed": trials.failed, "search/pruned": states.count(TrialState.PRUNED)}
    one = len(trials.settings.objectives) == 1
    if best and one:
        values[f"best/{trials.settings.objectives[0]}"] = best[0].values[0]
    elif best:  # of several objectives there is no best: the least of each would be of another trial
        values["search/front"] = len(best)
    if best and one:
        tags = {"best_trial": str(best[0].number), "best_trial.run": best[0].user_attrs["run_id"]}
        if TESTED in best[0].user_attrs:
            values[f"best_trial/{TESTED}"] = best[0].user_attrs[TESTED]
        parent.set_tags({**tags, **{f"best_trial.{key}": str(value) for key, value in best[0].params.items()}})
    parent.log_metrics(values, step=count)
    parent.log_text(table(ended, trials), "search/trials.csv")
    if len(trials.settings.objectives) > 1:
        parent.log_text(table(best, trials), "search/pareto.csv")


def show(parent: Run, trials: Trials) -> None:
    """Record the pictures: values over trials, the front of two objectives, which keys matter."""
    ended, settings = trials.ended, trials.settings
    if not trials.best():
        return
    keys = list(trials.space.dimensions)
    for at, (name, direction) in enumerate(zip(settings.objectives, settings.directions, strict=True)):
        if name in keys:  # a setting that is searched has no history worth a picture
            continue
        picture = history(ended, at=at, name=name, minimize=direction == "minimize")
        parent.log_image(picture, f"search/history_{name.replace('/', '_')}", len(ended))
    if len(settings.objectives) > 1:
        names = (settings.objectives[0], settings.objectives[1])
        parent.log_image(front(ended, trials.best(), names=names), "search/pareto", len(ended))
    complete = [trial for trial in ended if trial.state == TrialState.COMPLETE]
    for at, name in enumerate(settings.objectives):
        if name in keys:
            continue
        suffix = "" if len(settings.objectives) == 1 else f"_{name.replace('/', '_')}"
        parent.log_image(slices(ended, keys, at=at, name=name), f"search/slices{suffix}", len(ended))
        if len(keys) > 1 and len(complete) >= _ENOUGH:
            shares = optuna.importance.get_param_importances(trials.study, target=partial(_objective, at=at))
            if not suffix:
                parent.log_metrics({f"importance/{key}": share for key, share in shares.items()}, step=len(ended))
            parent.log_image(importances(shares, name=name), f"search/importances{suffix}", len(ended))


def _objective(trial: FrozenTrial, *, at: int) -> float:
    return float(trial.values[at])


def say(trials: Trials) -> None:
    """Print how many trials ended how, and the best of them, a line each."""
    best, states = trials.best(), [trial.state for trial in trials.ended]
    pruned = states.count(TrialState.PRUNED)
    log.info("%d trials: %d stopped early, %d failed", len(states), pruned, trials.failed)
    for trial in best[:_SHOWN]:
        values = ", ".join(
            f"{name} {value:.6g}" for name, value in zip(trials.settings.objectives, trial.values, strict=True)
        )
        where = " ".join(
            f"{key}={value:.6g}" if isinstance(value, float) else f"{key}={value}"
            for key, value in trial.params.items()
        )
        tested = trial.user_attrs.get(TESTED)
        also = "" if tested is None or TESTED in trials.settings.objectives else f"; {TESTED} {tested:.6g}"
        log.info("best     %s: trial %d, %s, run %s%s", values, trial.number, where, trial.user_attrs["run_id"], also)
    if len(best) > _SHOWN:
        log.info("         and %d more on the front: search/pareto.csv of the study", len(best) - _SHOWN)
    if not best:
        log.info("best     none: no trial came to its end")


def table(rows: Sequence[FrozenTrial], trials: Trials) -> str:
    """Trials as CSV: number, how it ended, the values of the searched keys and of the objectives, run, reason."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    keys, objectives = list(trials.space.dimensions), trials.settings.objectives
    writer.writerow(["trial", "state", *keys, *objectives, "run_id", "reason"])
    for trial in rows:
        # A pruned trial holds what it last reported, which is no objective.
        values = trial.values if trial.state == TrialState.COMPLETE else [""] * len(objectives)
        reason = trial.user_attrs.get("reason", "")
        if "pruned" in trial.user_attrs:
            reason = "stopped early"
        writer.writerow(
            [
                trial.number,
                trial.state.name.lower(),
                *(trial.params.get(key, "") for key in keys),
                *values,
                trial.user_attrs.get("run_id", ""),
                reason,
            ]
        )
    return text.getvalue()
