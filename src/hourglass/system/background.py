"""Work that another thread does meanwhile."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import torch

T = TypeVar("T")


def begin(work: Callable[[], T]) -> "Future[T]":
    """Do some work in a thread of its own, in which torch computes with one thread less than in the caller's.

    Its result, or what it raised, is the future's. A process that ends doesn't wait for it: it must leave nothing half
    done.
    """
    future: Future[T] = Future()
    threads = torch.get_num_threads()  # asking also gives the caller's thread a number that the work doesn't change

    def run() -> None:
        torch.set_num_threads(max(1, threads - 1))  # of this thread, and of all that begin before it is taken back
        try:
            try:
                value = work()
            finally:
                torch.set_num_threads(threads)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(value)

    threading.Thread(target=run, daemon=True).start()
    return future
