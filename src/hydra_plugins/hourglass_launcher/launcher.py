"""`hydra/launcher=hourglass`: the default launcher of a multirun; what it does is in `hourglass.sweeps`.

Hydra imports this module with every command, so nothing slow is imported here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher
from typing_extensions import override

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


@dataclass
class HourglassLauncherConf:
    """What the choice `hydra/launcher=hourglass` holds; the settings of a sweep are in the group `sweep`."""

    _target_: str = "hydra_plugins.hourglass_launcher.launcher.HourglassLauncher"


ConfigStore.instance().store(
    group="hydra/launcher", name="hourglass", node=HourglassLauncherConf, provider="hourglass_launcher"
)


class HourglassLauncher(Launcher):
    """Hands the whole batch of jobs to `hourglass.sweeps.launch`."""

    @override
    def setup(self, *, hydra_context: "HydraContext", task_function: "TaskFunction", config: "DictConfig") -> None:
        """Called by Hydra. The task function is not used: a closure can't be sent to another process."""
        self.config = config
        self.hydra_context = hydra_context

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> "Sequence[JobReturn]":
        """Run the jobs; raises SweepFailed at the end if one of them failed."""
        from hourglass.sweeps.hydra_jobs import launch

        return launch(self.hydra_context, self.config, job_overrides, initial_job_idx)
