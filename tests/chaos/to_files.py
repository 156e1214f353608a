"""What happens to files that a run has left: they are cut off, emptied, or hold something else."""

import math
import random
import signal
from collections.abc import Callable
from pathlib import Path

import store
from disturbances import Round, disturbance, several
from subjects import Subject


def _cut(path: Path, chance: random.Random) -> None:
    """Half of a file is left, nothing, or as many bytes of junk."""
    whole = path.read_bytes()
    path.write_bytes(chance.choice((whole[: len(whole) // 2], b"", chance.randbytes(len(whole)))))


def _refused(round_: Round, path: Path, words: Callable[[], list[str]]) -> None:
    """A command that needs a damaged file names it in one line and changes nothing; then the file is put back."""
    whole, before = path.read_bytes(), store.rows(round_.place.database)
    _cut(path, round_.chance)
    try:
        command = round_.place.start(words())
        code = command.wait()
        last = command.said.strip().splitlines()[-1]
        if code != 2 or not last.startswith("hourglass: ") or path.name not in last:
            round_.complaints.append(f"{path.name} damaged: exit code {code}, {last[:200]!r}")
        for row, later in zip(before, store.rows(round_.place.database), strict=False):
            if row.status != later.status:
                round_.complaints.append(f"{path.name} damaged: a run went from {row.status} to {later.status}")
    finally:
        path.write_bytes(whole)


def _alone(subject: Subject) -> bool:
    return not subject.several


@disturbance(143, -signal.SIGTERM, applies=_alone)
def cut_off_what_a_resume_needs(round_: Round) -> None:
    """Of a training that was ended, its checkpoint or configuration is damaged."""
    round_.command.send(signal.SIGTERM)
    round_.command.wait()
    for row in store.peek(round_.place.database):
        path = row.files / round_.chance.choice(("checkpoints/last.ckpt", "config.yaml"))
        if path.exists():
            _refused(round_, path, lambda row=row: ["train", f"resume={row.id}"])  # type: ignore[misc]


@disturbance(0, applies=_alone, stretches=(3,))
def cut_off_what_encode_needs(round_: Round) -> None:
    """Of a finished training, its weights or configuration are damaged."""
    round_.command.wait()
    samples = round_.place.work / "samples.npy"
    samples.write_bytes(_zeros((2, 1, 8, 8)))
    for row in store.peek(round_.place.database):
        path = row.files / round_.chance.choice((store.WEIGHTS, "config.yaml"))
        if row.status == "FINISHED":
            _refused(round_, path, lambda row=row: ["encode", row.id, "samples.npy", "codes.npy"])  # type: ignore[misc]
    samples.unlink()


def _zeros(shape: tuple[int, ...]) -> bytes:
    """An .npy file of zeros, 32 bits each."""
    header = str({"descr": "<f4", "fortran_order": False, "shape": shape})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(4 * math.prod(shape))


@disturbance(0, applies=several, stretches=(2, 3))
def cut_off_a_file_of_a_finished_job(round_: Round) -> None:
    """The study is drawn without it, and goes on."""
    done = [row for row in store.peek(round_.place.database) if row.status == "FINISHED"]
    for row in done[:1]:
        path = row.files / round_.chance.choice((store.WEIGHTS, "config.yaml", "checkpoints/last.ckpt"))
        if path.exists():
            round_.afterwards.callback(path.write_bytes, path.read_bytes())
            _cut(path, round_.chance)
