"""What Hourglass does on this GPU, in under eight minutes: `make gpu-check`.

    python benchmarks/gpu_check.py [--device cuda|cpu] [--quick] [--only tests,stacks,...] [--output benchmarks/gpu]

Every section is a process with a time limit of its own, and what it has measured by then counts: results.json and
RESULTS.md are written anew after each. `--only` measures its sections anew and leaves the others as they were measured
before. Images are random, because steps take as long on any others and nothing need be fetched. `--device cpu --quick`
walks through all of it in small, where there is no GPU, and writes to build/gpu; `--keep FOLDER` keeps what the
processes said.
"""

import argparse
import datetime
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gpu.page import page

HERE = Path(__file__).parent
ROOT = HERE.parent
WHOLE = 470.0
"""Seconds for everything; what doesn't fit any more is said to be left out."""
PATIENT = 4
"""How many times as long everything may take in small, which is about the script and runs on busy machines."""
JOBS = 8
"""For the slots of a card, so that eight at a time are one round of jobs and one at a time are eight."""
SLOTS = (8, 4, 2, 1)
"""How many at a time; one by one, which takes longest, comes last."""
HEADER = bytes([0, 0, 8, 3])
"""Of an idx file of unsigned bytes with three axes; their lengths follow."""

Found = dict[str, Any]


class Done(NamedTuple):
    """How a process ended."""

    output: str
    seconds: float
    how: str
    """`whole`, `cut off` or `failed: ...`."""


class Check:
    """What sections share.

    Args:
        options: the command line.
        folder: for files of the moment.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.device: str = options.device
        self.quick: bool = options.quick
        self.patience = PATIENT if self.quick else 1
        self.folder = folder
        self.began = time.monotonic()
        self.images = folder / "data/MNIST/raw/train-images-idx3-ubyte"  # where peers look for MNIST
        self.images.parent.mkdir(parents=True)
        count = 2560 if self.quick else 60_000
        values = np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)
        self.images.write_bytes(HEADER + np.array(values.shape, ">i4").tobytes() + values.tobytes())
        self.words = ("data=idx", f"data.path={self.images}", f"trainer.accelerator={self.accelerator}")

    @property
    def accelerator(self) -> str:
        """In the words of `trainer`."""
        return "gpu" if self.device == "cuda" else "cpu"

    def left(self) -> float:
        """Seconds until everything has to have ended."""
        return WHOLE * self.patience - (time.monotonic() - self.began)

    def run(self, words: Sequence[Any], *, limit: float, folder: Path | None = None, **environment: str) -> Done:
        """A process in a folder of its own, ended with its children when its time is up."""
        place = folder or Path(tempfile.mkdtemp(dir=self.folder))
        shown = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db", **environment}
        shown |= {} if self.device == "cuda" else {"CUDA_VISIBLE_DEVICES": ""}
        limit = min(limit * self.patience, self.left())
        if limit < 5:
            return Done("", 0.0, "left out: no time was left")
        began, how = time.monotonic(), "whole"
        with (place / "output.txt").open("w+") as written:
            process = subprocess.Popen(
                [str(word) for word in words],
                cwd=place,
                env=shown,
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                how, code = f"cut off after {limit:.0f} s", 0
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        output = (place / "output.txt").read_text(errors="replace")
        if code:
            lines = [line for line in output.splitlines() if line.strip()]
            how = f"failed: {lines[-1][:200] if lines else f'exit code {code}'}"
        return Done(output, time.monotonic() - began, how)

    def lines(self, words: Sequence[Any], *, limit: float) -> list[Found]:
        """Those of a script's output that are JSON, and at last how it ended, unless it came to its end."""
        done = self.run([sys.executable, *words], limit=limit)
        found = [json.loads(line) for line in done.output.splitlines() if line.startswith("{")]
        return found if done.how == "whole" else [*found, {"ended": f"{Path(words[0]).stem}: {done.how}"}]


