"""Chaos: commands are killed, stopped, started twice, and their store and disks taken away, at random moments.

Afterwards every job must be done exactly once and every status be true, results must equal those of an undisturbed
command to the last bit, and nothing may be left over. A round is one subject (`subjects`), one disturbance
(`disturbances`) and one moment (`moments`), drawn from the seed and the round's number, so that it can be played again:

    make chaos                       # 20 minutes; a new seed each day
    make chaos SEED=7 MINUTES=5
    make chaos SEED=7 ROUND=12       # this one again

The exit code is 1 if something did not hold; the folders of such rounds, with all that was printed, are kept.
"""

import argparse
import datetime
import os
import platform
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from rounds import DISTURBANCES, Chaos, Verdict, clean, plan

RECORD = Path(__file__).resolve().parents[2] / "benchmarks" / "CHAOS.md"
_ROUND = 90.0  # seconds that a round takes at most, as a rule: none begins with less left


def main() -> int:
    """Play rounds until the time is over; what held, what didn't."""
    options = _options()
    # A job that a shell starts in the background ignores Ctrl-C, and so would every command that is interrupted here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    chaos, verdicts, began = Chaos(folder), [], time.monotonic()
    numbers = iter([options.round]) if options.round is not None else iter(range(sys.maxsize))
    print(f"seed {options.seed}, in {folder}", flush=True)
    try:
        for number in numbers:
            spent = time.monotonic() - began
            if options.round is None and spent + _ROUND > 60 * options.minutes:
                break
            drawn = plan(options.seed, number)
            if not re.search(options.only, str(drawn)):
                continue
            verdicts.append(chaos.play(drawn))
            print(_line(verdicts[-1]), flush=True)
    except KeyboardInterrupt:
        print("interrupted")
    kept = clean(folder)
    text = _table(verdicts)
    print(f"\n{text}")
    if options.record and verdicts:
        RECORD.write_text(_page(text, verdicts, options, time.monotonic() - began), encoding="utf-8")
    if kept:
        print(f"what did not hold is in {folder}")
    return int(any(verdict.complaints for verdict in verdicts))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=int(f"{datetime.date.today():%Y%m%d}"))
    parser.add_argument("--round", type=int, default=None, help="play this one only")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--only", default="", help="rounds whose description matches this regular expression")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    return parser.parse_args()


def _line(verdict: Verdict) -> str:
    """A round in one line, with a line for each thing that did not hold."""
    how = "held" if not verdict.complaints else "DID NOT HOLD"
    how = f"skipped: {verdict.skipped}" if verdict.skipped else how
    late = ", came too late" if verdict.late else ""
    lines = [f"{verdict.plan.number:3} {how:12} {verdict.plan}{late} ({verdict.seconds:.0f} s)"]
    return "\n".join([*lines, *(f"      {complaint}" for complaint in verdict.complaints)])


def _table(verdicts: list[Verdict]) -> str:
    """Rounds by disturbance, what held and what didn't."""
    lines = ["| disturbance | rounds | held | came too late | did not hold |", "|---|---|---|---|---|"]
    for name in [each.name for each in DISTURBANCES]:
        mine = [verdict for verdict in verdicts if verdict.plan.disturbance.name == name and not verdict.skipped]
        if mine:
            counts = Counter(bool(verdict.complaints) for verdict in mine)
            late = sum(verdict.late for verdict in mine)
            failed = ", ".join(f"round {verdict.plan.number}" for verdict in mine if verdict.complaints)
            lines.append(f"| {name} | {len(mine)} | {counts[False]} | {late} | {failed} |")
    played = [verdict for verdict in verdicts if not verdict.skipped]
    held = sum(not verdict.complaints for verdict in played)
    lines += ["", f"{held} of {len(played)} rounds held."]
    if skipped := Counter((verdict.plan.disturbance.name, verdict.skipped) for verdict in verdicts if verdict.skipped):
        lines += [f"Not played: {name} ({why})." for name, why in skipped]
    return "\n".join(lines)


def _page(text: str, verdicts: list[Verdict], options: argparse.Namespace, seconds: float) -> str:
    """The record."""
    findings = []
    for verdict in verdicts:
        if verdict.complaints:
            findings += [f"- `make chaos SEED={options.seed} ROUND={verdict.plan.number}` ({verdict.plan}):"]
            findings += [f"  - {complaint}" for complaint in verdict.complaints]
    words = f"SEED={options.seed} MINUTES={options.minutes:g}" + (f" ONLY='{options.only}'" if options.only else "")
    return "\n".join(
        [
            "# Chaos",
            "",
            "Commands that are disturbed at random moments, given again, and compared with undisturbed ones: every job",
            "done exactly once, every status true, metrics and weights equal to the last bit, nothing left over.",
            "What is done to what, and when: `tests/chaos/`.",
            "",
            f"- command: `make chaos {words}`",
            f"- date: {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}",
            f"- machine: {len(os.sched_getaffinity(0))} cores, {platform.system()}, Python {platform.python_version()}",
            f"- time: {seconds / 60:.0f} minutes",
            "",
            text,
            "",
            *(["## What did not hold", "", *findings, ""] if findings else []),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
