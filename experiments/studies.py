"""A record's sweep: run by `hourglass train -m`, and read from the study that it leaves."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from hourglass.sweeps.studies.record import read
from hourglass.sweeps.studies.table import Table
from hourglass.tracking import resolve_uri, search_runs


class Swept(NamedTuple):
    """What a sweep has left."""

    table: Table
    uri: str
    fresh: int
    """Jobs that were run now, and not found recorded."""
    took: dict[str, float]
    """`minutes` of the clock on so many `cores`."""


def swept(name: str, words: Sequence[str]) -> Swept:
    """Run what is missing of a study, by the words of a multirun, and read it.

    Raises:
        SystemExit: jobs failed; with the sweep's own exit code.
    """
    began = time.time()
    if code := subprocess.run([sys.executable, "-m", "hourglass", "train", "-m", *words], check=False).returncode:
        sys.exit(code)
    took = {"minutes": (time.time() - began) / 60, "cores": float(len(os.sched_getaffinity(0)))}
    uri = resolve_uri(next((word.partition("=")[2] for word in words if word.startswith("tracking.uri=")), None))
    studies = search_runs(uri, None, f"tags.kind = 'study' AND tags.study = '{name}'")
    run = max(studies, key=lambda study: study.info.end_time)  # the one that has just ended
    newer = f"tags.`mlflow.parentRunId` = '{run.info.run_id}' AND start_time > {began * 1000:.0f}"
    return Swept(read(run.info.run_id, uri=uri), uri, len(search_runs(uri, None, newer)), took)
