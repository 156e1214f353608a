"""Steps are computed as in a training."""

import pytest

from hourglass.system import process


@pytest.fixture(autouse=True, scope="session")
def before_training() -> None:
    """Laws hold to the last digits: a GPU must not round the factors of convolutions."""
    process.before_training()
