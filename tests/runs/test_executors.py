import os
import threading
import tracemalloc
from collections import deque
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from sps_adaptive.runs.executors import THREADS, InProcess, borrowed, local_executor
from sps_adaptive.runs.tasks import Failed, WorkerDiedError, run_all


def square(number):
    return number * number


def fail(number):
    raise UnfriendlyError(number, "on two\nlines")


class UnfriendlyError(Exception):
    """Cannot be pickled and unpickled, as many exceptions cannot."""

    def __init__(self, number, text):
        super().__init__(text)


def environment(_):
    return {name: os.environ.get(name) for name in THREADS}


def die(folder, times, number):
    """End the process without a word, the first times."""
    if number == 2:
        for time in range(times):
            try:
                (Path(folder) / str(time)).touch(exist_ok=False)
            except FileExistsError:
                continue
            os._exit(1)
    return number


def collect(make, task, units, in_flight=2):
    found = {}
    run_all(make, task, units, in_flight, found.__setitem__)
    return found


@pytest.mark.parametrize("make", [InProcess, partial(local_executor, 1), partial(ThreadPoolExecutor, 2)])
def test_every_unit_is_run_once(make):
    assert collect(make, square, range(20)) == {number: number * number for number in range(20)}


def test_an_exception_is_told_in_words():
    failed = collect(InProcess, fail, [3])[3]
    assert isinstance(failed, Failed)
    assert failed.error == "UnfriendlyError: on two"
    assert "in fail" in failed.traceback


def test_a_pool_of_processes_computes_with_one_thread_and_survives_an_unfriendly_exception():
    with local_executor(2) as pool:
        lent = borrowed(pool)
        assert collect(lent, square, range(5)) == {number: number * number for number in range(5)}
        assert collect(lent, fail, [3])[3].error == "UnfriendlyError: on two"
        assert set(collect(lent, environment, [0])[0].values()) == {"1"}


def test_units_lost_with_a_worker_are_run_again(tmp_path):
    assert collect(partial(local_executor, 2), partial(die, tmp_path, 1), range(6)) == {n: n for n in range(6)}
    assert len(list(tmp_path.iterdir())) == 1


def test_the_unit_that_kills_its_worker_twice_is_named(tmp_path):
    with pytest.raises(WorkerDiedError) as caught:
        collect(partial(local_executor, 2), partial(die, tmp_path, 2), range(6))
    assert caught.value.task == 2


def test_few_units_are_in_flight():
    lock, under_way, most = threading.Lock(), set(), []

    def task(number):
        return number

    class Watched(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            with lock:
                under_way.add(args[-1])
                most.append(len(under_way))
            return super().submit(fn, *args, **kwargs)

    run_all(partial(Watched, 2), task, range(40), 4, lambda unit, result: under_way.discard(unit))
    assert max(most) <= 4


def test_memory_does_not_grow_with_the_number_of_units():
    """Results of 4 MB each: with 4 in flight at most a few are alive at once, be there 60 or 6."""

    def peak(units):
        tracemalloc.start()
        try:
            run_all(partial(ThreadPoolExecutor, 2), lambda n: bytes(4_000_000), range(units), 4, lambda u, r: None)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(6), peak(60)
    assert few < 30e6
    assert many < 30e6  # 240 MB went through


class Dead(Executor):
    """Breaks when a task is submitted."""

    def submit(self, fn, /, *args, **kwargs):
        raise BrokenExecutor


class Breaking(Executor):
    """Takes two tasks and finishes the first; then it breaks."""

    def __init__(self):
        self.submitted = 0

    def submit(self, fn, /, *args, **kwargs):
        self.submitted += 1
        if self.submitted == 3:
            raise BrokenExecutor
        future = Future()
        if self.submitted == 1:
            future.set_result(fn(*args))
        else:
            future.set_exception(BrokenExecutor())
        return future


def test_an_executor_that_is_dead_is_tried_twice():
    with pytest.raises(WorkerDiedError):
        collect(Dead, square, [1, 2])


def test_what_was_finished_before_the_executor_broke_is_kept():
    executors = deque([Breaking(), InProcess(), InProcess(), InProcess()])
    kept = []
    run_all(executors.popleft, square, [1, 2, 3, 4], 3, lambda unit, result: kept.append((unit, result)))
    assert sorted(kept) == [(1, 1), (2, 4), (3, 9), (4, 16)]
    assert kept[0] == (1, 1)


def test_a_lent_executor_is_not_shut_down():
    with ThreadPoolExecutor(1) as pool:
        assert collect(borrowed(pool), square, [1]) == {1: 1}
        assert pool.submit(square, 3).result() == 9


def test_an_interruption_keeps_what_has_begun():
    """The first result interrupts, as Ctrl-C would. Two have begun by then, two have not and never would."""
    kept = []

    def keep(unit, result):
        if not kept:
            kept.append(unit)
            raise KeyboardInterrupt
        kept.append(unit)

    class Begun(Executor):
        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            if args[-1] < 3:
                future.set_running_or_notify_cancel()
                future.set_result(fn(*args))
            return future

    with pytest.raises(KeyboardInterrupt):
        run_all(Begun, square, [1, 2, 3, 4], 4, keep)
    assert sorted(kept) == [1, 2]
