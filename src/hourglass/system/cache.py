"""The folder for what is kept between runs: data sets, what is computed from them once, and claims."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """The data folder: `$HOURGLASS_CACHE`, by default `~/.cache/hourglass`."""
    return Path(os.environ.get("HOURGLASS_CACHE") or "~/.cache/hourglass").expanduser()
