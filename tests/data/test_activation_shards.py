"""Shards on disk as a data set: what is read, how it is scaled, split and shuffled, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from safetensors.torch import save_file

from hourglass.data import Dataset
from hourglass.data.dataset import Scaling
from hourglass.data.shards import Shards, read_shard

CONF = Path(__file__).parents[2] / "conf/data/activations.yaml"


def made(**overrides: Any) -> Dataset:
    data: Dataset = instantiate(OmegaConf.merge(OmegaConf.load(CONF), {"path": "shards"}, overrides))
    return data


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """700 rows of 8, their number in the first column; in four files of three types, of which one sorts by value."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "cache"))
    x = torch.from_numpy(np.random.default_rng(0).normal(1, 2, size=(700, 8)).astype(np.float32))
    x[:, 0] = torch.arange(700)  # exact in float16, and in bfloat16 up to 256
    x = x.half().float()
    Path("shards").mkdir()
    np.save("shards/a2.npy", x[:200].numpy().astype(np.float16))
    np.save("shards/a10.npy", x[200:450].numpy())
    save_file({"h": x[450:600].clone(), "ids": torch.zeros(3)}, "shards/b.safetensors")
    np.save("shards/c.npy", x[600:].numpy().astype(np.float64))
    np.save("labels.npy", np.arange(700) % 3)
    return x


def test_shards_are_a_tensor_wherever_rows_are_taken(rows: torch.Tensor) -> None:
    parts = [rows[:3].half(), rows[3:3], rows[3:10], rows[10:]]
    shards = Shards(parts)
    assert shards.shape == rows.shape
    assert shards.numel() * shards.element_size() == rows.numel() * 4
    for taken in (slice(0, 2), slice(2, 11), slice(5, 5), slice(-4, None), slice(0, None, 7), slice(690, 900)):
        assert shards[taken].equal(rows[taken]), taken
    chosen = torch.tensor([699, 0, 3, 3, 2, 9, 10])
    assert shards[chosen].equal(rows[chosen])
    assert shards.index_select(0, chosen).equal(rows[chosen])
    assert shards[3].equal(rows[3])
    assert shards[-1].equal(rows[-1])
    assert [len(block) for block in torch.split(shards, 300)] == [300, 300, 100]  # type: ignore[arg-type]
    assert shards.to("cpu").equal(rows)
    within = shards.narrow(0, 2, 20).narrow(0, 1, 10)
    assert isinstance(within, Shards)
    assert within[:].equal(rows[3:13])
    assert len(shards.narrow(0, 700, 0)) == 0
    assert [bound.item() for bound in shards.aminmax()] == [rows.min().item(), rows.max().item()]
    with pytest.raises(IndexError, match="from 0 to 699"):
        shards.index_select(0, torch.tensor([700]))
    with pytest.raises(TypeError):
        torch.cat([shards, shards])  # type: ignore[list-item]
    scaling = Scaling(offset=torch.ones(8).double(), scale=torch.full((8,), 2.0).double())
    assert shards.scaled_by(scaling)[chosen].equal((rows[chosen] - 1) / 2)


def test_every_type_is_read_as_it_lies(tmp_path: Path) -> None:
    x = torch.randn(5, 3)
    for name, dtype in (("f16", torch.float16), ("bf16", torch.bfloat16), ("f32", torch.float32)):
        save_file({"other": torch.zeros(7), "h": x.to(dtype)}, tmp_path / f"{name}.safetensors")
        found = read_shard(tmp_path / f"{name}.safetensors", tensor="h")
        assert (found.dtype, found.tolist()) == (dtype, x.to(dtype).tolist())


def test_what_is_in_the_splits(rows: torch.Tensor) -> None:
    data = made(tensor="h", labels="labels.npy", block=20, norm="none", validation_size=100, test_share=0.2)
    assert data.sizes == {"train": 460, "validation": 100, "test": 140}
    whole = torch.cat([split.x[:] for split in (data.train, data.validation, data.test)])
    assert whole[whole[:, 0].argsort()].equal(rows)  # every row once, a2 before a10
    for split in (data.train, data.validation, data.test):
        assert split.y is not None
        numbers = split.x[:][:, 0].long()
        assert split.y.equal(numbers % 3)
        assert (numbers.diff() == 1).float().mean() > 0.9  # neighbours stay together
    assert data.scaling is None
    assert data.range == (float(data.train.x[:].min()), float(data.train.x[:].max()))
    assert data.full_range == (float(rows.min()), float(rows.max()))
    few = made(tensor="h", block=20, norm="none", validation_size=100, test_share=0.2, train_size=50)
    assert few.train.x[:].equal(data.train.x[:50])
    assert (
        made(tensor="h", block=20, norm="none", split_seed=1).digest != made(tensor="h", block=20, norm="none").digest
    )


