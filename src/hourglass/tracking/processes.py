"""Which process writes a run, and whether it still lives.

A killed process can't say that it ended, so its run would stay RUNNING for ever. Every run carries the tags
``host``, ``pid`` and ``process_start``; ``reap`` compares them with the processes of this host.
"""

import socket

import psutil

from hourglass.tracking.search import search_runs
from hourglass.tracking.store import open_client, sqlite_path

_START_TOLERANCE = 2.0  # seconds; the system clock may be corrected between two readings of a start time


def identity() -> dict[str, str]:
    """The tags of a run of this process: ``host``, ``pid`` and ``process_start`` (seconds since 1970)."""
    me = psutil.Process()
    return {"host": socket.gethostname(), "pid": str(me.pid), "process_start": f"{me.create_time():.2f}"}


def is_alive(tags: dict[str, str]) -> bool:
    """Whether the process that wrote ``tags`` runs on this host."""
    if tags.get("host") != socket.gethostname():
        return False
    try:
        # A process number is given again after a reboot or a long time, so the start time must agree as well.
        process = psutil.Process(int(tags["pid"]))
        same = abs(process.create_time() - float(tags["process_start"])) < _START_TOLERANCE
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, KeyError, ValueError, OverflowError):  # also where the tags are no numbers
        return False


def reap(uri: str, experiment: str) -> list[str]:
    """Marks the runs of ``experiment`` that say RUNNING though their process on this host is gone as KILLED.

    Returns the ids of the runs it marked. Runs of other hosts are left alone. Costs one search.
    """
    path = sqlite_path(uri)
    if path is not None and not path.exists():
        return []
    here = f"attributes.status = 'RUNNING' AND tags.host = '{socket.gethostname()}'"
    dead = [run.info.run_id for run in search_runs(uri, experiment, here) if not is_alive(run.data.tags)]
    return _mark(dead, uri) if dead else []


def _mark(dead: list[str], uri: str) -> list[str]:
    client = open_client(uri)
    marked = []
    for run_id in dead:
        # Asked again now that its process is gone: it may have ended well, or been taken up, since the search.
        run = client.get_run(run_id)
        if run.info.status == "RUNNING" and not is_alive(run.data.tags):
            client.set_tag(run_id, "failure", f"process {run.data.tags.get('pid')} ended without a word")
            client.set_terminated(run_id, "KILLED")
            marked.append(run_id)
    return marked
