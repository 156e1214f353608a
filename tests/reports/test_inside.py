"""Where the units of a convolutional code stand, by hand."""

from pathlib import Path

import pytest

from hourglass.pipeline.train import train_once
from hourglass.reports.inside import Inside


def test_a_unit_of_a_map_has_a_channel_a_place_and_a_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["model=conv", "model.code_size=null", "model.widths=[4]", "model.depth=1", "data=digits"]
    run = train_once([*words, "data.train_size=100", "training.epochs=1", "callback=quick"], folder=tmp_path / "run")
    inside = Inside.of(run.id, uri=run.uri)
    assert inside.map_shape == (4, 4, 4)
    # A kernel of 3, then a pool of 2: the unit in the corner sees its 2 x 2 outputs' neighbours.
    assert inside.place(0) == "channel 1, row 1, column 1; sees rows 1 to 3, columns 1 to 3"
    assert inside.place(16 + 5).startswith("channel 2, row 2, column 2; sees rows ")
