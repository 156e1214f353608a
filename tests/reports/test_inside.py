"""Where the units of a convolutional code stand, by hand; and which units are on, as the run counted them."""

from pathlib import Path

import pytest
import torch

from hourglass.pipeline.train import train_once
from hourglass.reports.inside import Inside
from hourglass.reports.units import unit_cards, unit_rates


def test_a_unit_of_a_map_has_a_channel_a_place_and_a_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["model=conv", "model.code_size=null", "model.widths=[4]", "model.depth=1", "data=digits"]
    run = train_once([*words, "data.train_size=100", "training.epochs=1", "callback=quick"], folder=tmp_path / "run")
    inside = Inside.of(run.id, uri=run.uri)
    assert inside.map_shape == (4, 4, 4)
    # A kernel of 3, then a pool of 2: the unit in the corner sees its 2 x 2 outputs' neighbours.
    assert inside.place(0) == "channel 1, row 1, column 1; sees rows 1 to 3, columns 1 to 3"
    assert inside.place(16 + 5).startswith("channel 2, row 2, column 2; sees rows ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bottleneck=relu", "noise=masking"], "on (h is not 0), the largest first: "),
        (["bottleneck=linear", "noise=masking", "training.code_threshold=0.5"], "on (|h| > 0.5), the largest first: "),
        (["bottleneck=gaussian"], " are above 0.01, the dashed line, from which on a unit of this code is in use."),
    ],
    ids=["rectified", "threshold", "gaussian"],
)
def test_units_are_counted_as_in_the_test(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same threshold, of the same corrupted samples: the page and the run's numbers agree."""
    monkeypatch.chdir(tmp_path)
    whole = ["data=digits", "training.epochs=1", "optimizer.lr=0.01", "model.code_size=9", "callback=quick"]
    run = train_once([*whole, *words], folder=tmp_path / "run")
    inside = Inside.of(run.id, uri=run.uri)
    assert inside.on.mean() == pytest.approx(run.metrics["test/code_active_fraction"], abs=1e-6)
    assert inside.on.any(0).sum() == run.metrics["test/code_active_units"]
    assert torch.equal(inside.code, inside.tested) == ("noise=masking" not in words)
    picture = unit_rates(inside, name="rates")
    assert said in picture.says
    (axes,) = picture.figure.axes
    drawn = [bar.get_y() + bar.get_height() for bar in axes.patches]
    units = [int(label.get_text()) - 1 for label in axes.get_xticklabels()]
    values = inside.code.double().var(0, correction=0).numpy() if "gaussian" in words[0] else inside.on.mean(0)
    assert sorted(drawn, reverse=True) == drawn == pytest.approx(values[units].tolist())
    assert axes.get_yscale() == ("log" if "gaussian" in words[0] else "linear")
    assert picture.svg().startswith(b"<?xml")
    assert [block.kind for block in unit_cards(inside)] == ["sentences", "picture", "live"]
