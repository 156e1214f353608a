"""Claims: two terminals with the same sweep."""

import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from test_faults import Place, errors, until, wait_in_a_thread

from hourglass.sweeps import Slot, execute
from hourglass.sweeps.study import open_study
from hourglass.system.locks import claim
from hourglass.tracking import initialise_store, search_runs


@pytest.fixture
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("_own_cache")
def test_a_job_is_claimed_once_and_let_go() -> None:
    with claim("job", place="here", wait=False) as mine:
        assert mine
        with claim("job", place="here", wait=False) as again:
            assert not again
        with claim("job", place="there", wait=False) as elsewhere:
            assert elsewhere
        with claim("another", place="here", wait=False) as other:
            assert other
    with claim("job", place="here", wait=False) as mine:
        assert mine


@pytest.mark.usefixtures("_own_cache")
def test_waiting_lasts_until_the_other_lets_go() -> None:
    order = []

    def second() -> None:
        with claim("job", place="here", wait=True) as mine:
            order.append(f"second {bool(mine)}")

    with claim("job", place="here", wait=True):
        thread = threading.Thread(target=second)
        thread.start()
        order.append("first")
    thread.join()
    assert order == ["first", "second True"]


@pytest.mark.usefixtures("_own_cache")
def test_a_claim_says_when_it_was_let_go_of_before() -> None:
    began = time.time()
    with claim("job", place="here", wait=False) as first:
        assert first.before == -math.inf
        time.sleep(0.05)
        held = time.time()
    with claim("job", place="here", wait=False) as second:
        assert began < held - 0.04 < second.before


def begin(uri: str) -> None:
    axes = {"seed": ["0", "1"]}
    with open_study(uri=uri, experiment="e", name="n", identity="0123456789abcdef", axes=axes, command=""):
        pass


def test_terminals_that_begin_at_once_make_one_study(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    initialise_store(uri)
    outcomes = list(execute(begin, [uri] * 4, slots=[Slot(gpu=None, threads=1)] * 4))
    assert [outcome.failure for outcome in outcomes] == [None] * 4
    (study,) = search_runs(uri, "e", "")
    assert study.info.status == "FINISHED"


@pytest.mark.long
def test_two_terminals_share_the_jobs(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.trap("hang-0", "hang-1")
    script = f"from pathlib import Path; import test_faults; test_faults.Place(Path({str(tmp_path)!r})).sweep(5)"
    here = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": here}) as other:
        try:
            until(lambda: other.poll() is not None or place.statuses() == {"RUNNING": 2})
            # The other one stops at its first two jobs until this one has done all the rest.
            shared = wait_in_a_thread(lambda: place.statuses() == {"RUNNING": 2, "FINISHED": 3}, then=place.clear)
            assert set(errors(place.sweep(5))) == {f"job={number}" for number in range(5)}
            assert shared.is_set()
            assert other.wait(120) == 0
        finally:
            other.kill()  # nothing to do where it has ended
    assert place.statuses() == {"FINISHED": 5}
    assert [run.info.status for run in place.runs("study")] == ["FINISHED"]
