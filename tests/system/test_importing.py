"""What is imported for a command is not searched for garbage, before or after."""

import gc

import pytest

from hourglass.system import process


def test_nothing_is_searched_for_garbage_while_importing_and_what_is_there_is_frozen() -> None:
    try:
        with process.importing():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()


def test_an_import_that_fails_leaves_everything_as_it_was() -> None:
    frozen = gc.get_freeze_count()
    with pytest.raises(ImportError), process.importing():
        raise ImportError("no such module")
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
