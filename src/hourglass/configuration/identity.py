"""What tells one training from another: a hash of all that is computed, and the keys that its name says."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

UNNAMED = ("tracking", "name", "resume", "study", "sweep")
"""Keys at the top of a configuration that say nothing of what is computed, but how and where it is recorded."""


NAMED = ("model", "model.code_size", "data", "noise", "regularizer")
"""Keys whose value the name of every run says: see `hourglass.pipeline.recorder.run_name`."""


def config_hash(config: Mapping[str, Any]) -> str:
    """A name for what was computed: 16 hex digits over the resolved configuration, without where it is recorded."""
    relevant = {key: value for key, value in config.items() if key not in UNNAMED}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True, default=str).encode()).hexdigest()[:16]
