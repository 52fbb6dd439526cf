"""Tasks on an executor: few in flight, each result handed over at once, lost ones tried again."""

from __future__ import annotations

import traceback
from collections import deque
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
R = TypeVar("R")


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
