"""Whether compiled stacks would pay in a sweep: the steps of one, eager and compiled, on one core.

The sweep is that of `make sweep`, 54 jobs of code size by depth. For each of its depths a stack of 8 code sizes and
seeds makes steps as the product does, and with forward and backward compiled by TorchInductor. From steps per second
and the seconds of the first step, counted twice, for the last batch of an epoch is smaller and has a program of its
own, follows what all its steps would take. Everything else that a sweep does stays as it is, so the whole gains less.

    python benchmarks/compiled.py [--rounds 3] [--seconds 4] [--threads 1]

With an empty TORCHINDUCTOR_CACHE_DIR the first round's first steps are those of a machine that has compiled none.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

sys.path.append(str(Path(__file__).parent / "gpu"))  # behind this folder, which has a page.py too
from page import processor
from ways import Compiled, chunk_of

from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import compose
from hourglass.sweeps.fusion.lockstep import template_of
from hourglass.system import process
from hourglass.training.stacks.stack import Stack

SIZES = (2, 4, 8, 16, 32, 64)
DEPTHS = (0, 1, 2)
JOBS_OF_A_DEPTH, STEPS = 18, 8 * 215
MEMBERS = 8
CHUNK = 20


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of one measurement")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="bf16-mixed")
    options = parser.parse_args()
    process.before_training()
    torch.set_num_threads(options.threads)
    print(f"{processor()}, torch {torch.__version__}, {options.precision}")
    print("| depth | eager | compiled | compiled over eager | first steps, s | first steps again, s |")
    print("|---|---|---|---|---|---|")
    saved: list[float] = []
    eager_seconds: list[float] = []
    for depth in DEPTHS:
        found: dict[str, list[float]] = {"eager": [], "compiled": [], "first": []}
        for _ in range(options.rounds):
            for name, kind in (("eager", Stack), ("compiled", Compiled)):
                first, rate = measured(kind, depth, options)
                found[name].append(rate)
                if kind is Compiled:
                    found["first"].append(first)
        eager, compiled = (median(found[name]) for name in ("eager", "compiled"))
        cold, *warm = found["first"]
        again = median(warm) if warm else cold
        print(f"| {depth} | {eager:.0f} | {compiled:.0f} | {compiled / eager:.2f} | {cold:.1f} | {again:.1f} |")
        steps = JOBS_OF_A_DEPTH * STEPS
        # The last batch of an epoch is smaller, and has a program of its own; further stacks find both in the cache.
        stacks = -(-JOBS_OF_A_DEPTH // MEMBERS)
        eager_seconds.append(steps / eager)
        saved.append(steps / eager - steps / compiled - 2 * (cold + (stacks - 1) * again))
    print(
        f"all steps of the sweep's 54 jobs, on one core: {sum(eager_seconds):.0f} s eager; compiled saves"
        f" {sum(saved):.0f} s of them, the making of programs taken off"
    )


def measured(kind: type[Stack], depth: int, options: Any) -> tuple[float, float]:
    """Seconds of the first step, and model-steps per second after the first chunk."""
    learners, configs = [], []
    data = None
    for number in range(MEMBERS):
        words = [
            *("experiment=code_size_by_depth", f"model.depth={depth}", f"model.code_size={SIZES[number % len(SIZES)]}"),
            *(f"seed={number}", f"trainer.precision={options.precision}", "training.epochs=100000"),
        ]
        config, _ = compose_config(words)
        torch.manual_seed(number)
        parts = compose(config, data=data)
        data = parts.data
        learner: Any = parts.learner
        learner.train().configure_optimizers()
        learners.append(learner)
        configs.append(config)
    assert data is not None
    stack = kind(members=learners, template=template_of(learners, configs, data))
    cast = torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16-mixed")

    def advance(steps: int) -> None:
        chunk = chunk_of(learners[0], steps)
        with cast:
            stack.advance([chunk] * MEMBERS)
        for learner in learners:
            learner.steps_done += steps

    began = time.perf_counter()
    advance(1)
    first = time.perf_counter() - began
    advance(CHUNK)
    began, made = time.perf_counter(), 0
    while time.perf_counter() - began < options.seconds:
        advance(CHUNK)
        made += CHUNK * MEMBERS
    return first, made / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
