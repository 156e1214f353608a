"""Files that are there whole or not at all, and what is kept in them."""

import logging
from pathlib import Path

import pytest

from hourglass.system.cache import kept
from hourglass.system.files import draft, remove_drafts


def test_a_file_appears_at_the_end_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "name.npz"
    with draft(path) as part:
        part.write_text("first")
        assert part.name == path.name
        assert not path.exists()
    assert path.read_text() == "first"

    def fail() -> None:
        with draft(path) as part:
            part.write_text("sec")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]
    killed = path.parent / f".{path.name}.abc.part"
    killed.mkdir()
    (killed / path.name).touch()
    remove_drafts(path)
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_appears_likewise(tmp_path: Path) -> None:
    with draft(tmp_path / "folder") as part:
        part.mkdir()
        (part / "file").touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["file"]


def test_what_is_kept_is_computed_once_and_again_where_it_is_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, computed = tmp_path / "number", []

    def number() -> int:
        def compute() -> int:
            computed.append(len(computed))
            return 7

        return kept(
            path,
            read=lambda path: int(path.read_text()),
            compute=compute,
            write=lambda path, value: path.write_text(str(value)),
        )

    assert [number(), number()] == [7, 7]
    assert computed == [0]
    path.write_text("7 or so")
    with caplog.at_level(logging.WARNING, "hourglass"):
        assert number() == 7
    assert computed == [0, 1]
    assert f"{path} is damaged and is computed again: invalid literal" in caplog.text
    assert path.read_text() == "7"
