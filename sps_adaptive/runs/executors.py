"""Who computes the blocks: this process, a pool of processes, or any `concurrent.futures.Executor`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

R = TypeVar("R")

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""What tells numerical libraries how many threads to start; one is enough where every core has its own worker."""


class InProcess(Executor):
    """Runs a task in this process, at once, when it is submitted."""

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Run a task and return its result as a future."""
        future: Future[R] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def local_executor(workers: int) -> Executor:
    """Return an executor on this machine: in process for one worker, else a pool of processes."""
    if workers == 1:
        return InProcess()
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=start_worker)
    try:
        with _deaf_to_ctrl_c():
            pool.submit(int)  # starts the processes
    except BaseException:
        pool.shutdown()
        raise
    return pool


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Put off Ctrl-C while processes are started, and let them be born deaf to it.

    A pool that is interrupted while it starts is beyond repair; and a worker first imports the main module, long
    before it comes to `start_worker`.
    """
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    from multiprocessing import resource_tracker

    heard: list[int] = []
    resource_tracker.ensure_running()  # first: it would let the signal through again
    handler = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # what is started inherits the mask
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, signal.SIG_DFL if handler is None else handler)
        if heard:
            signal.raise_signal(signal.SIGINT)


def start_worker() -> None:
    """Make a process a good worker: one thread, Ctrl-C left to the parent, and no life without it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(dict.fromkeys(THREADS, "1"))  # read by numpy and numba when they are first imported
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def borrowed(executor: Executor) -> Callable[[], Executor]:
    """Return what makes an executor out of one that belongs to somebody else and is not to be shut down."""
    return partial(_Borrowed, executor)


class _Borrowed(Executor):
    def __init__(self, lender: Executor) -> None:
        self._lender = lender

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        return self._lender.submit(fn, *args, **kwargs)
