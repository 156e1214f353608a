"""The engine `ray`: the jobs of a sweep as tasks of a Ray cluster, by Ray's core API.

A task takes its CPU cores and GPUs, or a part of one, from the cluster and runs its job in a slot of the node that it
came to: in a process forked from a server that has imported everything, as on one machine. So a job starts in
milliseconds once its Ray worker has served another, its process is fresh, what kills it spares the worker, and when the
worker is killed it still can say so in its run.

Ray: A distributed framework for emerging AI applications (Moritz et al., OSDI 2018).
"""

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hourglass.sweeps.settings import Settings, Slot
from hourglass.sweeps.slots import Outcome, execute
from hourglass.system.devices import check_cuda, check_gpus, visible_gpus
from hourglass.system.environment import restored
from hourglass.system.errors import HourglassError, first_line

_PATIENCE = 30.0  # seconds that tasks have to end when they are cancelled: more than a slot gives its process
_REACH = 10.0  # seconds in which the address of a cluster has to answer
_OBJECTS = 100 * 2**20  # bytes of shared memory for what jobs take and give: configurations and metrics


class Ray:
    """A Ray cluster that this process is connected to.

    Args:
        places: jobs at a time, at least 1.
        cpus: cores of a job.
        gpus: GPUs of a job; may be a part of one.
        at_once: tasks handed over at a time, at least 1; the cluster queues those that find no room.
        uri: where jobs are recorded that name no other place, resolved.
    """

    def __init__(self, *, places: int, cpus: int, gpus: float, at_once: int, uri: str) -> None:
        self.places = places
        self.gpu = gpus > 0
        self.cpus = cpus
        self.gpus = gpus
        self.at_once = at_once
        self.uri = uri

    def execute(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Generator[Outcome, None, None]:
        """See `hourglass.sweeps.engine.Engine`."""
        import ray

        # `max_calls=0`: the worker lives on, with its fork server. What failed is known to the study, which runs it
        # again; a retry of Ray's own would be recorded twice.
        options: dict[str, Any] = {"num_cpus": self.cpus, "num_gpus": self.gpus, "max_retries": 0, "max_calls": 0}
        call = ray.remote(**options)(_in_slot)
        waiting = list(enumerate(arguments))[::-1]
        running: dict[Future[Outcome], tuple[int, Any]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.at_once:
                    index, argument = waiting.pop()
                    task = call.remote(function, argument, self.cpus, str(Path.cwd()), self.uri)
                    running[task.future()] = (index, task)
                # Not `ray.wait`, which makes another exit code of a SystemExit.
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    yield _outcome(running.pop(future)[0], future)
        finally:
            for _, task in running.values():
                ray.cancel(task)
            wait(running, timeout=_PATIENCE)


def _in_slot(function: Callable[..., Any], argument: Any, threads: int, folder: str, uri: str) -> Outcome:
    """A task of Ray's, in one of its workers: the job in a process of its own."""
    import ray

    from hourglass.system import process

    process.before_torch()
    if Path(folder).is_dir():  # on this machine, or on a file system that the machines share
        os.chdir(folder)
    os.environ["MLFLOW_TRACKING_URI"] = uri
    # Otherwise each job would run the script of Ray's worker anew as its own main module.
    vars(sys.modules["__main__"]).pop("__file__", None)
    gpus = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
    # `ray.cancel` raises KeyboardInterrupt between two steps of Python, not in a call that waits: so wake it up.
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
    try:
        (outcome,) = execute(function, [argument], slots=[Slot(gpu=",".join(gpus), threads=threads)])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return outcome


def _outcome(index: int, future: "Future[Outcome]") -> Outcome:
    from ray.exceptions import RayError, RayTaskError

    try:
        return future.result()._replace(job=index)
    except RayTaskError as error:
        return Outcome(index, None, f"its Ray task failed: {error.cause!r}", str(error))
    except RayError as error:
        return Outcome(index, None, f"its Ray worker ended: {first_line(error)}", str(error))


@contextmanager
def open_ray(settings: Settings, *, accelerator: str, jobs: int, uri: str) -> Iterator[Ray]:
    """Connect to the cluster at `settings.address`, or start an instance on this machine for as long as it is needed.

    Arguments and errors: those of `sweeps.engine.open_engine`, which is how to come here.
    """
    before = signal.getsignal(signal.SIGTERM)
    with restored("RAY_USAGE_STATS_ENABLED", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"):
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # silences a notice; a slot fixes its own GPU
        try:
            import ray
        except ModuleNotFoundError as error:
            raise HourglassError(
                "sweep.engine=ray: Ray is not installed; pip install 'hourglass[ray]' does it"
            ) from error
        try:
            _connect(settings, accelerator)
            signal.signal(signal.SIGTERM, before)  # Ray has put its own in its place
            nodes = [each for each in ray.nodes() if each["Alive"]]  # type: ignore[no-untyped-call]
            _check_reach(uri, [node["NodeManagerHostname"] for node in nodes])
            yield _fitted(settings, [node["Resources"] for node in nodes], accelerator=accelerator, jobs=jobs, uri=uri)
        finally:
            ray.shutdown()
            signal.signal(signal.SIGTERM, before)


def _connect(settings: Settings, accelerator: str) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if settings.address is None:
        check_gpus(accelerator)
        cores = len(os.sched_getaffinity(0))
        gpus = 0 if accelerator == "cpu" else len(visible_gpus())
        local: dict[str, Any] = {
            "num_cpus": cores,
            "num_gpus": gpus,
            "object_store_memory": _OBJECTS,
            "include_dashboard": False,
        }
        try:
            ray.init("local", **local, **quiet)
        except Exception as error:  # Ray raises no narrower one when a part of it takes more than 30 s to start
            raise HourglassError(f"sweep.engine=ray: Ray did not start here: {first_line(error)}") from error
        return
    if settings.address != "auto":
        host, _, port = settings.address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), _REACH).close()
        except OSError as error:
            raise HourglassError(f"sweep.address={settings.address} does not answer: {error}") from error
    try:
        ray.init(settings.address, **quiet)
    except (ConnectionError, RuntimeError) as error:
        where = f"sweep.address={settings.address}"
        hint = "`ray start --head` starts one; where it asks for a token, set RAY_AUTH_MODE=token"
        raise HourglassError(f"{where}: {first_line(error)} ({hint})") from error


def _check_reach(uri: str, hosts: Sequence[str]) -> None:
    """Every node must reach the runs; a file is reached only from its own machine."""
    others = sorted(set(hosts) - {socket.gethostname()})
    if uri.startswith("sqlite:") and others:
        raise HourglassError(
            f"tracking.uri={uri} is a file of this machine, which {', '.join(others[:3])} can't write to;"
            " start a server, `mlflow server`, and give tracking.uri=http://HOST:PORT"
        )


def _fitted(settings: Settings, nodes: Sequence[Mapping[str, float]], *, accelerator: str, jobs: int, uri: str) -> Ray:
    """The engine for what the nodes have: their resources `CPU` and `GPU`."""
    cpus = settings.cpus_per_job or 1
    most = max(node.get("GPU", 0) for node in nodes)
    check_cuda(accelerator, there=most > 0, where="no node of the Ray cluster has one")
    if settings.gpus_per_job is not None:
        gpus = settings.gpus_per_job
    else:
        gpus = 1 / settings.slots_per_gpu if most and accelerator != "cpu" else 0.0
    room = sum(min(int(node.get("CPU", 0) // cpus), _on_gpus(node.get("GPU", 0), gpus, jobs)) for node in nodes)
    if not room:
        found = ", ".join(f"{node.get('CPU', 0):g} cores and {node.get('GPU', 0):g} GPUs" for node in nodes[:3])
        raise HourglassError(
            f"sweep.cpus_per_job={cpus} and sweep.gpus_per_job={gpus:g}: no node of the Ray cluster has room for a job;"
            f" they have {found}"
        )
    at_once = settings.workers if settings.workers and not gpus else jobs
    return Ray(places=min(room, jobs, at_once), cpus=cpus, gpus=gpus, at_once=at_once, uri=uri)


def _on_gpus(there: float, wanted: float, jobs: int) -> int:
    """Jobs that fit on a node's GPUs: a part of a GPU is a part of one, never of two."""
    if not wanted:
        return jobs
    return int(there // wanted) if wanted >= 1 else int(there) * int(1 / wanted + 1e-9)
