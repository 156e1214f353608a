"""What a process of a sweep does before any job trains; how jobs train and fail is tested with whole sweeps."""

from itertools import product

import pytest
from omegaconf import OmegaConf

import hourglass.pipeline.compose
from hourglass.configuration.composition import compose_config
from hourglass.sweeps.job import Job
from hourglass.sweeps.worker import refusals


def test_what_makes_no_sense_is_found_once_for_all_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    real = hourglass.pipeline.compose.compose
    monkeypatch.setattr(
        hourglass.pipeline.compose,
        "compose",
        lambda config, **rest: (built.append(config.model.code_size), real(config, **rest)),
    )
    jobs = {}
    for size, seed in product((2, 0, 3), (0, 1, -1)):
        config, choices = compose_config(["data=digits", f"model.code_size={size}", f"seed={seed}"])
        plain = OmegaConf.to_container(config, resolve=True)
        jobs[size, seed] = Job(number=len(jobs), overrides=(), config=plain, choices=choices, folder="")
    reasons = refusals(list(jobs.values()))
    assert built == [2, 0, 3]
    assert {at: reasons.get(job.key, "").partition(", got")[0] for at, job in jobs.items()} == {
        **dict.fromkeys(jobs, ""),
        **{(0, seed): "model.code_size must be at least 1" for seed in (0, 1)},
        **{(size, -1): f"seed must be a whole number from 0 to {2**32 - 1}" for size in (2, 0, 3)},
    }
