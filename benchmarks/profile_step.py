"""What the time of a training step goes to, by torch's own profiler: shares of one core's time, largest first.

    python benchmarks/profile_step.py [--bf16] [--steps 8] [KEY=VALUE ...]

with the words of `hourglass train`, as `model=conv training.batch_size=256`.
"""

import argparse
import time
from collections import Counter
from contextlib import AbstractContextManager, nullcontext

import torch
from torch.profiler import ProfilerActivity, profile

from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import compose
from hourglass.system import process
from hourglass.training.minibatch import Minibatch

WARM = 3
GROUPS = {
    "convolutions": ("convolution",),
    "pooling, with its indices": ("max_pool",),
    "products": ("addmm", "::mm", "bmm", "linear"),
    "upsampling": ("upsample", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle"),
    "activations": ("threshold", "clamp_min", "relu", "sigmoid", "tanh"),
    "loss": ("log1p", "::log", "cross_entropy", "mse", "CrossEntropy"),
    "copies and fills": ("copy_", "fill_", "::cat", "contiguous", "clone"),
    "optimizer": ("Optimizer", "lerp", "addcmul", "addcdiv", "foreach", "fused_adam"),
}
"""What an operation counts as, by a part of its name."""


def main() -> None:
    """Profile, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bf16", action="store_true", help="convolutions and products in bfloat16")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    process.before_training()
    torch.set_num_threads(1)
    config, _ = compose_config(options.words)
    learner = compose(config).learner
    if not isinstance(learner, Minibatch):
        parser.error("training makes no steps")
    split = learner.data.train
    size = learner.settings.batch_size
    x = learner.data.scaled(split.x[:size])
    y = split.y[:size] if learner.labelled and split.y is not None else None
    learner.train()

    def step() -> None:
        precise: AbstractContextManager[None] = nullcontext()
        with torch.autocast("cpu", torch.bfloat16) if options.bf16 else precise:
            learner.step(x, learner.noise(x), y)

    for _ in range(WARM):
        step()
    began = time.perf_counter()
    for _ in range(options.steps):
        step()
    milliseconds = (time.perf_counter() - began) / options.steps * 1000
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(options.steps):
            step()
    shares: Counter[str] = Counter()
    for each in found.key_averages():
        group = next((name for name, parts in GROUPS.items() if any(part in each.key for part in parts)), "the rest")
        shares[group] += each.self_cpu_time_total
    whole = shares.total()
    print(f"{' '.join(options.words)}: {milliseconds:.1f} ms a step of {len(x)} samples on one core\n")
    for name, part in shares.most_common():
        print(f"{part / whole:6.1%}  {name}")
    print(
        "\n", found.key_averages().table(sort_by="self_cpu_time_total", row_limit=15, max_name_column_width=45), sep=""
    )


if __name__ == "__main__":
    main()
