"""The engine `ray` on a real Ray instance: jobs and workers really killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from hourglass.sweeps import Settings
from hourglass.sweeps.engine import open_engine
from hourglass.sweeps.study import end_lost
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run, initialise_store, search_runs

if find_spec("ray") is None:
    pytest.skip("the extra `ray` is not installed", allow_module_level=True)

SMALL = [
    *("data=digits", "data.train_size=200", "training.epochs=1", "callback=quick"),
    *("model.code_size=2,4", "seed=0,1"),
]


def settings(**keys: Any) -> Settings:
    plain: dict[str, Any] = {
        "engine": "ray",
        "workers": None,
        "slots_per_gpu": 1,
        "address": None,
        "cpus_per_job": None,
        "gpus_per_job": None,
        "max_stack": "auto",
        "rerun": False,
    }
    return Settings(**{**plain, **keys})


def job(request: tuple[str, str]) -> tuple[int, str, str]:
    what, folder = request
    if what == "raise":
        raise ValueError("1 is not wanted")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "kill the worker":
        try:
            worker = psutil.Process().parent().parent()  # type: ignore[union-attr]
            assert worker is not None
            assert worker.name().startswith("ray::")
            worker.kill()
            time.sleep(120)
        finally:  # its end is told to the job, which can still say so
            Path(folder, "told").touch()
    return os.getpid(), os.environ["CUDA_VISIBLE_DEVICES"], os.environ["MLFLOW_TRACKING_URI"]


def name_of(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:  # it has ended since it was listed
        return ""


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Any, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.long
@pytest.mark.parametrize("last", ["", pytest.param("kill the worker", marks=pytest.mark.slow)])
def test_a_job_or_a_worker_that_is_killed_fails_alone(
    last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # where a Ray worker finds `job`
    cores = len(os.sched_getaffinity(0))
    before, others = signal.getsignal(signal.SIGTERM), set(psutil.Process().children(recursive=True))
    # One job at a time: each Ray worker imports everything, which is what takes the time.
    with open_engine(settings(cpus_per_job=cores), accelerator="cpu", jobs=9, uri="http://there") as engine:
        assert (engine.places, engine.gpu) == (1, False)
        assert signal.getsignal(signal.SIGTERM) is before
        words = ["", "raise", "kill", "", last]
        outcomes = {outcome.job: outcome for outcome in engine.execute(job, [(word, str(tmp_path)) for word in words])}
        assert outcomes[1].failure == "ValueError: 1 is not wanted"
        assert "raise ValueError" in outcomes[1].trace
        assert outcomes[2].failure == "killed by SIGKILL"
        assert [outcomes[each].failure for each in (0, 3)] == [None, None]
        assert outcomes[0].value[1:] == ("", "http://there")
        assert outcomes[0].value[0] != outcomes[3].value[0]  # a process of its own, in the same worker
        if last:
            assert "its Ray worker ended: " in (outcomes[4].failure or "")
            wait_for((tmp_path / "told").exists)
        processes = set(psutil.Process().children(recursive=True)) - others
        assert any("raylet" in name_of(process) for process in processes)
    _, left = psutil.wait_procs(processes, timeout=120)
    assert not left


def test_an_address_where_nobody_answers_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(HourglassError, match=rf"sweep\.address={address} does not answer"),
            open_engine(settings(address=address), accelerator="cpu", jobs=1, uri="http://there"),
        ):
            pass


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "hourglass", "train", "-m", *SMALL, *words]


def test_without_ray_one_line_says_how_to_install_it(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'ray':\n"
        "            raise ModuleNotFoundError(\"No module named 'ray'\", name='ray')\n"
        "sys.meta_path.insert(0, Absent())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command("sweep.engine=ray"), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    expected = "hourglass: sweep.engine=ray: Ray is not installed; pip install 'hourglass[ray]' does it"
    assert done.stderr.splitlines() == [expected]
    assert not (tmp_path / "mlflow.db").exists()


def test_runs_of_a_machine_that_is_gone_are_ended(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    initialise_store(uri)
    study = Run.start(uri=uri, experiment="e", name="study", tags={}, params={})
    runs = {
        key: Run.start(
            uri=uri, experiment="e", name=key, tags={"machine.config_hash": key}, params={}, parent_id=study.id
        )
        for key in ("gone", "other", "here")
    }
    for key in ("gone", "other"):
        runs[key].set_tags({"machine.host": "node7"})
    end_lost(study.id, {"gone", "here"}, uri=uri, reason="its Ray worker ended: node7 died")
    assert {key: Run.find(run.id, uri).status for key, run in runs.items()} == {
        "gone": "KILLED",
        "other": "RUNNING",
        "here": "RUNNING",  # `mark_dead_runs` knows more about those of this machine
    }
    assert Run.find(runs["gone"].id, uri).tags["failure"] == "its Ray worker ended: node7 died"
    for run in (runs["other"], runs["here"], study):
        run.finish()


def points(folder: Path) -> dict[tuple[str, str], float]:
    """Code size and seed of each finished job, and its test error."""
    found = search_runs(f"sqlite:///{folder}/mlflow.db", None, "tags.kind = 'training' AND status = 'FINISHED'")
    assert len({run.data.tags["mlflow.parentRunId"] for run in found}) == 1
    params = [(run.data.params["model.code_size"], run.data.params["seed"]) for run in found]
    assert len(set(params)) == len(params)
    return {point: run.data.metrics["test/mse"] for point, run in zip(params, found, strict=True)}


@pytest.mark.slow
def test_a_sweep_leaves_the_runs_that_it_would_without_ray(tmp_path: Path) -> None:
    said = {}
    for engine in ("local", "ray"):
        (tmp_path / engine).mkdir()
        done = subprocess.run(
            # One thread each, as sums in another order differ in the last digit.
            command(f"sweep.engine={engine}", "sweep.max_stack=1", "tracking.uri=sqlite:///mlflow.db"),
            cwd=tmp_path / engine,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said[engine] = done.stdout + done.stderr
    assert points(tmp_path / "ray") == points(tmp_path / "local")
    assert len(points(tmp_path / "ray")) == 4
    # Nothing of what Ray says to itself, and the logs where they always are.
    assert len(said["ray"].splitlines()) == len(said["local"].splitlines()), said["ray"]
    assert len(list((tmp_path / "ray" / "runs").rglob("train.log"))) == 4


def children(folder: Path, status: str) -> list[Any]:
    if not (folder / "mlflow.db").exists():
        return []
    return search_runs(f"sqlite:///{folder}/mlflow.db", None, f"tags.kind = 'training' AND status = '{status}'")


@pytest.mark.slow
def test_a_killed_job_of_a_sweep_fails_alone_and_the_next_start_completes_it(tmp_path: Path) -> None:
    long = command("sweep.engine=ray", "sweep.max_stack=1", "training.epochs=300", "callback.checkpoints.every=300")
    with (tmp_path / "said").open("w") as said:
        parent = subprocess.Popen(long, cwd=tmp_path, stdout=said, stderr=said)
        wait_for(lambda: parent.poll() is not None or children(tmp_path, "RUNNING"))
        assert parent.poll() is None, (tmp_path / "said").read_text()
        (first, *_) = children(tmp_path, "RUNNING")
        os.kill(int(first.data.tags["machine.pid"]), signal.SIGKILL)
        assert parent.wait(400) == 1
    assert "killed by SIGKILL" in (tmp_path / "said").read_text()
    assert [run.info.run_id for run in children(tmp_path, "KILLED")] == [first.info.run_id]
    assert len(children(tmp_path, "FINISHED")) == 3
    again = subprocess.run(long, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "4 jobs, 3 finished before" in again.stdout + again.stderr
    assert len(points(tmp_path)) == 4


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)], ids=str)
def test_no_job_outlives_the_sweep(how: signal.Signals, code: int, tmp_path: Path) -> None:
    endless = command("sweep.engine=ray", "training.epochs=1000000", "callback.checkpoints.every=1000000")
    with (tmp_path / "said").open("w") as said:
        parent = subprocess.Popen(endless, cwd=tmp_path, stdout=said, stderr=said, start_new_session=True)
        wait_for(lambda: parent.poll() is not None or children(tmp_path, "RUNNING"))
        assert parent.poll() is None, (tmp_path / "said").read_text()
        processes = psutil.Process(parent.pid).children(recursive=True)
        os.killpg(parent.pid, how) if how == signal.SIGINT else parent.send_signal(how)  # as a terminal's Ctrl-C
        assert parent.wait(120) == code, (tmp_path / "said").read_text()
    assert "Traceback" not in (tmp_path / "said").read_text()
    wait_for(lambda: not any(is_alive(each) for each in processes))
    wait_for(lambda: not children(tmp_path, "RUNNING"))
    assert children(tmp_path, "KILLED")
    assert not children(tmp_path, "FINISHED")