def tests(check: Check) -> list[Found]:
    """Those marked `gpu`, each with how it ended."""
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in path.read_text()]
    processes = 0 if check.quick else min(8, os.cpu_count() or 1)
    words = ["-m", "pytest", "-vv", "-m", "gpu", "-n", processes, "-p", "no:cacheprovider", "--rootdir", ROOT]
    done = check.run([sys.executable, *words, "-c", ROOT / "pyproject.toml", *files], limit=100)
    ends: dict[str, str] = {}
    for line in done.output.splitlines():
        test = re.search(r"tests/\S+::.*?(?=\s+(?:PASSED|FAILED|SKIPPED|ERROR)\b|\s*$)", line)
        end = re.search(r"\b(PASSED|FAILED|SKIPPED|ERROR)\b", line)
        if test and end:
            ends[test.group()] = end.group().lower()
    counts = {word: list(ends.values()).count(word) for word in ("passed", "failed", "error", "skipped")}
    bad = [test for test, end in ends.items() if end in ("failed", "error")]
    return [{**counts, "which": bad}, *([] if done.how == "whole" else [{"ended": f"tests: {done.how}"}])]


def single(check: Check) -> list[Found]:
    """Exact and fast runs against a bare loop, steps per second."""
    found: list[Found] = []
    seconds = 0.2 if check.quick else 2.0
    for net in ("small",) if check.quick else ("small", "conv"):
        steps = 0
        for name, script, *words in (
            ("bare loop", "bare_loop.py"),
            ("exact", "hourglass_train.py", "--trainer", "exact"),
            ("fast", "hourglass_train.py", "--trainer", "fast"),
        ):
            common = ["--net", net, "--seconds", seconds, "--data", check.folder / "data", "--device", check.device]
            if steps:
                words = [*words, "--steps", steps, "--words", *check.words[:2]]
            got = check.lines([HERE / "peers" / script, *common, *words], limit=40)
            found += [{"net": net, "name": name, **each} for each in got]
            rates = [each["steps_per_second"] for each in got if "steps_per_second" in each]
            if not rates:
                break
            steps = steps or max(20, round(rates[0] * seconds))
    return found


def stacks(check: Check, ways: str, limits: tuple[float, float]) -> list[Found]:
    """Model-steps per second by size, against one alone."""
    found: list[Found] = []
    sizes = {"dense": "1,4,16,64,256", "conv": "1,4,16,64"}
    for (model, all_sizes), limit in zip(sizes.items(), limits, strict=True):
        chosen = "1,2" if check.quick else all_sizes
        words = ["--device", check.device, "--model", model, "--ways", ways, "--sizes", chosen]
        words += ["--seconds", 0.05 if check.quick else 0.6, "--steps", 2 if check.quick else 20]
        found += check.lines([HERE / "gpu/stacks.py", *words, *check.words], limit=limit)
    return found


def memory(check: Check) -> list[Found]:
    """The largest stack that some gigabytes hold, against what is predicted."""
    words = ["--device", check.device, "--limit", 4 if check.quick else 4096]
    words += ["--gigabytes", 6] if check.device == "cuda" else []
    return [
        each
        for model in ("dense", "conv")
        for each in check.lines([HERE / "gpu/stacks.py", "--model", model, *words, *check.words], limit=25)
    ]


def sweep(check: Check, name: str, jobs: int, *words: str, limit: float) -> Found:
    """Jobs of 400 steps each, everything counted."""
    place = Path(tempfile.mkdtemp(dir=check.folder))
    done = check.run(
        [
            *(sys.executable, "-m", "hourglass", "train", "-m", f"seed=range({jobs})", *check.words),
            *("model.code_size=64", f"training.max_steps={4 if check.quick else 400}", "training.epochs=100"),
            *("callback=quick", *words),
        ],
        limit=limit,
        folder=place,
    )
    asked = (
        "from hourglass.tracking import search_runs; import sys;"
        "print(len(search_runs(sys.argv[1], None, \"tags.kind = 'training' AND status = 'FINISHED'\")))"
    )
    counted = subprocess.run(
        [sys.executable, "-c", asked, f"sqlite:///{place}/mlflow.db"], capture_output=True, text=True, check=False
    )
    finished = int(counted.stdout.split()[-1]) if counted.stdout.split() else 0
    return {"name": name, "jobs": jobs, "finished": finished, "seconds": done.seconds, "how": done.how}


