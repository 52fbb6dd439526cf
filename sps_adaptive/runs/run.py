"""Run a scenario: the blocks that are missing are computed, all others are read."""

from __future__ import annotations

import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from sps_adaptive.errors import UsageError
from sps_adaptive.exact.binding import refuse_unsummable
from sps_adaptive.runs.blocks import Unit, stems, units_needed
from sps_adaptive.runs.dictionary import data_dictionary
from sps_adaptive.runs.exact import ExactResults, compute_exact, is_exact, open_exact
from sps_adaptive.runs.executors import borrowed, local_executor
from sps_adaptive.runs.files import told
from sps_adaptive.runs.manifest import check_same
from sps_adaptive.runs.results import Results
from sps_adaptive.runs.session import Progress, Session, work_on, write_manifest
from sps_adaptive.runs.store import DICTIONARY, SCENARIO, RunStore
from sps_adaptive.runs.text import scenario_text
from sps_adaptive.runs.work import Work, the_work
from sps_adaptive.scenario import BLOCK_SIZE, Scenario, Simulation

__all__ = ["ExactResults", "Results", "compute_exact", "default_folder", "open_run", "simulate"]

Warn = Callable[[str], None]
"""Is told, in a sentence, of something that was mended."""


def simulate(
    scenario: Scenario,
    *,
    replicates: int | None = None,
    seed: int | None = None,
    workers: int = 1,
    truths: Sequence[str] | None = None,
    output: Path | str | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
    warn: Warn | None = None,
    text: str | None = None,
    command: str | None = None,
    work: Work | None = None,
) -> Results:
    """Simulate a scenario, or as much of it as has not been simulated yet.

    Parameters
    ----------
    scenario
        The scenario.
    replicates, seed
        Used instead of those of the scenario.
    workers
        Processes on this machine. The numbers do not depend on it.
    truths
        Names of the truths to simulate; all of them if none is named.
    output
        Folder of the run; a run of the same scenario that it holds is gone on with. Without it, the files live as
        long as the results.
    executor
        Runs the blocks instead of processes on this machine; `workers` then says how many it can run at once.
    progress
        Called at the start and after each block with the number of trials done and of all trials, over truths and
        designs.
    warn
        Called with a sentence when a block was damaged and is computed again; by default a Python warning.
    text
        The scenario as it was written, to be kept with the run.
    command
        The command that asked for the run, for the manifest.
    work
        The functions that compute a block and sum it up; by default those of this package.

    Raises
    ------
    DesignError, UsageError
        If the request makes no sense.
    StoreError
        If the results cannot be written. Blocks that are finished are kept.
    SimulationError
        If a block fails. Blocks that are finished are kept.
    KeyboardInterrupt
        If the user interrupts. Blocks that have begun in other processes are finished and kept.
    """
    if not isinstance(scenario, Scenario):
        raise UsageError("simulate takes a scenario, not the name of its file", "simulate(load_scenario(file))")
    scenario = _as_asked(scenario, replicates, seed)
    refuse_unsummable(scenario)
    chosen = _chosen(scenario, truths)
    if workers < 1:
        raise UsageError(f"{workers} workers cannot work", "use 1 or more")
    work, warn = work or the_work(), warn or _python_warning
    folder = _temporary() if output is None else Path(output)
    store = RunStore(folder)
    needed = units_needed(chosen, scenario.simulation.replicates)
    try:
        _prepare(store, scenario, text)
        missing = _missing(store, scenario, needed, warn)
        workers = max(1, min(workers, len(missing)))
        session = Session(store, scenario, needed, missing, work, progress or _silent, workers, command)
        if missing and executor is not None:
            work_on(session, borrowed(executor), 2 * workers)
        elif missing:
            work_on(session, partial(local_executor, workers), 1 if workers == 1 else 2 * workers)
    except BaseException:
        if output is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    results = Results(scenario, folder, chosen, scenario.simulation.replicates, len(missing), work, warn)
    if output is None:
        weakref.finalize(results, shutil.rmtree, folder, ignore_errors=True)
    return results


