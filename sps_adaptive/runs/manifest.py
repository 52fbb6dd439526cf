"""The manifest of a run: what it is, and with what, when and how it was computed. Time is told nowhere else."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from sps_adaptive import __version__
from sps_adaptive.errors import UsageError
from sps_adaptive.scenario import BLOCK_SIZE, ENGINE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sps_adaptive.scenario import Scenario

FORMAT = 1
"""Version of the layout of the folder."""

LIBRARIES = ("numpy", "scipy", "numba", "pandas", "pyarrow", "pydantic")
"""What the numbers and the files depend on."""


def identity(scenario: Scenario, stems: Mapping[str, str], available: Mapping[str, int]) -> dict[str, Any]:
    """Return what identifies a run.

    Parameters
    ----------
    scenario
        The scenario, with the seed and the number of replicates that were asked for.
    stems
        For each truth, how the names of its parts begin.
    available
        For each truth, how many replicates are there without a gap.
    """
    return {
        "format": FORMAT,
        "title": scenario.title,
        "engine": ENGINE,
        "block_size": BLOCK_SIZE,
        "scenario_digest": scenario.digest(),
        "seed": scenario.simulation.seed,
        "replicates": scenario.simulation.replicates,
        "truths": {
            truth: {"digest": scenario.truth_digest(truth), "parts": stems[truth], "replicates": available[truth]}
            for truth in scenario.truths
        },
    }


def check_same(manifest: Mapping[str, Any], scenario: Scenario, folder: Path, hint: str) -> None:
    """Check that a folder holds a run of this scenario.

    Parameters
    ----------
    manifest
        The manifest in the folder.
    scenario
        The scenario that is to be run or read.
    folder
        The folder.
    hint
        What to do if it does not.

    Raises
    ------
    UsageError
        If it was computed from another scenario, with another seed, or by a version that gives other numbers.
    """
    if manifest.get("scenario_digest") == scenario.digest():
        return
    engine, seed = manifest.get("engine"), manifest.get("seed")
    if engine != ENGINE or manifest.get("block_size") != BLOCK_SIZE:
        raise UsageError(
            f"the run in {folder} was computed by another version of sps-adaptive (engine {engine}, now {ENGINE})", hint
        )
    if seed != scenario.simulation.seed:
        raise UsageError(f"the run in {folder} has the seed {seed}, not {scenario.simulation.seed}", hint)
    raise UsageError(f"the folder {folder} holds a run of another scenario: '{manifest.get('title')}'", hint)


def new_session(command: str | None, workers: int) -> dict[str, Any]:
    """Return the entry of a session of work that begins now."""
    return {
        "started": now(),
        "finished": None,
        "seconds": None,
        "blocks": None,
        "workers": workers,
        "command": command,
        "versions": versions(),
        "platform": platform.platform(),
    }


def versions() -> dict[str, str]:
    """Return the versions of this package, of Python and of the libraries, without importing them."""
    return {"sps-adaptive": __version__, "python": platform.python_version()} | {
        name: metadata.version(name) for name in LIBRARIES
    }


def now() -> str:
    """Return the time, to the second, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
