"""Every source as its yaml makes it, and the numbers that tell the data sets apart."""

import gzip
import hashlib
import logging
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image

from hourglass.data import DataCorruptError, Dataset, DataUnavailableError
from hourglass.data import idx_format as idx
from hourglass.data.cifar import CIFAR10
from hourglass.data.fetch import Collection, load
from hourglass.data.generated import PURCHASES, PURCHASES_NOISE
from hourglass.data.mnist_like import FASHION_MNIST, MNIST, _grey_images
from hourglass.data.splitting import Splitting
from hourglass.system.cache import cache_dir

CONF = Path(__file__).parents[2] / "conf" / "data"
ALL = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem != "arrays")  # given in Python: test_from_python
#: What a yaml leaves to the person, and a smaller size for the larger sources.
NEEDED = {
    "activations": {"path": "shards", "block": 8},
    "csv": {"path": "table.csv"},
    "parquet": {"path": "table.parquet"},
    "hf": {"path": "table.parquet"},
    "torch_dataset": {"dataset": {"_target_": "torchvision.datasets.FakeData", "size": 60, "image_size": [3, 8, 8]}},
    "npz": {"path": "arrays.npz"},
    "npy": {"path": "array.npy"},
    "idx": {"path": "array-idx"},
    "image_folder": {"path": "images", "size": 8},
    "signals": {"path": "signals.npz"},
    "purchases": {"rows": 500},
    "shapes": {"samples": 500},
}


@cache
def fetched(name: str) -> bool:
    """Whether a published set that has one mirror alone is here, or can be fetched."""
    try:
        load({"cifar10": CIFAR10}[name], root=None)
    except DataUnavailableError:
        return False
    return True


def made(name: str, **overrides: Any) -> Dataset:
    if name == "cifar10" and not fetched(name):
        pytest.skip("its mirror is not reachable, and the data folder has no copy")
    config = OmegaConf.merge(OmegaConf.load(CONF / f"{name}.yaml"), overrides)
    data: Dataset = instantiate(config)
    return data


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.chdir(tmp_path)
    if (
        "image_folder" in request.node.name or "activations" in request.node.name
    ):  # whose cache would stay in the data folder
        monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "cache"))
    if "hf" in request.node.name:
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    table = np.random.default_rng(0).normal(size=(60, 3))
    np.savetxt("table.csv", table, delimiter=",", header="a,b,c", comments="")
    np.savez("arrays.npz", x=table)
    np.savez("signals.npz", x=np.random.default_rng(0).normal(size=(60, 2, 16)))
    np.save("array.npy", table)
    pd.DataFrame(table, columns=["a", "b", "c"]).to_parquet("table.parquet")
    idx.write(Path("array-idx"), table)
    Path("shards").mkdir()
    np.save("shards/0.npy", table.astype(np.float32))
    Path("images").mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(f"images/{number}.png")


@pytest.mark.parametrize("name", ALL)
def test_laws_of_every_source(name: str) -> None:
    data = made(name, **NEEDED.get(name, {}))
    splits = (data.train, data.validation, data.test)
    for split in splits:
        assert split.x.shape[1:] == data.shape
        assert split.x.dtype in (torch.uint8, torch.float32)
        assert split.x.is_contiguous()
        assert split.y is None or (split.y.dtype, split.y.shape) == (torch.int64, split.x.shape[:1])
    assert len(data.shape) == (3 if data.is_image else 2 if data.is_signal else 1)
    assert data.columns is None or len(data.columns) == data.shape[0]
    scaled = data.scaled(data.train.x[:])
    assert scaled.dtype == torch.float32
    assert data.range == (scaled.min().item(), scaled.max().item())
    if data.train.x.dtype == torch.uint8:
        assert data.range == (0.0, 1.0)
        assert data.unscaled(data.scaled(data.test.x)).equal(data.test.x)
    again = made(name, **NEEDED.get(name, {}))
    assert again.digest == data.digest
    assert again.train.x[:].equal(data.train.x[:])