@pytest.mark.usefixtures("rows")
def test_shards_that_are_set_apart() -> None:
    data = made(tensor="h", test_shards="a*", validation_shards="c.npy", norm="none")
    assert sorted(data.test.x[:][:, 0].tolist()) == list(range(450))
    assert sorted(data.validation.x[:][:, 0].tolist()) == list(range(600, 700))
    assert len(data.train) == 150
    refused(r"test_shards must name shards that are left in shards, got z\*", tensor="h", test_shards="a*, z*")
    refused("must leave shards to train on", tensor="h", test_shards="*")


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("norm", ["unit", "unit_square", "root", "root_square"])
def test_norms_are_those_of_the_training_rows(norm: str) -> None:
    data = made(tensor="h", norm=norm, block=50)
    x, raw = data.train.x[:].double(), made(tensor="h", norm="none", block=50).train.x[:].double()
    length, square = x.norm(dim=1).mean().item(), x.square().sum(1).mean().item()
    expected = {"unit": (1, None), "unit_square": (None, 1), "root": (8**0.5, None), "root_square": (None, 8)}[norm]
    for found, wanted in zip((length, square), expected, strict=True):
        assert wanted is None or found == pytest.approx(wanted, rel=1e-6)
    assert data.statistics["mean_norm"] == pytest.approx(raw.norm(dim=1).mean().item())
    assert data.statistics["mean_squared_norm"] == pytest.approx(raw.square().sum(1).mean().item())
    assert data.unscaled(data.train.x[:]).numpy() == pytest.approx(raw.numpy(), rel=1e-6)
    assert data.range == pytest.approx((x.min().item(), x.max().item()))
    assert f"norm={norm}" in data.notes[0]
    other = data.rescaled(None)
    assert other.train.x[:].double().numpy() == pytest.approx(raw.numpy())
    assert other.rescaled(data.scaling).train.x[:].equal(data.train.x[:])
    assert other.digest != data.digest


def test_one_pass_is_enough(rows: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(tensor="h")
    (kept,) = Path("cache/activations").glob("*.json")
    assert json.loads(kept.read_text())["parts"][0][0] == first.statistics["mean_norm"]
    with monkeypatch.context() as patch:
        patch.setattr("hourglass.data.shards.Shards.split", None)
        assert made(tensor="h").digest == first.digest
        assert made(tensor="h", norm="unit").digest != first.digest
    np.save("shards/c.npy", rows[500:].numpy())
    assert made(tensor="h").digest != first.digest


def refused(match: str, **overrides: Any) -> None:
    with pytest.raises(Exception, match=match) as caught:
        made(**overrides)
    assert "\n" not in str(caught.value.__cause__ or caught.value)


@pytest.mark.usefixtures("rows")
def test_what_is_no_shard_is_refused_by_name() -> None:
    refused("b.safetensors: it holds h, ids: say which by data.tensor")
    refused("b.safetensors: it must hold tensor=g, got h, ids", tensor="g")
    refused("norm must be one of none, .*, got 'l2'", tensor="h", norm="l2")
    refused("block must be .*, got 0", tensor="h", block=0)
    refused("path must be an existing folder of shards .* got nowhere", path="nowhere")
    Path("empty").mkdir()
    Path("empty/layer.pt").touch()
    refused(r"got none, beside \.pt", path="empty")
    np.save("few.npy", np.arange(3))
    refused(r"labels must be whole numbers of shape \(700,\), got int64 \(3,\)", tensor="h", labels="few.npy")
    for wrong, said in (
        (np.zeros((3, 8), np.int32), "its type must be float16, .* got int32"),
        (np.zeros((3, 8, 2), np.float32), r"rows \(N, D\), one activation a row, got \(3, 8, 2\) in wrong.npy"),
        (np.zeros((3, 9), np.float32), "equal width, got 8 in a2.npy and 9 in wrong.npy"),
        (np.asfortranarray(np.zeros((3, 8), np.float32)), "Fortran"),
        (np.full((3, 8), np.nan, np.float32), "nan or infinity in row 0 of wrong.npy"),
    ):
        np.save("shards/wrong.npy", wrong)
        refused(said, tensor="h")
    Path("shards/wrong.npy").write_bytes(b"no array")
    refused("path must hold readable shards, got wrong.npy", tensor="h")
    np.save("shards/wrong.npy", np.zeros((30, 8), np.float32))
    Path("shards/wrong.npy").write_bytes(Path("shards/wrong.npy").read_bytes()[:-40])
    refused("wrong.npy: it must be 1088 bytes long, got 1048", tensor="h")
    Path("shards/wrong.npy").rename("shards/wrong.safetensors")
    refused("path must hold readable shards, got wrong.safetensors", tensor="h")


def test_more_rows_than_the_memory_are_mapped_and_not_read(tmp_path: Path) -> None:
    """A file with holes of 64 GB, of which some rows are read."""
    path = tmp_path / "sparse.npy"
    with path.open("wb") as file:
        shape = (2**27, 256)
        np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
        start = file.tell()
        try:
            file.truncate(start + 2**27 * 256 * 2)
        except OSError as error:
            pytest.skip(f"no file of that size can be made here: {error}")
    shards = Shards([read_shard(path, tensor=None)])
    assert shards.shape == shape
    assert not shards[torch.tensor([0, 2**27 - 1])].any()
    assert len(shards.narrow(0, 1000, 2**26)) == 2**26
