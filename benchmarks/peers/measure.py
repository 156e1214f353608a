"""What every PyTorch contender shares: the arrays, the command line, the clock and the report.

A measurement is  steps per second = steps / seconds  over a steady state: the clock starts when the warm-up is
over and is read after a whole optimizer step.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

BATCH = 256
RATE = 1e-3
WARM_UP = 2.0  # seconds


def arguments() -> argparse.Namespace:
    """--net, --seconds (of steady state), --data (a torchvision root, holding MNIST/raw); for Hourglass its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", choices=["small", "deep", "conv"], required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--trainer", choices=["exact", "fast"])
    parser.add_argument("--words", nargs="*", default=[], help="overrides, instead of MNIST's")
    parser.add_argument("--steps", type=int, help="optimizer steps of a fit, which Hourglass is told beforehand")
    return parser.parse_args()


def train_images(root: Path) -> np.ndarray:
    """MNIST's training images, uint8 (60000, 28, 28)."""
    header = 16  # bytes: magic number and three sizes
    path = root / "MNIST/raw/train-images-idx3-ubyte"
    return np.fromfile(path, dtype=np.uint8, offset=header).reshape(-1, 28, 28)


class Clock:
    """Counts the optimizer steps of a steady state.

    Args:
        seconds: how long to measure once the warm-up is over.
        wait: returns when the device has made the steps that it was given; a CPU has.
    """

    def __init__(self, seconds: float, *, wait: Callable[[], object] = lambda: None) -> None:
        self.seconds = seconds
        self.wait = wait
        self.all_steps = 0
        self.steps = 0
        self.elapsed = 0.0
        self._first: float | None = None
        self._start: float | None = None

    def tick(self) -> bool:
        """To be called after every optimizer step; true when enough has been measured."""
        now = time.perf_counter()
        self.all_steps += 1
        if self._first is None:
            self._first = now
        if self._start is not None:
            self.steps += 1
            self.elapsed = now - self._start
        elif now - self._first >= WARM_UP:
            self.wait()
            self._start = time.perf_counter()
        if self._start is not None and self.elapsed >= self.seconds:
            self.wait()
            self.elapsed = time.perf_counter() - self._start
            return True
        return False


def report(*, steps: int, seconds: float, all_steps: int, parameters: int, loss: float, versions: str) -> None:
    """Print the measurement as the last line of the output, JSON."""
    print(
        json.dumps(
            {
                "steps_per_second": steps / seconds,
                "steps": all_steps,
                "parameters": parameters,
                "loss": loss,
                "versions": versions,
            }
        )
    )
