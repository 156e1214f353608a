"""Speed against peers: optimizer steps per second of the same nets, as ratios measured in one sitting.

A round measures every contender once, each in a process of its own, one after another on the same cores. Machines
drift and are shared, so a ratio is taken within a round, and what is reported is the median over the rounds with the
smallest and the largest.

    python benchmarks/bench.py [--rounds 5] [--seconds 8] [--nets small,deep,conv] [--quick]

The first call installs the peers under .bench-peers/, each in its own environment; the result is RESULTS.md.
"""

import argparse
import contextlib
import ctypes
import json
import os
import resource
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any, NamedTuple

from page import NETS, Measurement, Round, page

HERE = Path(__file__).parent
PEERS = HERE / "peers"
ENVIRONMENTS = HERE.parent / ".bench-peers"
FULL = {"rounds": 5, "seconds": 8.0}
QUICK = {"rounds": 2, "seconds": 3.0}
LONGEST = 900  # seconds that one measurement may take


class Contender(NamedTuple):
    """One way to train the nets."""

    script: str
    environment: str | None
    """Folder under .bench-peers; None: the project's own environment."""
    arguments: tuple[str, ...] = ()


CONTENDERS = {
    "bare PyTorch loop": Contender("bare_loop.py", None),
    "Hourglass exact": Contender("hourglass_train.py", None, ("--trainer", "exact")),
    "Hourglass fast": Contender("hourglass_train.py", None, ("--trainer", "fast")),
    "Keras": Contender("keras_fit.py", "keras"),
    "pythae": Contender("pythae_trainer.py", "pythae"),
    "Lightning + DataLoader": Contender("lightning_loader.py", None),
}


def install(name: str) -> None:
    """Make a peer's environment, unless its requirements are installed already."""
    folder, requirements = ENVIRONMENTS / name, PEERS / f"requirements-{name}.txt"
    stamp, wanted = folder / "installed.txt", requirements.read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"installing {name} into {folder.relative_to(HERE.parent)}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    if name != "keras":
        # Our own packages stand behind the peer's: the same torch, and no second 6 GB.
        paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
        ours = (sysconfig.get_path("purelib"), str(HERE.parent / "src"))
        Path(paths["purelib"], "project.pth").write_text("".join(f"{path}\n" for path in ours))
    pip: list[str | Path] = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", requirements], check=True)
    stamp.write_text(wanted)


def data_root() -> Path:
    """The folder that holds MNIST/raw, fetched by Hourglass when it isn't there."""
    root = Path(os.environ.get("HOURGLASS_CACHE", Path.home() / ".cache/hourglass"))
    if not (root / "MNIST/raw/train-images-idx3-ubyte").exists():
        from hourglass.data import mnist

        settings: dict[str, Any] = {"validation": "split", "train_size": None, "test_size": None}
        mnist(root=None, validation_size=5000, split_seed=0, order_seed=0, resident="never", **settings)
    return root