@pytest.mark.parametrize("name", ALL)
def test_common_keys_of_every_source(name: str) -> None:
    data = made(name, **NEEDED.get(name, {}), train_size=5, test_size=4, validation="test", order_seed=9)
    assert data.sizes == {"train": 5, "validation": 4, "test": 4}
    assert data.order_seed == 9
    with pytest.raises(Exception, match=r"train_size must be at most .*, got 1000000"):
        made(name, **NEEDED.get(name, {}), train_size=1_000_000)


@pytest.mark.parametrize("name", ALL)
def test_yaml_opens_with_its_description(name: str) -> None:
    first, second = (CONF / f"{name}.yaml").read_text().splitlines()[:2]
    assert first.startswith("# ")
    assert second == f"_target_: hourglass.data.{name}"


@pytest.mark.parametrize(
    ("name", "pixels", "mean"), [("mnist", (0, 5), 0.1306604762738429), ("fashion_mnist", (0, 9), 0.2860405969887955)]
)
def test_published_sets(name: str, pixels: tuple[int, int], mean: float) -> None:
    """Mean grey level of the 60,000 training images, and the class of the first: as published everywhere."""
    data = made(name, validation="test")
    assert data.sizes == {"train": 60_000, "validation": 10_000, "test": 10_000}
    grey = int(data.train.x.sum(dtype=torch.int64))
    assert grey / 255 / data.train.x.numel() == pytest.approx(mean, abs=1e-15)
    assert data.train.y is not None
    assert data.train.y.bincount().tolist() == (
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949] if name == "mnist" else [6000] * 10
    )
    collection = MNIST if name == "mnist" else FASHION_MNIST
    first = idx.decode(load(collection, root=None)["train-labels-idx1-ubyte"], source=name)[0]
    assert (int(data.train.x.min()), int(first)) == pixels


def test_mnist_from_a_root_of_ones_own(tmp_path: Path) -> None:
    raw = tmp_path / "mine" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (cache_dir() / "MNIST" / "raw").glob("*-ubyte"):
        (raw / path.name).symlink_to(path)
    assert made("mnist", root=str(tmp_path / "mine")).digest == made("mnist").digest
    labels = raw / "t10k-labels-idx1-ubyte"
    content = bytearray(labels.read_bytes())
    content[-1] ^= 1
    labels.unlink()
    labels.write_bytes(content)
    with pytest.raises(Exception, match=hashlib.sha256(content).hexdigest()) as caught:
        made("mnist", root=str(tmp_path / "mine"))
    assert isinstance(caught.value.__cause__, DataCorruptError)  # under Hydra's own InstantiationException
    with pytest.raises(Exception, match="root must hold the files of FashionMNIST") as caught:
        made("fashion_mnist", root=str(tmp_path / "mine"))
    assert isinstance(caught.value.__cause__, DataUnavailableError)


