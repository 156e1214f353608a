"""Work in another thread."""

import subprocess
import sys
import threading

import pytest
import torch

from hourglass.system.background import begin


@pytest.fixture(params=[1, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_the_work_leaves_a_core_to_the_caller(threads):
    go_on = threading.Event()

    def work():
        go_on.wait()
        return torch.get_num_threads()

    future = begin(work)
    assert torch.get_num_threads() == threads
    go_on.set()
    assert future.result() == max(1, threads - 1)
    assert torch.get_num_threads() == threads
    # Threads that begin later have as many as the caller again.
    assert [begin(torch.get_num_threads).result() for _ in range(2)] == [max(1, threads - 1)] * 2


def test_what_it_raises_is_raised_where_it_is_asked_for():
    def fails():
        raise KeyError("none")

    future = begin(fails)
    with pytest.raises(KeyError, match="none"):
        future.result()


def test_a_process_that_ends_does_not_wait():
    words = "import time; from hourglass.system.background import begin; begin(lambda: time.sleep(3600)); print('end')"
    ended = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=300, check=True)
    assert ended.stdout == "end\n"