def open_run(folder: Path | str, *, warn: Warn | None = None, work: Work | None = None) -> Results | ExactResults:
    """Return the results of a run that was simulated before, finished or not, or exact figures that were kept.

    Parameters
    ----------
    folder
        Folder of the run.
    warn, work
        As for `simulate`.

    Returns
    -------
    Results
        Of the truths that have been simulated, with as many replicates as are there of each of them, but no more
        than were ever asked for.
    ExactResults
        If the folder holds exact figures.

    Raises
    ------
    UsageError
        If the folder holds no run, or one that this version cannot read.
    """
    store = RunStore(Path(folder))
    return open_exact(store) if is_exact(store.manifest()) else open_simulated(folder, warn=warn, work=work)


def open_simulated(folder: Path | str, *, warn: Warn | None = None, work: Work | None = None) -> Results:
    """Return the results of a run that was simulated before; see `open_run`."""
    from sps_adaptive.spec import parse_scenario

    store = RunStore(Path(folder))
    manifest = store.manifest()
    scenario = parse_scenario(store.read_text(SCENARIO), str(store.folder / SCENARIO))
    scenario = scenario.with_simulation(manifest["replicates"], manifest["seed"])
    check_same(manifest, scenario, store.folder, "simulate the scenario again into another folder")
    n_blocks = {truth: store.n_blocks(stem) for truth, stem in stems(scenario).items()}
    there = tuple(truth for truth in scenario.truths if n_blocks[truth])
    if not there:
        raise UsageError(f"the run in {folder} has no finished block yet", "simulate its scenario into this folder")
    replicates = min(scenario.simulation.replicates, *(n_blocks[truth] * BLOCK_SIZE for truth in there))
    return Results(scenario, store.folder, there, replicates, 0, work or the_work(), warn or _python_warning)


def default_folder(scenario: Scenario, file: Path | str) -> Path:
    """Return the folder of a run that was given none: named after the file and the digest of the scenario."""
    return Path("runs") / f"{Path(file).stem}-{scenario.digest()[:8]}"


def _as_asked(scenario: Scenario, replicates: int | None, seed: int | None) -> Scenario:
    asked = scenario.with_simulation(replicates, seed)
    try:
        Simulation.model_validate(asked.simulation.model_dump())
    except ValidationError as error:
        problems = [f"{found['loc'][0]}: {found['msg'].lower()}" for found in error.errors()]
        raise UsageError(f"such a simulation cannot be: {'; '.join(problems)}") from None
    return asked.checked()


def _chosen(scenario: Scenario, truths: Sequence[str] | None) -> tuple[str, ...]:
    for truth in truths or ():
        scenario.truth(truth)
    return tuple(truth for truth in scenario.truths if not truths or truth in truths)


def _temporary() -> Path:
    with told(Path(tempfile.gettempdir()), "written"):
        return Path(tempfile.mkdtemp(prefix="sps-adaptive-"))


def _prepare(store: RunStore, scenario: Scenario, text: str | None) -> None:
    """Make the folder ready; what is there already is not written again."""
    sessions = []
    if not store.is_new():
        manifest = store.manifest()
        check_same(manifest, scenario, store.folder, "choose another --output")
        if is_exact(manifest):
            hint = "choose another --output"
            raise UsageError(f"the folder {store.folder} holds exact figures of this scenario", hint)
        sessions = manifest["sessions"]
    store.tidy(stems(scenario).values())
    write_manifest(store, scenario, sessions)
    store.write_text(SCENARIO, scenario_text(scenario) if text is None else text)
    store.write_text(DICTIONARY, data_dictionary())


def _missing(store: RunStore, scenario: Scenario, needed: Sequence[Unit], warn: Warn) -> list[Unit]:
    names = stems(scenario)
    missing = []
    for unit in needed:
        stem = names[unit.truth]
        if not store.is_begun(stem, unit.block):
            missing.append(unit)
        elif not store.is_sound(stem, unit.block):
            warn(f"block {unit.block} of truth '{unit.truth}' is damaged and is computed again")
            store.remove_block(stem, unit.block)
            missing.append(unit)
    return missing


def _python_warning(sentence: str) -> None:
    warnings.warn(sentence, RuntimeWarning, stacklevel=3)


def _silent(done: int, total: int) -> None:
    """Tell nobody."""
