"""Errors that a person reads: one line that names the key, the value and what is allowed."""

import difflib
import traceback
from collections.abc import Sequence

from hourglass.system.passwords import without_passwords


class HourglassError(ValueError):
    """Something the person can mend. The command line prints its one line and exits with `exit_code`.

    Args:
        message: what is wrong. A name in it, a run's or a column's, may be a stranger's text: it stays one line.
        trace: of an error that is not the person's, printed below.
    """

    exit_code = 2

    def __init__(self, message: str = "", *, trace: str = "") -> None:
        said = printable(without_passwords(message))
        super().__init__(f"{said}\n{without_passwords(trace)}" if trace else said)


class Diverged(HourglassError):  # noqa: N818 - says what happened
    """A loss became NaN or infinite."""

    def __init__(self, *, name: str, value: float, step: int) -> None:
        self.name, self.value, self.step = name, value, step
        super().__init__(
            f"{name} became {value} at step {step}: training diverged; lower optimizer.lr or the weight of a"
            " regularizer, or set training.gradient_clip"
        )


def printable(text: str) -> str:
    r"""Text as it can be printed: line ends become blanks; what would steer a terminal or can't be seen, `\x1b`."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in " ".join(text.splitlines())
    )


def reason(error: BaseException) -> str:
    """What happened, in one line: an error's message, with its class where it isn't one of ours."""
    said = str(error) if isinstance(error, HourglassError) else traceback.format_exception_only(error)[-1]
    return (without_passwords(said).strip().splitlines() or [type(error).__name__])[0]


def first_line(error: BaseException) -> str:
    """What an exception says first, without the class's name."""
    return without_passwords(str(error)).strip().partition("\n")[0]


def nearest(word: str, known: Sequence[str]) -> str:
    """`; nearest: a, b` for the known words like `word`, or nothing."""
    matches = (difflib.get_close_matches(each, known, n=3, cutoff=0.5) for each in (word, word.lower()))
    close = next((found for found in matches if found), [])
    return f"; nearest: {', '.join(close)}" if close else ""
