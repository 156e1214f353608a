"""The group `sweep`: what a machine's cores and GPUs, or a cluster's, are made into."""

import os
from typing import Any

import pytest

from hourglass.sweeps import Settings
from hourglass.sweeps.engine import Local, open_engine
from hourglass.sweeps.ray_engine import _check_reach, _fitted
from hourglass.system.errors import HourglassError


def settings(**keys: Any) -> Settings:
    plain: dict[str, Any] = {
        "engine": "local",
        "workers": None,
        "slots_per_gpu": 1,
        "address": None,
        "cpus_per_job": None,
        "gpus_per_job": None,
        "max_stack": "auto",
        "rerun": False,
    }
    return Settings(**{**plain, **keys})


def test_cores_are_shared_out() -> None:
    cores = len(os.sched_getaffinity(0))
    assert [slot.threads for slot in settings().slots(accelerator="cpu", jobs=100)] == [1] * cores
    (alone,) = settings().slots(accelerator="cpu", jobs=1)
    assert alone.threads == cores


def test_gpus_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5")
    twice = settings(slots_per_gpu=2)
    assert [slot.gpu for slot in twice.slots(accelerator="auto", jobs=3)] == ["2", "GPU-5", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert {slot.gpu for slot in twice.slots(accelerator="auto", jobs=3)} == {None}


def test_a_job_of_several_devices_takes_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = len(os.sched_getaffinity(0))
    on_cpu = settings().slots(accelerator="cpu", jobs=100, devices=2)
    assert [slot.threads for slot in on_cpu] == [cores // len(on_cpu)] * max(1, cores // 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3,GPU-5")
    assert [slot.gpu for slot in settings().slots(accelerator="auto", jobs=3, devices=2)] == ["2,3"]
    with pytest.raises(HourglassError, match=r"trainer\.devices must be at most 3, the GPUs that are here, got 4"):
        settings().slots(accelerator="auto", jobs=1, devices=4)
    ray = settings(engine="ray")
    with (
        pytest.raises(HourglassError, match=r"trainer\.devices must be 1 with sweep\.engine=ray"),
        open_engine(ray, accelerator="cpu", jobs=1, uri="sqlite:///unused.db", devices=2),
    ):
        pass


def test_the_local_engine_has_the_slots_of_this_machine() -> None:
    with open_engine(settings(workers=3), accelerator="cpu", jobs=2, uri="sqlite:///unused.db") as engine:
        assert isinstance(engine, Local)
        assert (engine.places, engine.gpu) == (2, False)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"engine": "slurm"}, "engine must be one of local, ray, got 'slurm'"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"slots_per_gpu": 0}, "slots_per_gpu must be at least 1, got 0"),
        ({"max_stack": 0}, "max_stack must be at least 1, got 0"),
        ({"engine": "ray", "cpus_per_job": 0}, "cpus_per_job must be at least 1, got 0"),
        ({"engine": "ray", "gpus_per_job": -1}, "gpus_per_job must be from 0 to 1 or a whole number, got -1"),
        ({"engine": "ray", "gpus_per_job": 1.5}, "gpus_per_job must be from 0 to 1 or a whole number, got 1.5"),
        ({"engine": "ray", "address": "ray://a:1"}, "address must be null, auto or HOST:PORT, got 'ray://a:1'"),
        ({"address": "auto"}, "address must be null without sweep.engine=ray, got 'auto'"),
        ({"gpus_per_job": 0.5}, "gpus_per_job must be null without sweep.engine=ray, got 0.5"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(keys: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match="must be") as error:
        settings(**keys)
    assert str(error.value) == expected


NODES = [{"CPU": 8.0, "GPU": 2.0}, {"CPU": 2.0, "GPU": 1.0}, {"CPU": 4.0}]


@pytest.mark.parametrize(
    ("keys", "accelerator", "places", "gpus"),
    [
        ({}, "cpu", 14, 0.0),  # 8 + 2 + 4 cores
        ({"cpus_per_job": 3}, "cpu", 3, 0.0),  # 2 + 0 + 1
        ({"workers": 5}, "cpu", 5, 0.0),
        ({}, "auto", 3, 1.0),  # 2 + 1 GPUs
        ({"slots_per_gpu": 3}, "auto", 8, 1 / 3),  # 6 on the first, 2 cores on the second
        ({"gpus_per_job": 0.4}, "auto", 6, 0.4),  # two to a GPU: a job's part is one of one GPU
        ({"gpus_per_job": 2}, "auto", 1, 2),
        ({"gpus_per_job": 0}, "auto", 14, 0),
    ],
    ids=str,
)
def test_what_fits_on_a_cluster(keys: dict[str, Any], accelerator: str, places: int, gpus: float) -> None:
    ray = _fitted(settings(engine="ray", **keys), NODES, accelerator=accelerator, jobs=100, uri="http://a")
    assert (ray.places, ray.gpus, ray.gpu) == (places, gpus, gpus > 0)


def test_a_job_that_fits_nowhere_is_refused() -> None:
    with pytest.raises(HourglassError, match=r"gpus_per_job=4: no node .* they have 8 cores and 2 GPUs, 2 cores and 1"):
        _fitted(settings(engine="ray", gpus_per_job=4), NODES, accelerator="auto", jobs=9, uri="http://a")
    with pytest.raises(HourglassError, match=r"accelerator=gpu needs a CUDA device, and no node of the Ray cluster"):
        _fitted(settings(engine="ray"), NODES[2:], accelerator="gpu", jobs=9, uri="http://a")


def test_a_file_is_no_place_for_the_runs_of_other_machines() -> None:
    here = os.uname().nodename
    _check_reach("sqlite:////a.db", [here, here])
    _check_reach("http://tracking:5000", [here, "node7"])
    with pytest.raises(HourglassError, match=r"sqlite:////a\.db is a file of this machine, which node7 can't write to"):
        _check_reach("sqlite:////a.db", [here, "node7"])
