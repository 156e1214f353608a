"""The axes of a sweep: which of the words of its jobs make the difference."""

from collections.abc import Collection, Sequence

from hourglass.configuration.identity import UNNAMED
from hourglass.system.errors import HourglassError


def key_of(word: str) -> str:
    """What an override is about: `+noise.level=0.5` to `noise.level`."""
    return word.partition("=")[0].lstrip("+~")


def said_last(words: Sequence[str]) -> list[str]:
    """One word for each key, the last: with `seed=0` beside a recipe that sweeps over seeds, only 0 is meant."""
    return list({word.partition("=")[0].lstrip("+"): word for word in words}.values())


def among(words: Sequence[str], keys: Collection[str]) -> list[str]:
    """The words that are about one of these keys."""
    return [word for word in words if key_of(word) in keys]


def axes(overrides: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """What a sweep varies: the keys whose values differ between its jobs, with their values in order.

    Raises:
        HourglassError: an axis without a value; one along which every job is the same.
    """
    values: dict[str, dict[str, None]] = {}
    for words in overrides:
        for word in words:
            key, given, value = word.partition("=")
            if given and not value:
                raise HourglassError(f"{key} must have at least one value, got none: add {key}=VALUE,VALUE (or null)")
            values.setdefault(key_of(word), {})[value] = None
    varied = {key: list(found) for key, found in values.items() if len(found) > 1}
    for key, found in varied.items():
        if key.partition(".")[0] in UNNAMED:
            raise HourglassError(f"{key} must have one value, because it makes no other job, got {', '.join(found)}")
    return varied
