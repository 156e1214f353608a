"""A job of a sweep: one resolved configuration, named by its hash; and how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hourglass.configuration.identity import config_hash
from hourglass.tracking import flatten

if TYPE_CHECKING:
    from hourglass.callbacks.pruning import Watch


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training of a sweep; it can be sent to another process."""

    number: int
    """Its place in the sweep, from 0."""
    overrides: tuple[str, ...]
    """What distinguishes it, `model.code_size=8`."""
    config: dict[str, Any]
    """The whole configuration, resolved."""
    choices: dict[str, str]
    """The choice made in every group."""
    folder: str
    """Where its files go."""
    words: tuple[str, ...] = ()
    """All overrides that it was composed of, those that it shares with others too."""
    watch: "Watch | None" = None
    """How it reports to a search that may stop it early; None: it doesn't."""

    @cached_property
    def key(self) -> str:
        """The hash of its configuration: a job with the same key is the same job."""
        return config_hash(self.config)

    @property
    def log(self) -> str:
        """Where what it prints goes."""
        return str(Path(self.folder) / "train.log")

    @property
    def label(self) -> str:
        """Its overrides in one line."""
        return " ".join(self.overrides) or "as configured"

    def point(self, axes: Sequence[str]) -> dict[str, str]:
        """Its value on each of some axes, as its run records it; of a group its choice."""
        values = {**self.choices, **flatten(self.config)}
        return {axis: values.get(axis, "") for axis in axes}


@dataclass(frozen=True, kw_only=True)
class End:
    """How a job ended; the first four are of one that is finished."""

    run_id: str = ""
    """Of its run."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """The last value of each."""
    pruned: bool = False
    """Whether a search stopped it early."""
    digest: str = ""
    """Of the data of a run that was found recorded, its first 36 characters; empty: it names none."""
    failure: str | None = None
    """Why it failed, in one line; None: it is finished."""
    refused: bool = False
    """Whether its configuration makes no sense, so that it was not tried."""
    away: bool = False
    """Whether it failed because the store had been away for too long."""
