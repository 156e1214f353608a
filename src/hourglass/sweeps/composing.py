"""Composing: from the overrides of a job to its configuration, and from that to a job.

Hydra composes a configuration in a quarter of a second, most of it spent on the choices of the groups. Jobs that differ
in values only, as most of a sweep do, share what their choices make: it is composed once, and each job's own values are
set on a copy of it.
"""

import pickle
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hourglass.configuration.composition import check_top
from hourglass.configuration.groups import chosen
from hourglass.configuration.hydra_internals import apply_overrides, overrides_dirname
from hourglass.pipeline.naming import command_line
from hourglass.sweeps.axes import among
from hourglass.sweeps.job import Job


class Composer:
    """Composes the jobs of a sweep.

    Args:
        context: Hydra's.
        config: the configuration of the multirun.
    """

    def __init__(self, context: HydraContext, config: DictConfig) -> None:
        self._loader = context.config_loader
        self._master = config
        self._parser = OverridesParser.create(config_loader=self._loader)
        self._known: dict[tuple[str, ...], bytes] = {}
        self._choices: dict[str, bool] = {}

    def compose(self, overrides: Sequence[str], number: int) -> DictConfig:
        """The configuration of one job, Hydra's own part included, as `load_sweep_config` composes it.

        Args:
            overrides: of this job, without Hydra's own.
            number: of this job.
        """
        parsed = self._parser.parse_overrides(list(overrides))
        values = [each for each in parsed if not self._is_choice(each)]
        lines = tuple(str(each.input_line) for each in parsed if self._is_choice(each))
        if lines not in self._known:
            # The last one will do; pickled, since reading that takes a tenth of the time of `copy.deepcopy`.
            self._known = {lines: pickle.dumps(self._loader.load_sweep_config(self._master, list(lines)))}
        whole: DictConfig = pickle.loads(self._known[lines])  # noqa: S301 - our own bytes, of this process
        OmegaConf.copy_cache(from_config=self._master, to_config=whole)
        apply_overrides(values, whole)
        whole.hydra.overrides.task = [str(each.input_line) for each in parsed]
        naming = whole.hydra.job.config.override_dirname
        with read_write(whole.hydra.runtime), open_dict(whole):
            whole.hydra.job.override_dirname = overrides_dirname(parsed, naming)
            whole.hydra.job.id = whole.hydra.job.num = number
            HydraConfig.instance().set_config(whole)  # `hydra.sweep.subdir` asks it for the number
            whole.hydra.runtime.output_dir = str((Path(whole.hydra.sweep.dir) / whole.hydra.sweep.subdir).absolute())
        return whole

    def _is_choice(self, override: Override) -> bool:
        """Whether it chooses in a group, and so what there is to compose."""
        key = override.key_or_group
        if key not in self._choices:
            self._choices[key] = bool(self._loader.get_group_options(key))
        return self._choices[key]

    def common(self, overrides: Sequence[str]) -> DictConfig:
        """What jobs with these overrides in common share, without Hydra's part."""
        return without_hydra(self._loader.load_sweep_config(self._master, list(overrides)))


def make_job(composed: DictConfig, varied: Collection[str]) -> Job:
    """The job of such a configuration, told apart from others by its overrides of the keys that vary."""
    check_top(composed)
    nodes = {str(key): composed[key] for key in composed if key != "hydra"}
    return Job(
        number=composed.hydra.job.num,
        overrides=tuple(among(composed.hydra.overrides.task, varied)),
        config={key: _plain(node) for key, node in nodes.items()},
        choices=chosen(composed, composed.hydra.runtime.choices),
        folder=composed.hydra.runtime.output_dir,
        words=tuple(composed.hydra.overrides.task),
    )


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def command_of(config: DictConfig) -> str:
    """The command that a multirun was asked for with; `config` is its own, Hydra's part included."""
    said = config.hydra.overrides
    words = [*(word for word in said.hydra if not word.startswith("hydra.mode=")), *said.task]
    return command_line(["-m", *map(str, words)])


def without_hydra(composed: DictConfig) -> DictConfig:
    """A configuration without Hydra's own part."""
    plain = composed.copy()
    with open_dict(plain):
        del plain["hydra"]
    return plain


def study_name(composed: DictConfig, varied: Collection[str]) -> str:
    """What a person would call it: `vanilla mnist: code_size, seed`."""
    choices = chosen(composed, composed.hydra.runtime.choices)
    what = " ".join(choices[group] for group in ("model", "data") if group not in varied)
    return f"{what}: {', '.join(key.rpartition('.')[2] for key in varied) or 'one job'}".strip(": ")
