"""Whether there is anything to learn from a data set."""

import torch

from hourglass.data.dataset import EVAL_BATCH, Dataset
from hourglass.system.errors import HourglassError


def check_trainable(data: Dataset, *, fewest: int) -> None:
    """Raise HourglassError where there are fewer training samples than `fewest`, or all of them are the same."""
    x = data.train.x
    if len(x) < fewest:
        raise HourglassError(
            f"data={data.name} must leave this model {fewest} training samples or more, got {len(x)} beside"
            f" {len(data.validation)} for validation and {len(data.test)} for test: see data.validation_size,"
            " data.test_share, data.train_size"
        )
    # Mostly the first block tells: a mapped file isn't read whole.
    if all(bool((block == x[0]).all()) for block in torch.split(x, EVAL_BATCH)):
        values = f" ({x[0].flatten()[0].item():g})" if bool((x[0] == x[0].flatten()[0]).all()) else ""
        raise HourglassError(
            f"data={data.name} must hold samples that differ, got {len(x)} training samples all the same{values}"
        )
