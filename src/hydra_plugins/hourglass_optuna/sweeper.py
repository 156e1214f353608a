"""`hydra/sweeper=hourglass_optuna`: searches instead of trying everything: `hourglass.sweeps.search`.

Hydra imports this module with every command, so nothing slow is imported here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.plugins.sweeper import Sweeper
from typing_extensions import override

if TYPE_CHECKING:
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


class HourglassOptuna(Sweeper):
    """Hands the arguments to `hourglass.sweeps.search.loop`.

    Args:
        keys: those of `conf/hydra/sweeper/hourglass_optuna.yaml`, which `sweeps.search.settings` checks: a mistake that
            is found here would reach the person wrapped into Hydra's own words.
    """

    def __init__(self, **keys: Any) -> None:
        self.keys = keys

    @override
    def setup(self, *, hydra_context: "HydraContext", task_function: "TaskFunction", config: "DictConfig") -> None:
        """Called by Hydra. The task function is not used: a closure can't be sent to another process."""
        self.config = config
        self.hydra_context = hydra_context

    def sweep(self, arguments: Sequence[str]) -> None:
        """Search; raises SweepFailed at the end if a trial failed."""
        from hourglass.sweeps.search.loop import search

        assert self.hydra_context is not None
        assert self.config is not None
        search(self.hydra_context, self.config, list(arguments))
