"""Model-steps per second of stacks by size and way, or how many members memory holds; a line of JSON for each number.

    python benchmarks/gpu/stacks.py --device cuda --model dense --sizes 1,4,16 --ways eager,captured --seconds 1 WORD...
    python benchmarks/gpu/stacks.py --device cuda --model dense --limit 4096 WORD...

WORD...: overrides of the configuration, the data among them.
"""

import argparse
import gc
import json
import time
from collections.abc import Callable
from typing import Any

import torch
from ways import chunk_of, learner_of, stack_of

from hourglass.configuration.composition import compose_config
from hourglass.sweeps.fusion.memory import fitting, free_bytes, is_lack, member_bytes
from hourglass.system import process

NETS = {
    "dense": ["model=vanilla", "model.code_size=64"],
    "conv": ["model=conv", "model.widths=[16,8,8]", "model.decoder_padding=[same,same,valid,same]"],
}


def rate(work: Callable[[], int], seconds: float) -> float:
    """Steps per second, after two chunks that aren't measured; each ends with a copy to the host, which waits."""
    work(), work()
    done, began = 0, time.perf_counter()
    while True:
        done += work()
        if (passed := time.perf_counter() - began) >= seconds:
            return done / passed


def say(**found: Any) -> None:
    """One line, at once: what was measured stays when the time is up."""
    print(json.dumps(found), flush=True)


def sizes(options: argparse.Namespace) -> None:
    """Each size in each way, and one model alone before each size, so that a ratio is one of the same moment."""
    config, _ = compose_config([*NETS[options.model], "training.epochs=100000", *options.words])
    learner = learner_of(config, options.device)
    chunk = chunk_of(learner, options.steps)
    count = len(learner.batches(chunk))

    def alone() -> int:
        learner.own_steps(chunk)["loss"].tolist()
        return count

    for size in map(int, options.sizes.split(",")):
        for way in options.ways.split(","):
            common = {"model": options.model, "precision": options.precision, "way": way, "size": size}
            if way in ("captured", "both") and options.device == "cpu":
                say(**common, failed="skipped: no GPU")
                continue
            try:
                with torch.autocast(options.device, torch.bfloat16, enabled=options.precision == "bf16-mixed"):
                    one = rate(alone, options.seconds / 2)
                    began = time.perf_counter()
                    stack = stack_of(way, learner, config, size)
                    stack.advance([chunk] * size)
                    first = time.perf_counter() - began
                    every = rate(lambda: len(stack.advance([chunk] * size)) * count, options.seconds)  # noqa: B023
                say(**common, alone=one, rate=every, first=first)
            except Exception as error:  # whatever a library doesn't do yet is a finding too
                say(**common, failed=(str(error).strip() or type(error).__name__).splitlines()[0][:200])
            stack = None
            gc.collect()
            if options.device == "cuda":
                torch.cuda.empty_cache()


def limit(options: argparse.Namespace) -> None:
    """The most members that memory holds, by doubling and halving, beside what is predicted."""
    config, _ = compose_config([*NETS[options.model], "training.epochs=100000", *options.words])
    learner = learner_of(config, options.device)
    chunk = chunk_of(learner, 2)
    free = free_bytes(torch.device(options.device))
    if options.gigabytes:  # as if the card were smaller: its limit is found sooner
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, options.gigabytes * 2**30 / whole))
        free = min(free, int(options.gigabytes * 2**30) - torch.cuda.memory_reserved())
    member = member_bytes(learner, chunk)
    predicted = fitting(member, free=free, sharing=1)
    say(model=options.model, member=member, free=free, predicted=predicted)
    good, bad, size = 0, options.limit + 1, min(max(1, predicted), options.limit)
    while good + max(1, good // 50) < bad and size <= options.limit:  # to a fiftieth
        try:
            began = time.perf_counter()
            stack = stack_of("eager", learner, config, size)
            stack.advance([chunk] * size)
            stack = None
            good = size
            say(model=options.model, holds=size, seconds=time.perf_counter() - began)
        except Exception as error:
            if not is_lack(error):
                raise
            bad = size
            say(model=options.model, refuses=size)
        stack = None
        gc.collect()
        if options.device == "cuda":
            torch.cuda.empty_cache()
        size = min(2 * good, options.limit) if bad > options.limit else (good + bad) // 2
        if size in (good, 0):
            break


def main() -> None:
    """Measure and say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--model", choices=tuple(NETS), default="dense")
    parser.add_argument("--sizes", default="1,4,16,64")
    parser.add_argument("--ways", default="eager")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one measurement")
    parser.add_argument("--steps", type=int, default=20, help="of a chunk")
    parser.add_argument("--limit", type=int, default=0, help="the most members that are tried; 0: measure speed")
    parser.add_argument("--gigabytes", type=float, help="of the card's memory, for --limit; default: all")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    process.before_training()
    limit(options) if options.limit else sizes(options)


if __name__ == "__main__":
    main()