def measure(name: str, net: str, *, seconds: float, steps: int, root: Path) -> Measurement:
    """Run one contender once; adds the seconds of its whole process.

    Args:
        name: of the contender.
        net: small, deep or conv.
        seconds: steady state to measure.
        steps: length of the fit, for a contender that has to know it beforehand.
        root: where MNIST/raw is.

    Raises:
        RuntimeError: the contender failed, or trained another net than the others.
    """
    contender = CONTENDERS[name]
    python = ENVIRONMENTS / contender.environment / "bin/python" if contender.environment else sys.executable
    command = [python, PEERS / contender.script, "--net", net, "--seconds", seconds, "--data", root]
    command += [*contender.arguments, "--steps", steps]
    # No contender may use a GPU or more cores than another: the affinity set in main is inherited.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    start = time.perf_counter()
    result = subprocess.run(
        [str(word) for word in command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"{name} on {net} failed:\n{result.stderr[-3000:]}")
    measured: Measurement = json.loads(result.stdout.splitlines()[-1])
    measured["process_seconds"] = time.perf_counter() - start
    expected = NETS[net][1]
    if measured["parameters"] != expected:
        raise RuntimeError(f"{name} on {net} has {measured['parameters']} parameters, expected {expected}")
    return measured


def sitting(net: str, *, rounds: int, seconds: float, root: Path) -> list[Round]:
    """All rounds of one net."""
    done: list[Round] = []
    for number in range(1, rounds + 1):
        this: Round = {}
        for name in CONTENDERS:
            # Hourglass is told a number of steps: about `seconds` at the rate of its last round, or of the bare loop.
            known = (done[-1] if done else {}).get(name) or this.get("bare PyTorch loop") or {}
            steps = max(20, round(seconds * known.get("steps_per_second", 0)))
            this[name] = measure(name, net, seconds=seconds, steps=steps, root=root)
            rate = this[name]["steps_per_second"]
            print(f"{net} round {number}/{rounds} {name}: {rate:.1f} steps/s", flush=True)
        done.append(this)
    return done


_PR_SET_CHILD_SUBREAPER = 36  # of <linux/prctl.h>


class Usage:
    """How busy the cores are with other things than the benchmark.

        others = (busy seconds of the cores - CPU seconds of the contenders) / (busy + idle seconds of the cores)

    Args:
        cores: numbers of the cores that the contenders share.
    """

    def __init__(self, cores: list[int]) -> None:
        self.names = {f"cpu{core}" for core in cores}
        # What outlives the command that started it, as a sweep's fork server does by a moment, becomes a child of this
        # process: its time, with that of the jobs that it has seen end, counts as the contenders'.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.before = self._seconds()

    def _seconds(self) -> tuple[float, float, float]:
        """Busy and all seconds of the cores, CPU seconds of the contenders, since some past moment."""
        busy = total = 0.0
        for line in Path("/proc/stat").read_text().splitlines():
            name, *fields = line.split()
            if name in self.names:
                ticks = [int(field) for field in fields[:8]]  # user nice system idle iowait irq softirq steal
                total += sum(ticks)
                busy += sum(ticks) - ticks[3] - ticks[4]
        per_second = os.sysconf("SC_CLK_TCK")
        contenders = resource.getrusage(resource.RUSAGE_CHILDREN)
        return busy / per_second, total / per_second, contenders.ru_utime + contenders.ru_stime

    def by_others(self) -> float:
        """The share of the cores' time that went elsewhere since this object was made, from 0 to 1."""
        until = time.monotonic() + 10
        with contextlib.suppress(ChildProcessError):  # there is none any more
            while time.monotonic() < until:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.1)
        busy, total, contenders = (now - then for now, then in zip(self._seconds(), self.before, strict=True))
        return max(0.0, busy - contenders) / total


def main() -> None:
    """Install, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, help=f"default {FULL['rounds']}")
    parser.add_argument("--seconds", type=float, help=f"of steady state per measurement, default {FULL['seconds']:g}")
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK['rounds']} rounds of {QUICK['seconds']:g} s")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    for key, value in (QUICK if options.quick else FULL).items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    nets = options.nets.split(",")
    if unknown := set(nets) - set(NETS):
        parser.error(f"--nets must be among {','.join(NETS)}, got {','.join(sorted(unknown))}")
    for name in ("keras", "pythae"):
        install(name)
    cores = sorted(os.sched_getaffinity(0))
    if not 1 <= options.cores <= len(cores):
        parser.error(f"--cores must be from 1 to {len(cores)}, got {options.cores}")
    os.sched_setaffinity(0, cores[: options.cores])
    root = data_root()
    used = Usage(cores[: options.cores])
    results = {net: sitting(net, rounds=options.rounds, seconds=options.seconds, root=root) for net in nets}
    options.others = used.by_others()
    options.output.write_text(page(results, options=options))
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
