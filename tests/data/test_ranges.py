"""What values a model may be given."""

from typing import Any

import pytest
import torch

from hourglass.data import Scaling
from hourglass.data.ranges import compare, moved, read_range, usual


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ((0.0, 1.0), (0.0, 1.0)),
        ((3e-6, 0.9999), (0.0, 1.0)),
        ((-0.99, 0.98), (-1.0, 1.0)),
        ((0.02, 254.7), (0.0, 255.0)),
        ((-0.42, 2.82), None),  # standardised
        ((0.1, 0.4), None),  # less than half of [0, 1]
        ((0.0, 100.0), None),
    ],
)
def test_the_range_that_training_data_stand_for(known: Any, expected: Any) -> None:
    assert usual(known) == expected


def test_values_are_moved_to_the_training_range() -> None:
    grey = torch.tensor([0.0, 51.0, 255.0])
    assert torch.equal(moved(grey, (0, 255), (0.0, 1.0)), grey / 255)
    assert moved(grey, (0, 255), (-0.99, 0.98)).tolist() == pytest.approx([-1, -0.6, 1])
    assert moved(grey, (0.0, 255.0), (0.02, 254.7)) is grey
    assert moved(grey, (0, 255), (-2.0, 3.0)).tolist() == pytest.approx([-2, -1, 3])


def images(low: float, high: float) -> torch.Tensor:
    return torch.linspace(low, high, 4 * 64).view(4, 1, 8, 8)


@pytest.mark.parametrize(
    ("x", "known", "refused", "warned"),
    [
        (images(-0.08, 1.09), (3e-6, 0.9999), False, False),  # what resampling adds
        (images(0, 255), (3e-6, 0.9999), True, False),
        (images(-1, 1), (0.0, 1.0), True, False),
        (images(-1, 1), (-0.99, 0.98), False, False),
        (images(0, 1), (0.0, 254.0), False, True),  # black, to the model
        (images(0, 0), (0.0, 254.0), False, False),  # as black as it says
        (images(0, 255), (-0.42, 2.82), True, False),
        (images(-3, 5), (-0.42, 2.82), False, False),
        (images(0, 1).flatten(1) * 1.2, (0.0, 1.0), True, False),  # rows in exactly [0, 1]
        (images(0, 1).flatten(1) * 1.2, (0.01, 0.99), False, False),
        (images(0, 255).flatten(1), (0.01, 0.99), True, False),
        (torch.tensor([[0.0, 1.0], [1.0, 0.0], [500.0, 1.0]]), (-1.0, 2.0), False, True),  # one row, far away
        (torch.tensor([[0.0, 300.0], [1.0, 400.0], [2.0, 1.0]]), (-1.0, 2.0), True, True),  # a column of another unit
    ],
)
def test_what_is_too_far(x: torch.Tensor, known: Any, refused: bool, warned: bool) -> None:
    verdict = compare(x, known)
    assert (verdict.refusal is not None) == refused
    if not refused:
        assert (verdict.warning is not None) == warned


def test_columns_are_told_in_their_own_units() -> None:
    scaling = Scaling(offset=torch.tensor([1.5, 60.0]).double(), scale=torch.tensor([0.5, 20.0]).double())
    rows = torch.tensor([[175.0, 70.0], [180.0, 75.0]])  # centimetres for metres
    verdict = compare(scaling.apply(rows), (0.0, 1.0), scaling=scaling, columns=("height", "weight"))
    assert verdict.refusal == (
        "column height with half of its values at 175 or above, the model was trained on data from 1.5 to 2"
    )


def test_ranges_that_are_typed() -> None:
    assert read_range(None) is None
    assert read_range("any") == "any"
    assert read_range("-1,1") == (-1, 1)
    assert read_range((0, 255)) == (0, 255)
    for wrong in ("5", "1,0", "a,b", (0, 1, 2), 7, "0,inf"):
        with pytest.raises(ValueError, match=r"^range must be LOW,HIGH with LOW below HIGH, as 0,255, or any, got "):
            read_range(wrong)  # type: ignore[arg-type]
