"""How a search goes, as configured by `hydra/sweeper=hourglass_optuna`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hourglass.sweeps.search.space import Space
from hourglass.system.errors import HourglassError

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

_ROUNDS = 5  # a sampler that learns must see results now and then


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """What is minimised, by which sampler, and when a trial is stopped.

    Args:
        n_trials: of the whole search, at least 1; earlier starts of the same search count.
        batch_size: trials suggested at a time, at least 1; null: see `batch`.
        objective: a metric, as `fit/val_mse`, or a key of the configuration, as `model.code_size`; or several.
        direction: `minimize` or `maximize`, for all objectives or for each.
        sampler: `tpe` (Bergstra et al., 2011), `random`, `grid`, `cmaes` (Hansen & Ostermeier, 2001) or `nsga2` (Deb et
            al., 2002).
        seed: of the sampler, at least 0.
        startup_trials: drawn at random before the sampler learns, or the size of a generation of nsga2, at least 1.
        pruner: `none`, `median` (stops what is worse than the median after as many epochs) or `successive_halving`
            (Jamieson & Talwalkar, 2016; asynchronous: Li et al., 2018).
        prune_on: the metric of the validation that the pruner compares.
        prune_direction: `minimize` or `maximize` it.
        prune_after: finished trials before the median stops one, at least 1.
        grace_epochs: epochs that every trial gets, at least 1.
        reduction_factor: of so many trials one goes on at a rung of successive halving, at least 2.
        folder: each search keeps its journal in a folder below.
        params: what is searched, by key, as on the command line.

    Raises:
        ValueError: a number out of its range, an unknown name, a pruner with several objectives.
    """

    n_trials: int
    batch_size: int | None
    objective: str | Sequence[str]
    direction: str | Sequence[str]
    sampler: Literal["tpe", "random", "grid", "cmaes", "nsga2"]
    seed: int
    startup_trials: int
    pruner: Literal["none", "median", "successive_halving"]
    prune_on: str
    prune_direction: Literal["minimize", "maximize"]
    prune_after: int
    grace_epochs: int
    reduction_factor: int
    folder: str
    params: Mapping[str, str]

    def __post_init__(self) -> None:
        for key, lowest in (
            ("n_trials", 1),
            ("batch_size", 1),
            ("seed", 0),
            ("startup_trials", 1),
            ("prune_after", 1),
            ("grace_epochs", 1),
            ("reduction_factor", 2),
        ):
            value = getattr(self, key)
            if value is not None and value < lowest:
                raise ValueError(f"{key} must be at least {lowest}, got {value}")
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise ValueError(f"objective must be one or several different names, got {list(self.objectives)}")
        given = [self.direction] if isinstance(self.direction, str) else list(self.direction)
        for each in given:
            if each not in ("minimize", "maximize"):
                raise ValueError(f"direction must be minimize or maximize, got {each!r}")
        if len(given) not in (1, len(self.objectives)):
            raise ValueError(
                f"direction must be one for all {len(self.objectives)} objectives or one for each, got {len(given)}"
            )
        if self.pruner != "none" and len(self.objectives) > 1:
            raise ValueError(f"pruner={self.pruner} compares trials by one objective, got {len(self.objectives)}")

    @property
    def objectives(self) -> list[str]:
        """By name."""
        return [self.objective] if isinstance(self.objective, str) else list(self.objective)

    @property
    def directions(self) -> list[str]:
        """One for each objective."""
        if isinstance(self.direction, str):
            return [self.direction] * len(self.objectives)
        return list(self.direction) * (len(self.objectives) // len(self.direction))

    def check(self, space: Space) -> None:
        """Refuse a sampler that can't search this space."""
        kinds = {key: dimension.values for key, dimension in space.dimensions.items()}
        for key, values in kinds.items():
            if self.sampler == "grid" and values is None:
                raise HourglassError(
                    f"hydra.sweeper.sampler=grid: {key}={space.dimensions[key].written} is continuous and has no grid;"
                    " take range or choice, or another sampler"
                )
        if self.sampler == "cmaes":
            from importlib.util import find_spec

            from optuna.distributions import CategoricalDistribution

            searched = [each.distribution for each in space.dimensions.values()]
            if all(isinstance(each, CategoricalDistribution) for each in searched):
                raise HourglassError(
                    "hydra.sweeper.sampler=cmaes moves through numbers, and every searched key is a choice; take range"
                    " or interval, or the sampler tpe"
                )
            if len(self.objectives) > 1:
                raise HourglassError("hydra.sweeper.sampler=cmaes has one objective; take tpe or nsga2 for several")
            if find_spec("cmaes") is None:
                raise HourglassError("hydra.sweeper.sampler=cmaes needs the package cmaes: pip install cmaes")

    def make_sampler(self, asked: int) -> "BaseSampler":
        """The sampler for the next batch.

        Args:
            asked: trials before it. Each batch has random numbers of its own that depend on nothing else, so that a
                search that was cut off goes on as if it had not been.
        """
        import numpy as np
        from optuna import samplers

        # Sequences of random numbers that begin with neighbouring seeds begin alike: these are mixed.
        seed = int(np.random.SeedSequence([self.seed, asked]).generate_state(1)[0])
        if self.sampler == "tpe":
            return samplers.TPESampler(seed=seed, n_startup_trials=self.startup_trials)
        if self.sampler == "cmaes":
            # Choices among the numbers are drawn at random, which Optuna would say again with every trial.
            return samplers.CmaEsSampler(
                seed=seed, n_startup_trials=self.startup_trials, warn_independent_sampling=False
            )
        if self.sampler == "nsga2":
            return samplers.NSGAIISampler(seed=seed, population_size=max(2, self.startup_trials))
        return samplers.RandomSampler(seed=seed)  # a grid gives every value itself

    def make_pruner(self) -> "BasePruner":
        """What decides whether a trial goes on."""
        from optuna import pruners

        if self.pruner == "median":
            return pruners.MedianPruner(n_startup_trials=self.prune_after, n_warmup_steps=self.grace_epochs)
        if self.pruner == "successive_halving":
            return pruners.SuccessiveHalvingPruner(
                min_resource=self.grace_epochs, reduction_factor=self.reduction_factor
            )
        return pruners.NopPruner()

    def batch(self, *, places: int, stack: int) -> int:
        """Trials of a batch.

        A sampler that does not learn from results is asked for all at once, nsga2 for a generation, and the others for
        what trains at a time: in every place a job, or a stack as long as there are at least five batches.

        Args:
            places: where a job or a stack trains at a time.
            stack: the most jobs of a stack.
        """
        if self.batch_size is not None:
            return self.batch_size
        if self.sampler in ("random", "grid"):
            return self.n_trials
        if self.sampler == "nsga2":
            return self.startup_trials
        return min(self.n_trials, max(places, min(places * stack, self.n_trials // _ROUNDS)))
