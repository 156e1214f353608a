"""Errors that a person reads: one line that names the key, the value and what is allowed."""

import difflib
import traceback
from collections.abc import Sequence


class HourglassError(ValueError):
    """Something the person can mend. The command line prints its one line and exits with `exit_code`."""

    exit_code = 2


class Diverged(HourglassError):  # noqa: N818 - says what happened
    """A loss became NaN or infinite."""

    def __init__(self, *, name: str, value: float, step: int) -> None:
        super().__init__(
            f"{name} became {value} at step {step}: training diverged; lower optimizer.lr or the weight of a"
            " regularizer, or set training.gradient_clip"
        )


def reason(error: BaseException) -> str:
    """What happened, in one line: an error's message, with its class where it isn't one of ours."""
    said = str(error) if isinstance(error, HourglassError) else traceback.format_exception_only(error)[-1]
    return (said.strip().splitlines() or [type(error).__name__])[0]


def first_line(error: BaseException) -> str:
    """What an exception says first, without the class's name."""
    return str(error).strip().partition("\n")[0]


def nearest(word: str, known: Sequence[str]) -> str:
    """`; nearest: a, b` for the known words like `word`, or nothing."""
    matches = (difflib.get_close_matches(each, known, n=3, cutoff=0.5) for each in (word, word.lower()))
    close = next((found for found in matches if found), [])
    return f"; nearest: {', '.join(close)}" if close else ""
