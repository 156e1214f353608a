"""What a job costs besides its training, and whether a long sweep stays as it began.

A sweep of tiny jobs (one epoch of 64 digits, tracking and pictures on), watched from outside: when each job ends, and
how much memory and how many open files the sweep's own process and its fork server hold.

    python benchmarks/many_jobs.py [--jobs 1000] [--workers 2] [--max-stack auto] [--output MANY_JOBS.md]
"""

import argparse
import datetime
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

import psutil
from bench import Usage
from page import processor

HERE = Path(__file__).parent


def watch(
    process: psutil.Popen, ends: list[float], memory: list[tuple[int, float]], files: list[tuple[int, int]]
) -> None:
    """Once a second: jobs done, and the megabytes and open files of the processes that live as long as the sweep."""
    while process.poll() is None:
        try:
            # Jobs are the fork server's children: not counted.
            lasting = [process, *process.children()]
            held = sum(each.memory_info().rss for each in lasting if each.is_running()) / 2**20
            open_there = sum(each.num_fds() for each in lasting if each.is_running())
        except psutil.NoSuchProcess:
            continue
        memory.append((len(ends), held))
        files.append((len(ends), open_there))
        time.sleep(1)


def main() -> None:
    """Run, watch, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--max-stack", default="auto", help="1: each job in a process of its own")
    parser.add_argument("--output", type=Path, default=HERE / "MANY_JOBS.md")
    options = parser.parse_args()
    if options.jobs < 40:
        parser.error(f"--jobs must be at least 40, got {options.jobs}")
    command = [
        *(sys.executable, "-m", "hourglass", "train", "-m", f"seed=range({options.jobs})"),
        *("data=digits", "data.train_size=64", "training.epochs=1", "trainer.accelerator=cpu"),
        *(
            "callback=[quick,pictures,baselines]",
            f"sweep.workers={options.workers}",
            f"sweep.max_stack={options.max_stack}",
        ),
    ]
    used = Usage(sorted(os.sched_getaffinity(0)))
    ends: list[float] = []
    memory: list[tuple[int, float]] = []
    files: list[tuple[int, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        began = time.perf_counter()
        process = psutil.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        watcher = threading.Thread(target=watch, args=(process, ends, memory, files))
        watcher.start()
        output = []
        for line in process.stdout:
            output.append(line)
            if line.startswith("done "):
                ends.append(time.perf_counter() - began)
        watcher.join()
        whole = time.perf_counter() - began
    if process.wait() or len(ends) != options.jobs:
        sys.exit(f"{len(ends)} of {options.jobs} jobs done:\n{''.join(output[-30:])}")
    tenth = options.jobs // 10
    pace = [(ends[at + tenth - 1] - ends[at]) / (tenth - 1) for at in range(0, options.jobs - tenth + 1, tenth)]
    held, opened = (
        [median(size for done, size in each if at <= done < at + tenth) for at in (tenth, options.jobs - tenth)]
        for each in (memory, files)
    )
    words = f"--jobs {options.jobs} --workers {options.workers} --max-stack {options.max_stack}"
    text = f"""\
# Many jobs

{options.jobs} jobs of one epoch over 64 digits, with tracking and pictures, {options.workers} at a time: the
training takes milliseconds, what is measured is the rest.

- command: `python benchmarks/many_jobs.py {words}`
- date: {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}
- machine: {processor()}, {len(os.sched_getaffinity(0))} cores, {platform.system()}, Python {platform.python_version()}
- other processes used {used.by_others():.0%} of these cores meanwhile

| | |
|---|---|
| the whole sweep | {whole:.0f} s |
| until the first job had ended | {ends[0]:.1f} s |
| each further job, median over tenths of the sweep | {median(pace):.3f} s |
| the same in the first tenth, in the last | {pace[0]:.3f} s, {pace[-1]:.3f} s |
| memory of the sweep's process and fork server in the second tenth, in the last | {held[0]:.0f} MB, {held[1]:.0f} MB |
| open files of both in the second tenth, in the last | {opened[0]:.0f}, {opened[1]:.0f} |
"""
    options.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
