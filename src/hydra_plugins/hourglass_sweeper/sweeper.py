"""`hydra/sweeper=hourglass`: Hydra's own sweeper, every combination of the values, without composing each job twice.

Hydra imports this module with every command, so nothing slow is imported here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore

from hourglass.configuration.hydra_internals import BasicSweeper, BasicSweeperConf
from hydra_plugins.hourglass_launcher.launcher import HourglassLauncher


@dataclass
class HourglassSweeperConf(BasicSweeperConf):
    """What the choice `hydra/sweeper=hourglass` holds: the same as Hydra's `basic`."""

    _target_: str = "hydra_plugins.hourglass_sweeper.sweeper.HourglassSweeper"


ConfigStore.instance().store(
    group="hydra/sweeper", name="hourglass", node=HourglassSweeperConf, provider="hourglass_sweeper"
)


class HourglassSweeper(BasicSweeper):
    """Every combination of the values, in order."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Hydra composes all jobs to see whether they can be, a sixth of a second each, before any starts.

        Our own launcher does that anyway, and faster.
        """
        if not isinstance(self.launcher, HourglassLauncher):
            super().validate_batch_is_legal(batch)
