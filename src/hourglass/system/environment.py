"""Variables of the environment: what is changed for a while is put back."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

FOLLOWED = (
    "MLFLOW_TRACKING_URI",
    *("HOURGLASS_CACHE", "HOURGLASS_CONF", "HOURGLASS_GIVEN", "HOURGLASS_STORE_TIMEOUT", "HOURGLASS_TRUST"),
)
"""What a process of a sweep is told as it stands when it starts: a program may set them between two sweeps."""


@contextmanager
def restored(*names: str) -> Iterator[None]:
    """Within, these variables may be set and removed; afterwards they are what they were."""
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        change(before)


def change(variables: dict[str, str | None]) -> None:
    """Set variables, and remove those that are None."""
    for name, value in variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
