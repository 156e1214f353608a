"""Generated shapes: their factors are what they were drawn by, and stay with their samples."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from hourglass.data import Dataset, Scaling

CONF = Path(__file__).parents[2] / "conf" / "data" / "shapes.yaml"


def made(**overrides: Any) -> Dataset:
    data: Dataset = instantiate(OmegaConf.merge(OmegaConf.load(CONF), overrides))
    return data


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path))
    return tmp_path


def test_an_image_shows_its_factors() -> None:
    data = made(samples=1000)
    assert [(factor.name, len(factor.values)) for factor in data.factors] == [
        ("shape", 3),
        ("scale", 6),
        ("orientation", 20),
        ("x", 16),
        ("y", 16),
    ]
    assert data.classes == ("square", "ellipse", "heart")
    for split in (data.train, data.validation, data.test):
        assert split.factors is not None
        assert (split.factors.dtype, split.factors.shape) == (torch.int64, (len(split), 5))
        assert split.factors[:, 0].equal(split.y)
        grey = split.x[:, 0].double() / 255
        assert not split.x[:, 0, [0, -1]].float().mean() > 1  # nothing leaves the image
        # The place of a square and of an ellipse is its centre of mass: 16 + x (16 - 32/5 sqrt 2), in pixels.
        even = split.factors[:, 0] < 2
        points = torch.arange(32).double() + 0.5
        for axis, factor in ((1, 3), (2, 4)):  # over rows of the image: x
            centre = (grey.sum(axis) * points).sum(1) / grey.sum((1, 2))
            values = torch.tensor(data.factors[factor].values).double()[split.factors[:, factor]]
            torch.testing.assert_close(centre[even], (16 + values * (16 - 6.4 * math.sqrt(2)))[even], atol=0.2, rtol=0)
        # Areas in units of (scale 32/5)^2: 1.8^2 of the square, pi 1.2 0.7 of the ellipse; the heart has others.
        unit = (torch.tensor(data.factors[1].values).double()[split.factors[:, 1]] * 6.4).square()
        for kind, area in ((0, 1.8**2), (1, math.pi * 1.2 * 0.7)):
            of_kind = split.y == kind
            torch.testing.assert_close(
                grey.sum((1, 2))[of_kind] / unit[of_kind],
                torch.full((int(of_kind.sum()),), area).double(),
                atol=0,
                rtol=0.05,
            )


def test_a_quarter_turn_is_one_of_the_image_and_of_a_square_none() -> None:
    data = made(samples=None, scales=1, orientations=4, positions=1, test_share=1.0)
    assert [factor.name for factor in data.factors] == ["shape", "orientation"]  # the others have one value
    assert data.test.factors is not None
    at = {tuple(row.tolist()): image for row, image in zip(data.test.factors, data.test.x[:, 0].int(), strict=True)}
    assert len(at) == 12
    for shape in range(3):
        for quarter in range(1, 4):
            turned = torch.rot90(at[shape, 0], -quarter)
            assert (turned - at[shape, quarter]).abs().max() <= 32  # points on the edge
    assert (at[0, 1] - at[0, 0]).abs().max() <= 32
    assert (at[2, 2] - at[2, 0]).abs().max() == 255


def test_the_same_seed_gives_the_same_images_which_are_made_once(cache: Path) -> None:
    small = made(samples=200, size=16)
    (kept,) = cache.glob("shapes-*/*.npy")
    written = kept.stat().st_mtime_ns
    again = made(samples=200, size=16)
    assert kept.stat().st_mtime_ns == written
    assert again.digest == small.digest
    assert made(samples=200, size=16, seed=1).digest != small.digest
    kept.write_bytes(b"damaged")
    assert made(samples=200, size=16).digest == small.digest
    np.save(kept, np.zeros((200, 1, 8, 8), np.uint8))
    assert made(samples=200, size=16).digest == small.digest
    assert small.shape == (1, 16, 16)
    factors = torch.cat([each.factors for each in (small.train, small.validation, small.test)])  # type: ignore[misc]
    assert len(factors.unique(dim=0)) == 200  # no combination twice


def test_factors_stay_with_their_samples() -> None:
    plain = made(samples=200, size=8)
    for other in (
        made(samples=200, size=8, binarize="static"),
        plain.rescaled(Scaling(offset=torch.zeros(1, 1, 1).double(), scale=torch.full((1, 1, 1), 2.0).double())),
    ):
        assert other.train.factors is not None
        assert other.train.factors.equal(plain.train.factors)
        assert other.test.factors.equal(plain.test.factors)  # type: ignore[union-attr]
        assert other.digest != plain.digest


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("size", 7, "size must be a whole number from 8 to 128, got 7"),
        ("shapes", 4, "shapes must be a whole number from 1 to 3, got 4"),
        ("orientations", 0, "orientations must be a whole number from 1 to 128, got 0"),
        ("samples", 100_000, "samples must be a whole number from 10 to 92160, got 100000"),
        ("seed", -1, "seed must be a whole number from 0 to"),
    ],
)
def test_what_is_refused(key: str, value: int, allowed: str) -> None:
    with pytest.raises(Exception, match=allowed):
        made(**{key: value})
    with pytest.raises(Exception, match=r"samples must be a number for 5,898,240 combinations"):
        made(samples=None, positions=128)
