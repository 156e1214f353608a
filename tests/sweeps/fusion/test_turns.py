"""Strands take turns: one at a time, each with random numbers of its own."""

import os
import signal
import threading
import time

import pytest
import torch

from hourglass.sweeps.fusion.turns import Stopped, Strand
from hourglass.system import process


def test_strands_take_turns_and_keep_their_own_random_numbers() -> None:
    def draw(seed: int) -> Strand[list[float]]:
        def body(strand: Strand[list[float]]) -> list[float]:
            torch.manual_seed(seed)
            found = []
            for number in range(3):
                found.append(torch.rand(()).item())
                assert strand.pause(number) == 10 * number
            return found

        return Strand(body, name=f"strand {seed}")

    torch.manual_seed(5)
    state = torch.get_rng_state()
    strands = [draw(seed) for seed in (0, 1)]
    for strand in strands:
        strand.resume()
    while any(strand.question is not None for strand in strands):
        for strand in strands:
            strand.resume(10 * strand.question)
    assert torch.equal(torch.get_rng_state(), state)
    for seed, strand in enumerate(strands):
        torch.manual_seed(seed)
        assert strand.ended
        assert strand.value == [torch.rand(()).item() for _ in range(3)]


def test_an_error_ends_one_strand_only() -> None:
    def body(strand: Strand[str]) -> str:
        strand.pause("ready")
        return "done"

    one, other = Strand(body, name="one"), Strand(body, name="other")
    for strand in (one, other):
        strand.resume()
        assert strand.question == "ready"
    one.resume(error=ValueError("stop"))
    other.resume()
    assert isinstance(one.error, ValueError)
    assert (other.value, other.error) == ("done", None)
    assert threading.active_count() == 1 or not any(t.name in ("one", "other") for t in threading.enumerate())


def test_what_is_raised_within_is_kept() -> None:
    def body(_: Strand[None]) -> None:
        raise KeyError("lost")

    strand = Strand(body, name="broken")
    strand.resume()
    assert strand.ended
    with pytest.raises(KeyError, match="lost"):
        raise strand.error or AssertionError


def test_a_signal_ends_a_strand_not_in_the_middle_of_what_it_does_wholly() -> None:
    done = []

    def body(_: Strand[None]) -> None:
        with process.whole():
            for number in range(2):  # as someone in a hurry
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.1)
                done.append(number)
        while True:
            time.sleep(0.01)

    strand = Strand(body, name="busy")
    with pytest.raises(KeyboardInterrupt):
        strand.resume()
    assert done == [0, 1]
    assert isinstance(strand.error, Stopped)
    assert strand.ended
