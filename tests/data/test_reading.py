"""Arrays from what holds them in Python; how they are trained on is in tests/test_fit.py."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, SubsetRandomSampler, TensorDataset
from torch.utils.data import Dataset as TorchDataset

from hourglass.data.reading import read
from hourglass.system.errors import HourglassError

GREY = np.random.default_rng(0).integers(0, 256, (20, 5, 4), dtype=np.uint8)


class Pictures(TorchDataset[Any]):
    """Pictures with a class, as torchvision's data sets without a transform have them."""

    def __len__(self) -> int:
        return len(GREY)

    def __getitem__(self, index: int) -> Any:
        return Image.fromarray(GREY[index]), index % 3


class Stream(IterableDataset[Any]):
    """Samples one after the other."""

    def __iter__(self) -> Iterator[Any]:
        return iter(torch.from_numpy(GREY))


class Items(TorchDataset[Any]):
    """Given items."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


def test_pictures_streams_and_tensors_of_any_kind_become_arrays() -> None:
    found = read("x", Pictures())
    assert np.array_equal(found.x, GREY)
    assert found.y is not None
    assert found.y.tolist() == [index % 3 for index in range(20)]
    for held in (Stream(), DataLoader(Stream(), batch_size=7), torch.from_numpy(GREY), list(torch.from_numpy(GREY))):
        assert np.array_equal(read("x", held).x, GREY)
    half = torch.rand(4, 3, dtype=torch.bfloat16, requires_grad=True)
    assert np.array_equal(read("x", half).x, half.detach().float().numpy())


def test_a_loader_with_a_sampler_of_its_own_gives_what_that_draws() -> None:
    data = TensorDataset(torch.from_numpy(GREY), torch.arange(20))
    some = DataLoader(data, batch_size=3, sampler=SubsetRandomSampler(range(5)))
    found = read("x", some)
    assert found.y is not None
    assert sorted(found.y.tolist()) == [0, 1, 2, 3, 4]
    assert np.array_equal(found.x, GREY[found.y])
    batches = DataLoader(data, batch_sampler=BatchSampler(range(6), batch_size=4, drop_last=False))
    assert np.array_equal(read("x", batches).x, GREY[:6])


def test_columns_of_a_frame_keep_their_names_and_digits() -> None:
    frame = pd.DataFrame({"id": [16777217, 2], "ok": [True, False], 3: [0.5, None], "kind": [1, 0]})
    found = read("x", frame, "kind")
    assert found.columns == ("id", "ok", "3")
    assert found.x[0].tolist() == [16777217, 1, 0.5]
    assert np.isnan(found.x[1, 2])
    assert found.y is not None
    assert found.y.tolist() == [1, 0]


def test_columns_of_one_name_are_told_apart() -> None:
    found = read("x", pd.DataFrame([[1.0, 2.0, 3.0]], columns=["a", "a", "b"]))
    assert found.columns == ("a", "a.1", "b")
    assert found.x.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (Items({"image": 1.0}), None, "an item of x must be an array, a tensor or a number, got dict"),
        (Items((1, 2, 3)), None, r"x must have items x or \(x, y\), got 3 values in one"),
        (Items(np.zeros(3), np.zeros(4)), None, r"x must have items of one shape, got \(3,\) and \(4,\)"),
        (Items((np.zeros(3), 0), (np.zeros(3),)), None, "labels for every item or for none, got 1 of 2"),
        (Items(), None, "x must hold samples, got none"),
        (Items(np.zeros(3)), [0], "y must be left out, x is a Items"),
        (pd.DataFrame({"a": [1.0]}), "b", "y must be labels or a column of x, a, got 'b'"),
        (pd.DataFrame({"a": [1]}), "a", "x must have a column beside y='a'"),
        (pd.DataFrame({"a": ["1"]}), None, "column a must hold numbers, got the text '1' in row 0"),
        (None, None, "x must be an array, .*got NoneType"),
    ],
)
def test_what_is_no_array_is_refused_in_one_line(x: Any, y: Any, said: str) -> None:
    with pytest.raises(HourglassError, match=said) as error:
        read("x", x, y)
    assert "\n" not in str(error.value)