def sweeps(check: Check) -> list[Found]:
    """Many jobs as a sweep, and one after another."""
    jobs = 3 if check.quick else 64
    return [
        sweep(check, "sweep, stacks by itself", jobs, limit=75),
        sweep(check, "one after another", jobs, "hydra/launcher=basic", limit=45),
    ]


def slots(check: Check) -> list[Found]:
    """Single jobs, several at a time on the card."""
    if check.device == "cpu":
        return [{"ended": "skipped: no GPU"}]
    return [
        sweep(check, f"{count}", JOBS, "sweep.max_stack=1", f"sweep.slots_per_gpu={count}", limit=35) for count in SLOTS
    ]


SECTIONS: dict[str, Callable[[Check], list[Found]]] = {
    "tests": tests,
    "stacks": lambda check: stacks(check, "eager,captured", (35, 35)),
    "single": single,
    "sweeps": sweeps,
    "slots": slots,
    "memory": memory,
    "compiled": lambda check: stacks(check, "compiled,both", (45, 45)),
}


def machine(device: str) -> dict[str, str]:
    """What it was measured on."""
    import torch

    found = {"torch": torch.__version__, "cuda": str(torch.version.cuda), "python": platform.python_version()}
    if device == "cpu":
        return {"card": "none: a CPU", "driver": "", **found}
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    memory_held = torch.cuda.get_device_properties(0).total_memory / 2**30
    return {
        "card": f"{torch.cuda.get_device_name(0)}, {memory_held:.0f} GiB",
        "driver": driver[0] if driver else "unknown",
        **found,
    }


def main() -> None:
    """Section after section, each written as soon as it has ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="small: whether the script works")
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--output", type=Path, help="where results.json and RESULTS.md go")
    parser.add_argument("--keep", type=Path, help="a folder that isn't there yet, for the processes' stores and output")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(SECTIONS):
        parser.error(f"--only must be among {','.join(SECTIONS)}, got {','.join(sorted(unknown))}")
    if options.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            parser.error("there is no CUDA device here; --device cpu --quick tries the script without one")
    measured = options.device == "cuda" and not options.quick
    output = options.output or (HERE / "gpu" if measured else ROOT / "build/gpu")
    output.mkdir(parents=True, exist_ok=True)
    results: Found = machine(options.device)
    part = [] if set(chosen) == set(SECTIONS) else ["--only", options.only]
    try:
        measured_before = before(output / "results.json", results) if part else {}
    except ValueError as error:
        parser.error(str(error))
    small = [*([] if options.device == "cuda" else ["--device", options.device]), *(["--quick"] * options.quick)]
    asked = {
        "command": " ".join(["python benchmarks/gpu_check.py", *small, *part]),
        "date": f"{datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}",
    }
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        if options.keep:
            options.keep.mkdir(parents=True)
        check = Check(options, options.keep.resolve() if options.keep else Path(folder))
        sections = measured_before
        for name in chosen:
            began = time.monotonic()
            found = SECTIONS[name](check)
            sections[name] = {**asked, "seconds": round(time.monotonic() - began, 1), "found": found}
            results["sections"] = {each: sections[each] for each in SECTIONS if each in sections}
            (output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
            (output / "RESULTS.md").write_text(page(results))
            print(f"{name}: {sections[name]['seconds']:.0f} s", flush=True)
    print(output / "RESULTS.md")


def before(file: Path, now: dict[str, str]) -> Found:
    """The sections that were measured before, on the same card with the same packages: others don't fit on one page.

    Raises:
        ValueError: it was another card, or other packages.
    """
    if not file.exists():
        return {}
    there = json.loads(file.read_text())
    if differing := [f"{key} {there.get(key)}, now {value}" for key, value in now.items() if there.get(key) != value]:
        raise ValueError(
            f"{file} was measured with {'; '.join(differing)}: measure everything, without --only, or with --output"
        )
    return dict(there["sections"])


if __name__ == "__main__":
    main()