def test_idx_images_become_samples(tmp_path: Path) -> None:
    """Twelve images written as a publisher would, gzipped, read as MNIST is."""
    raw = tmp_path / "Tiny" / "raw"
    raw.mkdir(parents=True)
    sha256 = {}
    for prefix, count in (("train", 8), ("t10k", 4)):
        images = np.arange(count * 6, dtype=np.uint8).reshape(count, 2, 3)
        for kind, array in (("images-idx3", images), ("labels-idx1", images[:, 0, 0])):
            content = idx.encode(array)
            (raw / f"{prefix}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))
            sha256[f"{prefix}-{kind}-ubyte"] = hashlib.sha256(content).hexdigest()
    splitting = Splitting(
        validation_size=0.25,
        validation="split",
        split_seed=1,
        train_size=None,
        test_size=None,
        order_seed=0,
        resident="never",
        test_share=None,
    )
    data = _grey_images("tiny", Collection("Tiny", sha256, []), str(tmp_path), splitting)
    assert (data.shape, data.sizes) == ((1, 2, 3), {"train": 6, "validation": 2, "test": 4})
    assert data.test.x[3].tolist() == [[[18, 19, 20], [21, 22, 23]]]
    assert data.test.y is not None
    assert data.test.y.tolist() == [0, 6, 12, 18]


def test_one_hot_is_the_unit_matrix() -> None:
    data = made("one_hot", size=4, repeat=3, validation="test")
    assert data.sizes == {"train": 12, "validation": 4, "test": 4}
    assert data.test.x.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert data.validation is data.test
    assert data.train.x.sum(0).tolist() == [3, 3, 3, 3]
    assert data.train.x.argmax(1).equal(data.train.y)
    assert data.range == (0.0, 1.0)


def test_digits_levels() -> None:
    data = made("digits", validation="test")
    parts = torch.cat([data.train.x, data.test.x])
    assert parts.shape == (1797, 1, 8, 8)
    # 17 levels v * 255 / 16, of which 8 * 255 / 16 = 127.5 is rounded to the even 128.
    assert parts.unique().tolist() == [round(level * 255 / 16) for level in range(17)]


def test_purchases_have_three_factors() -> None:
    data = made("purchases", rows=4000)
    assert data.columns == tuple(PURCHASES)
    assert data.shape == (18,)
    inner = data.train.x.double().clamp(0.02, 0.98)  # undo the sigmoid where it isn't clipped
    logits = torch.logit(inner[((data.train.x > 0.1) & (data.train.x < 0.9)).all(1)])
    spectrum = torch.linalg.svdvals(logits - logits.mean(0)) / len(logits) ** 0.5
    # Noise of 0.02 is 0.02 / (x (1 - x)), at most 0.22, after the logit: three directions stand out.
    assert spectrum[2] > 2 * spectrum[3]
    assert spectrum[3] < 0.02 / (0.1 * 0.9)
    assert PURCHASES_NOISE == 0.02


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_manifold_is_flat_up_close_in_its_own_dimension(dimension: int) -> None:
    data = made("synthetic_manifold", rows=20_000, intrinsic_dimension=dimension, noise=0.0, dimensions=12)
    x = data.train.x.double()
    ratios = []
    for centre in x[:20]:
        near = x[(x - centre).norm(dim=1).argsort()[:30]]
        spectrum = torch.linalg.svdvals(near - near.mean(0))
        ratios.append((spectrum[dimension] / spectrum[dimension - 1]).item())
    assert np.median(ratios) < 0.25  # no further direction but curvature
    assert data.range[0] >= 0.1 - 1e-6
    assert data.range[1] <= 0.9 + 1e-6


def test_manifold_noise_level() -> None:
    plain, noisy = (made("synthetic_manifold", rows=2000, noise=noise, dimensions=30) for noise in (0.0, 0.02))
    difference = noisy.train.x - plain.train.x
    assert difference.std().item() == pytest.approx(0.02, rel=0.02)


@pytest.mark.parametrize(
    ("name", "key", "value", "allowed"),
    [
        ("purchases", "rows", 9, "at least 10"),
        ("purchases", "seed", -1, "from 0 to 4294967295"),
        ("one_hot", "size", 1, "at least 2"),
        ("one_hot", "repeat", 0, "at least 1"),
        ("synthetic_manifold", "rows", "many", "at least 10"),
        ("synthetic_manifold", "intrinsic_dimension", 0, "at least 1"),
        ("synthetic_manifold", "dimensions", 4, r"2 \* intrinsic_dimension \+ 1 = 5"),
        ("synthetic_manifold", "noise", 0.2, "from 0 to 0.1"),
        ("synthetic_manifold", "noise", "loud", "from 0 to 0.1"),
        ("mnist", "validation_size", 60_000, "at most 59999"),
    ],
)
def test_errors_name_key_value_and_allowed(name: str, key: str, value: object, allowed: str) -> None:
    with pytest.raises(Exception, match=rf"{key} must be .*{allowed}.*, got '?{value}"):
        made(name, **{key: value})


def test_a_wrong_key_is_told_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "empty"))
    with caplog.at_level(logging.INFO, "hourglass"), pytest.raises(Exception, match="resident must be one of"):
        made("mnist", resident="perhaps")
    assert not caplog.records
    assert not (tmp_path / "empty").exists()
