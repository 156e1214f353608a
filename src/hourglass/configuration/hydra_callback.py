"""What Hydra calls before it writes a configuration into files: takes out passwords that stand in someone's yaml."""

import os
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write
from typing_extensions import override

from hourglass.system.passwords import keep, redacted, without_passwords


class KeepPasswordsOut(Callback):
    """Takes the password out of `tracking.uri`, and out of the environment that Hydra would set for a job.

    Those that were typed are taken out before Hydra sees them (`passwords.kept_out`).
    """

    @override
    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Before a single training."""
        _keep(config)

    @override
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Before a sweep, whose jobs other launchers compose anew from the same yaml: they are given it as a word."""
        if _keep(config):
            with read_write(config), open_dict(config):
                config.hydra.overrides.task.append(f"tracking.uri='{config.tracking.uri}'")


def _keep(config: DictConfig) -> bool:
    """Whether there was one in `tracking.uri`."""
    with read_write(config), open_dict(config):
        given = config.hydra.job.env_set
        for name, value in list(given.items()):  # `hydra.job.env_copy` puts it there
            if without_passwords(str(value)) != str(value):
                os.environ[str(name)] = str(value)
                del given[name]
        uri = str(config.tracking.uri or "")
        if redacted(uri) == uri or "***@" in uri:
            return False
        config.tracking.uri = keep(uri)
    return True
