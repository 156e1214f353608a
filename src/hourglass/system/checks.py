"""Checks of arguments: each raises ValueError, which names the argument, what is allowed and what came.

    weight must be at least 0 and finite, got -1.0

NaN passes none of them. `config.build` puts the path of the key before the message: `regularizer.l1.weight must ...`.
"""

import math
from collections.abc import Iterable, Sequence

__all__ = [
    "check_above",
    "check_choice",
    "check_count",
    "check_fraction",
    "check_images",
    "check_level",
    "check_share",
    "check_whole",
    "check_widths",
]


def check_whole(key: str, value: int | None, lowest: int, *, null: bool = False) -> None:
    """ValueError unless value is at least `lowest`, or None where `null` is allowed."""
    if value is None and null:
        return
    if value is None or not value >= lowest:
        raise ValueError(f"{key} must be at least {lowest}{' or null' if null else ''}, got {value}")


def check_widths(key: str, values: Iterable[int]) -> None:
    """ValueError unless all values, sizes of layers, are at least 1."""
    found = list(values)
    if any(value < 1 for value in found):
        raise ValueError(f"{key} must be at least 1, got {found}")


def check_level(key: str, value: float | None, highest: float = math.inf, *, null: bool = False) -> None:
    """ValueError unless 0 <= value <= highest and value is finite, or None where `null` is allowed."""
    if value is None and null:
        return
    if value is None or not 0 <= value <= highest or math.isinf(value):
        allowed = "at least 0 and finite" if math.isinf(highest) else f"from 0 to {highest:g}"
        raise ValueError(f"{key} must be {allowed}{', or null' if null else ''}, got {value}")


def check_above(key: str, value: float | None, *, null: bool = False) -> None:
    """ValueError unless value is above 0 and finite, or None where `null` is allowed."""
    if value is None and null:
        return
    if value is None or not 0 < value < math.inf:
        raise ValueError(f"{key} must be above 0 and finite{', or null' if null else ''}, got {value}")


def check_fraction(key: str, value: float) -> None:
    """ValueError unless 0 <= value < 1."""
    if not 0 <= value < 1:
        raise ValueError(f"{key} must be from 0 to below 1, got {value}")


def check_choice(key: str, value: str, allowed: Sequence[str]) -> None:
    """ValueError unless value is one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{key} must be one of {', '.join(allowed)}, got {value!r}")


def check_images(name: str, shape: Sequence[int]) -> None:
    """ValueError unless samples of this shape are images (channels, height, width)."""
    if len(shape) != 3:
        raise ValueError(f"{name} needs images (channels, height, width), got samples of shape {tuple(shape)}")


# Of data sets, whose sizes a person also gives in Python: there a share and a count are told apart by their type.


def check_count(key: str, value: float, *, low: int = 1, high: int | None = None) -> None:
    """ValueError unless value is a whole number from `low` to `high`."""
    if type(value) is not int or value < low or (high is not None and value > high):
        allowed = f"a whole number of at least {low}" if high is None else f"a whole number from {low} to {high}"
        raise ValueError(f"{key} must be {allowed}, got {value!r}")


def check_share(key: str, value: float, *, or_all: bool = False) -> None:
    """ValueError unless 0 < value < 1, or value is 1 where that is allowed."""
    if or_all and type(value) in (int, float) and value == 1:
        return
    if type(value) is not float or not 0 < value < 1:
        rest = "both excluded, or 1.0 for all" if or_all else "both excluded"
        raise ValueError(f"{key} must be a share between 0 and 1, {rest}, got {value!r}")
