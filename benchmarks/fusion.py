"""What fusion gains: model-steps per second of stacks of 1 to 64 models, over the same models one after another.

A round measures every size of stack beside one model alone, on the same batches, so that a ratio is one of the same
minute; reported is the median over the rounds with the smallest and the largest.

    python benchmarks/fusion.py [--rounds 3] [--seconds 2] [--sizes 1,2,4,8,16,32,64] [--model vanilla] [--data mnist]
                                [--precision 32-true] [--device cpu]

A model-step is one optimizer step of one model: forward, backward, Adam. Only steps are measured, no validation,
tracking or pictures, but with what a stack costs besides its steps: the return of the weights after every chunk.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import cast

import torch

from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import compose
from hourglass.sweeps.fusion.lockstep import template_of
from hourglass.system import process
from hourglass.training.batches import Chunk
from hourglass.training.minibatch import Minibatch
from hourglass.training.stacks.stack import Stack

CHUNK_STEPS = 20


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement")
    parser.add_argument("--sizes", default="1,2,4,8,16,32,64")
    parser.add_argument("--model", default="vanilla")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    process.before_training()
    overrides = [f"model={options.model}", f"data={options.data}"]
    ratios: dict[int, list[float]] = {size: [] for size in sizes}
    alone_rates: list[float] = []
    for _ in range(options.rounds):
        for size in sizes:
            alone, fused = (
                rate(maker, options.seconds, options)
                for maker in (one(overrides, options.device), stack(overrides, size, options.device))
            )
            alone_rates.append(alone)
            ratios[size].append(fused / alone)
    print(
        f"{options.model} on {options.data}, {options.device}, {options.precision}, {torch.get_num_threads()} threads:"
        f" one alone makes {statistics.median(alone_rates):.0f} steps per second"
    )
    print("| stack | model-steps over one by one | smallest | largest |\n|---|---|---|---|")
    for size, found in ratios.items():
        print(f"| {size} | {statistics.median(found):.2f} | {min(found):.2f} | {max(found):.2f} |")


def members(overrides: Sequence[str], size: int, device: str) -> tuple[list[Minibatch], Chunk, Stack]:
    """Learners of different seeds, a chunk of batches and their stack."""
    config, _ = compose_config([*overrides, "training.epochs=100000"])
    data = compose(config).data
    learners = []
    for seed in range(size):
        torch.manual_seed(seed)
        learner = cast(Minibatch, compose(config, data=data).learner).to(device).train()
        learner.configure_optimizers()
        learners.append(learner)
    chunk = Chunk(data.train.x[: CHUNK_STEPS * learners[0].settings.batch_size].to(device), None)
    return learners, chunk, Stack(members=learners, template=template_of(learners, [config], data))


def one(overrides: Sequence[str], device: str) -> Callable[[], int]:
    """Makes the steps of a chunk alone and says how many model-steps that were."""
    (learner,), chunk, _ = members(overrides, 1, device)

    def chunk_of_steps() -> int:
        learner.own_steps(chunk)["loss"].tolist()
        return CHUNK_STEPS

    return chunk_of_steps


def stack(overrides: Sequence[str], size: int, device: str) -> Callable[[], int]:
    """Makes the steps of a chunk in a stack and says how many model-steps that were."""
    learners, chunk, together = members(overrides, size, device)

    def chunk_of_steps() -> int:
        together.advance([chunk] * len(learners))
        return CHUNK_STEPS * len(learners)

    return chunk_of_steps


def rate(work: Callable[[], int], seconds: float, options: argparse.Namespace) -> float:
    """Model-steps per second, after one chunk that isn't measured."""
    half = options.precision == "bf16-mixed"
    with torch.autocast(options.device, torch.bfloat16, enabled=half):
        work()
        done, began = 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            done += work()
    return done / passed


if __name__ == "__main__":
    main()
