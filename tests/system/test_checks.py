"""Checks: what passes, what doesn't, and what is said of it."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from hourglass.system.checks import (
    check_above,
    check_choice,
    check_count,
    check_fraction,
    check_images,
    check_level,
    check_share,
    check_whole,
    check_widths,
)


@pytest.mark.parametrize(
    ("check", "arguments"),
    [
        (check_whole, ("k", 1, 1)),
        (check_level, ("w", 0.0)),
        (check_level, ("w", 1.0, 1.0)),
        (check_above, ("w", 1e-9)),
        (check_fraction, ("w", 0.0)),
        (check_choice, ("c", "a", ("a", "b"))),
        (check_images, ("blur", (1, 2, 3))),
        (check_widths, ("widths", [])),
        (check_count, ("n", 1)),
        (check_share, ("s", 0.5)),
    ],
)
def test_passed(check: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    check(*arguments)


def test_none_passes_where_it_is_allowed_only() -> None:
    for check, arguments in ((check_whole, ("k", None, 1)), (check_level, ("k", None)), (check_above, ("k", None))):
        check(*arguments, null=True)
        with pytest.raises(ValueError, match=r"^k must be .*, got None$"):
            check(*arguments)


@pytest.mark.parametrize(
    ("check", "arguments", "message"),
    [
        (check_whole, ("k", 0, 1), "k must be at least 1, got 0"),
        (check_level, ("w", -1.0), "w must be at least 0 and finite, got -1.0"),
        (check_level, ("w", math.inf), "w must be at least 0 and finite, got inf"),
        (check_level, ("w", 2.0, 1.0), "w must be from 0 to 1, got 2.0"),
        (check_above, ("w", 0.0), "w must be above 0 and finite, got 0.0"),
        (check_fraction, ("w", 1.0), "w must be from 0 to below 1, got 1.0"),
        (check_choice, ("c", "x", ("a", "b")), "c must be one of a, b, got 'x'"),
        (check_images, ("blur", (3,)), r"blur needs images \(channels, height, width\), got samples of shape \(3,\)"),
        (check_widths, ("widths", [3, 0]), r"widths must be at least 1, got \[3, 0\]"),
        (check_count, ("n", 1.0), "n must be a whole number of at least 1, got 1.0"),
        (check_share, ("s", 1), "s must be a share between 0 and 1, both excluded, got 1"),
    ],
)
def test_refused(check: Callable[..., None], arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        check(*arguments)


@pytest.mark.parametrize("check", [check_level, check_above, check_fraction])
def test_nan_passes_nowhere(check: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match=r"got nan$"):
        check("w", math.nan)
