"""Simulation of small adaptive trials, made for stiff person syndrome.

``load_scenario`` reads a scenario file, ``simulate`` runs it, ``compute_exact`` sums over all its paths, and the answer
is a set of pandas frames.
Heavy libraries are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sps_adaptive.runs.exact import ExactResults, compute_exact
    from sps_adaptive.runs.run import Results, open_run, simulate
    from sps_adaptive.scenario import Scenario
    from sps_adaptive.spec import load_scenario, parse_scenario, variant

_HOME = {
    "ExactResults": "sps_adaptive.runs.exact",
    "Results": "sps_adaptive.runs.run",
    "Scenario": "sps_adaptive.scenario",
    "compute_exact": "sps_adaptive.runs.exact",
    "load_scenario": "sps_adaptive.spec",
    "open_run": "sps_adaptive.runs.run",
    "parse_scenario": "sps_adaptive.spec",
    "simulate": "sps_adaptive.runs.run",
    "variant": "sps_adaptive.spec",
}

__all__ = [
    "ExactResults",
    "Results",
    "Scenario",
    "__version__",
    "compute_exact",
    "load_scenario",
    "open_run",
    "parse_scenario",
    "simulate",
    "variant",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sps_adaptive' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
