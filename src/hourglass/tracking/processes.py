"""Which process writes a run, and whether it still lives.

A killed process can't say that it ended, so its run would stay RUNNING for ever. Every run carries the tags
`machine.host`, `machine.pid` and `machine.process_start`; `mark_dead_runs` compares them with the processes of this
host.
"""

import socket
from collections.abc import Sequence

import psutil

from hourglass.tracking import tables
from hourglass.tracking.machine import HOST, PID, PROCESS_START, machine_tag
from hourglass.tracking.retries import RetryingClient
from hourglass.tracking.search import search_runs
from hourglass.tracking.store import open_client, sqlite_path

_START_TOLERANCE = 2.0  # seconds; the system clock may be corrected between two readings of a start time


def identity() -> dict[str, str]:
    """The tags of a run of this process: `machine.host`, `machine.pid` and `machine.process_start`."""
    me = psutil.Process()
    return {HOST: socket.gethostname(), PID: str(me.pid), PROCESS_START: f"{me.create_time():.2f}"}


def is_alive(tags: dict[str, str]) -> bool:
    """Whether the process that wrote `tags` runs on this host."""
    if machine_tag(tags, HOST) != socket.gethostname():
        return False
    try:
        # A process number is given again after a reboot or a long time, so the start time must agree as well.
        process = psutil.Process(int(machine_tag(tags, PID) or ""))
        same = abs(process.create_time() - float(machine_tag(tags, PROCESS_START) or "")) < _START_TOLERANCE
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, KeyError, ValueError, OverflowError):  # also where the tags are no numbers
        return False


def mark_dead_runs(uri: str, experiment: str) -> list[str]:
    """Marks the runs of `experiment` that say RUNNING though their process on this host is gone as KILLED.

    Returns the ids of the runs it marked. Runs of other hosts are left alone. Costs one search, and however many dead
    there are, in a database one write.
    """
    path = sqlite_path(uri)
    if path is not None and not path.exists():
        return []
    client = open_client(uri)
    if tables.is_database(client):
        found = client.get_experiment_by_name(experiment)
        going = [] if found is None else tables.running(client, found.experiment_id)
    else:
        found = search_runs(uri, experiment, "attributes.status = 'RUNNING'")
        going = [tables.Running(run.info.run_id, run.data.tags) for run in found]
    host = socket.gethostname()
    return _mark([run for run in going if machine_tag(run.tags, HOST) == host and not is_alive(run.tags)], client)


def _mark(dead: Sequence[tables.Running], client: RetryingClient) -> list[str]:
    """Marks runs, unless they ended well or were taken up since they were asked for; returns which it marked."""
    reasons = {run.run_id: (run.tags, f"process {machine_tag(run.tags, PID)} ended without a word") for run in dead}
    if not dead or tables.is_database(client):
        return tables.mark_killed(client, reasons) if dead else []
    marked = []
    for run_id, (_, reason) in reasons.items():
        run = client.get_run(run_id)
        if run.info.status == "RUNNING" and not is_alive(run.data.tags):
            client.set_tag(run_id, "failure", reason)
            client.set_terminated(run_id, "KILLED")
            marked.append(run_id)
    return marked
