"""Memory: a bound that holds, and what happens where a stack finds too little."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hourglass.sweeps.fusion.memory import fitting, is_lack

HERE = str(Path(__file__).parent)


def test_as_many_members_fit_as_the_memory_holds() -> None:
    # 0.8 * 1000 / 2 = 400 bytes for each of two processes
    assert fitting(100, free=1000, sharing=2) == 4
    assert fitting(101, free=1000, sharing=2) == 3
    assert fitting(1000, free=1000, sharing=2) == 1


def test_what_says_that_memory_ran_out() -> None:
    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 60)
    assert is_lack(refused.value)
    assert is_lack(MemoryError())
    assert is_lack(torch.OutOfMemoryError())
    assert not is_lack(RuntimeError("something else"))


SCRIPT = """
import logging, resource, sys
from pathlib import Path
import torch
sys.path.insert(0, {here!r})
from test_laws import differs
from test_lockstep import QUIET, jobs, single, train_fused
torch.set_num_threads(1)
logging.basicConfig(level=logging.INFO, format="%(message)s")
# Large batches and small weights: it is the steps that need memory, not the checkpoints.
common = (*QUIET, "data=breast_cancer", "data.train_size=null", "training.batch_size=400", "training.epochs=2")
common += ("trainer.precision=64-true", "model=multilayer", "model.depth=1", "model.output_activation=linear")
widths = (5000, 2000, 4000, 5000)
members = [[f"model.widths=[{{width}}]", f"seed={{seed}}"] for seed, width in enumerate(widths)]
here, there = (jobs(Path({folder!r}) / name, *members, common=common) for name in ("fused", "alone"))
alone = [single(job) for job in there]
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 400_000_000, resource.RLIM_INFINITY))
fused = train_fused(here)
assert [each.error for each in fused] == [None] * 4, fused
print(max(differs(one.parts.model, other.result.parts.model) for one, other in zip(alone, fused)))
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.slow
def test_a_stack_too_large_for_the_memory_is_split_and_its_members_become_what_they_would(tmp_path: Path) -> None:
    ended = run(SCRIPT.format(here=HERE, folder=str(tmp_path)))
    assert ended.returncode == 0, ended.stderr
    assert "4 models don't fit the memory at once: going on with two stacks" in ended.stderr
    assert float(ended.stdout) < 1e-8


PEAK = """
import resource, sys
from pathlib import Path
from omegaconf import OmegaConf
from hourglass.system import process
from hourglass.configuration.composition import compose_config
from hourglass.sweeps.fusion.memory import member_bytes
from hourglass.sweeps.fusion.benchmark import _Bench
process.before_training()
config, _ = compose_config(["data=mnist", "data.train_size=2000", "trainer.accelerator=cpu", *sys.argv[1:]])
def held(kind):  # bytes; pages of files come and go as the machine likes
    return sum(int(line.split()[1]) * 1024 for line in Path("/proc/self/status").open() if line.startswith(kind))
bench = _Bench([OmegaConf.to_container(config, resolve=True)])
bench.alone()
bound, before = member_bytes(bench.learners[0], bench.chunk), held("RssAnon")
steps = bench.stacked(40)
steps(), steps()
taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - held(("RssFile", "RssShmem")) - before) / 40
print(taken / bound)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ["model.code_size=64"],
        ["model=multilayer", "model.depth=2", "model.widths=[512,256]"],
        ["model.code_size=64", "regularizer=contractive"],
        ["bottleneck=gaussian", "loss.reduction=sum", "noise=gaussian", "optimizer=sgd"],
        ["bottleneck=gaussian", "loss.reduction=sum", "training=hamiltonian", "training.steps=2"],
    ],
    ids=str,
)
def test_a_member_takes_at_most_what_is_reckoned_with(overrides: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PEAK, *overrides], capture_output=True, text=True, env={**os.environ}, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert 0.2 < float(ended.stdout.split()[-1]) < 1
