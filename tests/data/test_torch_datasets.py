"""A torch Dataset by the name of its class, as the configuration has it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import TensorDataset

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.configuration.trust import recorded
from hourglass.data import Dataset, torch_dataset
from hourglass.system.errors import HourglassError

FAKE = "_target_:torchvision.datasets.FakeData,image_size:[3,8,6],num_classes:3"


def made(*words: str) -> Dataset:
    data: Dataset = build(compose_config(["data=torch_dataset", *words])[0].data)
    return data


def test_torchvision_by_its_target_with_its_arguments() -> None:
    data = made(f"data.dataset={{{FAKE},size:40}}", f"data.test_dataset={{{FAKE},size:9,random_offset:7}}")
    assert data.sizes == {"train": 36, "validation": 4, "test": 9}
    assert data.shape == (3, 8, 6)
    assert data.train.x.dtype == torch.uint8
    transformed = made(f"data.dataset={{{FAKE},size:40,transform:{{_target_:torchvision.transforms.ToTensor}}}}")
    assert transformed.range[1] <= 1
    assert torch.allclose(transformed.train.x[0], made(f"data.dataset={{{FAKE},size:40}}").train.x[0] / 255)


class Named(TensorDataset):
    """With names for its classes."""

    classes = ("cat", "dog")


def splits(**changes: Any) -> dict[str, Any]:
    common = {"validation_size": 2, "validation": "split", "split_seed": 0, "train_size": None, "test_size": None}
    rest = {"order_seed": 0, "resident": "auto", "test_share": 0.2, "scaling": "none"}
    return {**common, **rest, "validation_dataset": None, "test_dataset": None, **changes}


def test_one_made_in_code() -> None:
    x = torch.randn(20, 5)
    data = torch_dataset(dataset=Named(x, torch.arange(20) % 2), **splits(scaling="standard"))
    assert data.classes == ("cat", "dog")
    assert data.shape == (5,)


class Broken(TorchDataset[Any]):
    """Whose items can't be had."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        raise OSError("no such file: 7.png")


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("mnist", "dataset must be a torch Dataset, as .*, got str: mnist"),
        (None, "dataset must be a torch Dataset, .*HOURGLASS_TRUST names it"),
        (Broken(), r"dataset must give its items, got OSError in Broken: no such file: 7\.png"),
        (Named(torch.zeros(3, 2), torch.zeros(3, 4)), r"labels of dataset must be whole numbers or texts of shape"),
        (TensorDataset(torch.zeros(3, 2, dtype=torch.int64)), r"dataset must be uint8 or float, got int64 .* cast it"),
    ],
)
def test_what_is_none_is_refused(dataset: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        torch_dataset(dataset=dataset, **splits())


def test_a_strangers_record_makes_no_data_set_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its model is of use all the same; with the package named its data are there again."""
    monkeypatch.chdir(tmp_path)
    config = compose_config(["data=torch_dataset", f"data.dataset={{{FAKE},size:40}}"])[0]

    class Record:
        id, name = "1", "run"

        def read_config(self) -> Any:
            from omegaconf import OmegaConf

            return OmegaConf.to_container(config, resolve=True)

    assert recorded(Record()).data.dataset is None
    with pytest.raises(
        HourglassError, match=r"data\.dataset\._target_ is 'torchvision\.datasets\.FakeData', allowed .*say so"
    ):
        recorded(Record(), training=True)
    monkeypatch.setenv("HOURGLASS_TRUST", "torchvision.datasets.FakeData")
    assert recorded(Record()).data.dataset.size == 40
    assert recorded(Record(), training=True).data.dataset.size == 40
