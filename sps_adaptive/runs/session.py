"""One session of work on a run: compute what is missing, keep each block as it comes, write down how it went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sps_adaptive.errors import SimulationError, StoreError
from sps_adaptive.runs.blocks import Unit, n_kept, stems
from sps_adaptive.runs.manifest import identity, new_session, now
from sps_adaptive.runs.tasks import Failed, WorkerDiedError, run_all
from sps_adaptive.runs.work import Work, compute
from sps_adaptive.scenario import BLOCK_SIZE

if TYPE_CHECKING:
    from sps_adaptive.runs.store import RunStore
    from sps_adaptive.scenario import Scenario

Progress = Callable[[int, int], None]
"""Is told how many trials are done, and of how many."""


class Session(NamedTuple):
    """What a session works on, and with what."""

    store: RunStore
    scenario: Scenario
    needed: Sequence[Unit]
    """All units of the request."""
    missing: Sequence[Unit]
    """Those that are not there yet."""
    work: Work
    progress: Progress
    workers: int
    command: str | None


def work_on(session: Session, make_executor: Callable[[], Executor], in_flight: int) -> None:
    """Compute what is missing.

    Parameters
    ----------
    session
        What is to be done.
    make_executor
        Makes what runs the blocks.
    in_flight
        How many blocks may be under way at once.

    Raises
    ------
    SimulationError
        If a block fails, or its worker dies twice.
    StoreError
        If a block cannot be written.
    """
    entry, began = new_session(session.command, session.workers), time.perf_counter()
    earlier = session.store.manifest()["sessions"]
    keep = _Keeper(session)

    def write_down() -> None:
        """Write the manifest with what this session has done by now."""
        entry.update(finished=now(), seconds=round(time.perf_counter() - began, 3), blocks=keep.blocks)
        write_manifest(session.store, session.scenario, [*earlier, entry])

    write_manifest(session.store, session.scenario, [*earlier, entry])
    try:
        run_all(make_executor, partial(compute, session.work, session.scenario), session.missing, in_flight, keep)
    except WorkerDiedError as error:
        with suppress(StoreError):
            write_down()
        raise _failure(
            session.scenario,
            error.task,
            "its worker died twice (too little memory? or a script that calls simulate outside its __main__ guard?)",
        ) from None
    except BaseException:
        with suppress(StoreError):  # the exception under way says more
            write_down()
        raise
    write_down()


def write_manifest(store: RunStore, scenario: Scenario, sessions: Sequence[Mapping[str, Any]]) -> None:
    """Write what identifies the run, what there is of it, and the sessions of work."""
    names = stems(scenario)
    available = {truth: store.n_blocks(stem) * BLOCK_SIZE for truth, stem in names.items()}
    # Asking for fewer does not make a run smaller.
    before = 0 if store.is_new() else store.manifest().get("replicates", 0)
    most = {"replicates": max(before, scenario.simulation.replicates)}
    store.write_manifest(identity(scenario, names, available) | most | {"sessions": list(sessions)})


def n_trials(scenario: Scenario, units: Iterable[Unit]) -> int:
    """Return how many of the trials that were asked for are in some units, over all designs."""
    return len(scenario.design_names) * sum(n_kept(unit.block, scenario.simulation.replicates) for unit in units)


class _Keeper:
    """Keeps each block as it comes, and counts."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.stems = stems(session.scenario)
        self.blocks = 0
        self.total = self._trials(session.needed)
        self.done = self.total - self._trials(session.missing)
        session.progress(self.done, self.total)

    def __call__(self, unit: Unit, result: Mapping[str, bytes] | Failed) -> None:
        if isinstance(result, Failed):
            error = _failure(self.session.scenario, unit, result.error)
            error.add_note(result.traceback)
            raise error
        still_to_come = len(self.session.missing) - self.blocks - 1
        self.session.store.write_block(self.stems[unit.truth], unit.block, result, still_to_come)
        self.blocks += 1
        self.done += self._trials([unit])
        self.session.progress(self.done, self.total)

    def _trials(self, units: Iterable[Unit]) -> int:
        return n_trials(self.session.scenario, units)


def _failure(scenario: Scenario, unit: Unit, what: str) -> SimulationError:
    first = unit.block * BLOCK_SIZE
    return SimulationError(
        f"block {unit.block} of truth '{unit.truth}' failed with the seed {scenario.simulation.seed}: {what}",
        f"its replicates are {first} to {first + BLOCK_SIZE - 1}: replay them one by one with this truth and seed;"
        " blocks finished so far are kept",
    )
