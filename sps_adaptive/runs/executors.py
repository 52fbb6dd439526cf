"""Who computes the blocks: this process, a pool of processes, or any `concurrent.futures.Executor`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""What tells numerical libraries how many threads to start; one is enough where every core has its own worker."""


class Failed(NamedTuple):
    """What is known of a task that raised an exception."""

    error: str
    """The exception in one line."""
    traceback: str


class WorkerDiedError(Exception):
    """A task whose worker died, and died again when the task was tried alone."""

    def __init__(self, task: Any) -> None:
        super().__init__(task)
        self.task = task


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


def run_all(
    make_executor: Callable[[], Executor],
    task: Callable[[T], R],
    units: Iterable[T],
    in_flight: int,
    keep: Callable[[T, R | Failed], None],
) -> None:
    """Run a task on every unit, with few of them in flight, and hand each result over as soon as it is there.

    Parameters
    ----------
    make_executor
        Makes an executor; called again when workers have died.
    task
        What is run, in a worker.
    units
        What it is run on.
    in_flight
        How many units may be under way at once, which bounds the memory.
    keep
        Called in this process with each unit and its result, in order of completion.

    Raises
    ------
    WorkerDiedError
        If a worker dies of a unit twice. The first time, all units that were lost are tried again, one by one,
        so that the second time it is certain which it was.
    KeyboardInterrupt
        After the units that had begun are finished and kept.
    """
    todo = deque(units)
    while todo:
        with make_executor() as executor:
            lost = _run(executor, task, todo, in_flight, keep)
        for unit in lost:
            with make_executor() as executor:
                if _run(executor, task, deque([unit]), 1, keep):
                    raise WorkerDiedError(unit)


def _run(
    executor: Executor,
    task: Callable[[T], R],
    todo: deque[T],
    in_flight: int,
    keep: Callable[[T, R | Failed], None],
) -> list[T]:
    """Work on `todo` until it is empty or a worker dies; return the units that were lost with it."""
    running: dict[Future[R | Failed], T] = {}
    try:
        while todo or running:
            while todo and len(running) < in_flight:
                unit = todo.popleft()
                try:
                    running[executor.submit(_attempt, task, unit)] = unit
                except BrokenExecutor:
                    return [unit, *_settle(running, keep)]
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                if isinstance(future.exception(), BrokenExecutor):
                    return _settle(running, keep)
                keep(running.pop(future), _result(future))
    except KeyboardInterrupt:
        _settle(_begun(running), keep)
        raise
    except Exception:
        _begun(running)
        raise
    return []


def _attempt(task: Callable[[T], R], unit: T) -> R | Failed:
    """Run a task; an exception is returned in words, because not every exception survives the way back."""
    try:
        return task(unit)
    except Exception as error:
        return _failed(error)


def _result(future: Future[R | Failed]) -> R | Failed:
    error = future.exception()
    return future.result() if error is None else _failed(error)


def _failed(error: BaseException) -> Failed:
    words = f"{type(error).__name__}: {error}".partition("\n")[0]
    return Failed(words, "".join(traceback.format_exception(error)))


def _begun(running: dict[Future[R | Failed], T]) -> dict[Future[R | Failed], T]:
    """Cancel what has not begun and return the rest."""
    return {future: unit for future, unit in running.items() if not future.cancel()}


def _settle(running: dict[Future[R | Failed], T], keep: Callable[[T, R | Failed], None]) -> list[T]:
    """Wait for what has begun, keep what is finished, and return the rest."""
    wait(running)
    lost = []
    for future, unit in running.items():
        if isinstance(future.exception(), BrokenExecutor):
            lost.append(unit)
        else:
            keep(unit, _result(future))
    return lost


def borrowed(executor: Executor) -> Callable[[], Executor]:
    """Return what makes an executor out of one that belongs to somebody else and is not to be shut down."""
    return partial(_Borrowed, executor)


class _Borrowed(Executor):
    def __init__(self, lender: Executor) -> None:
        self._lender = lender

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        return self._lender.submit(fn, *args, **kwargs)
