"""Run a design on a truth and compare with a closed form, in Monte Carlo standard errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from sps_adaptive.contracts import AnalysisModel
from sps_adaptive.scenario import BLOCK_SIZE, Scenario
from sps_adaptive.tables import TrialRecord
from sps_adaptive.trial import run

STANDARD_ERRORS = 4.0
"""Two-sided chance of a false alarm 6e-5 a figure; a few dozen figures are compared, with fixed seeds."""


def scenario(**sections: Any) -> Scenario:
    """Return a scenario without a calendar: a patient a month, outcomes known at once."""
    arms = list(next(iter(sections["truths"].values()))["y"])
    return Scenario.model_validate(
        {
            "title": "test",
            "arms": {arm: {"control": arm == arms[0]} for arm in arms},
            "endpoints": {"y": {"kind": "binary", "better": "higher", "assessed_at_month": 0}},
            "analysis": {"y": {"kind": "beta_binomial"}},
            "looks": {"kind": "none"},
            "allocation": {"kind": "equal", "block": len(arms)},
        }
        | sections
        | {"population": {"patients": sections["population"], "accrual": {"kind": "steady", "patients_per_month": 1}}}
    ).checked()


def records(case: Scenario, truth: str, blocks: int, model: AnalysisModel | None = None) -> list[TrialRecord]:
    """Return the records of the adaptive design in a truth, block by block."""
    design = case.designs()["adaptive"]
    design = design._replace(model=model) if model else design
    found = []
    for block in range(blocks):
        cohort = case.population.draw(5, block, BLOCK_SIZE, case.endpoints)
        potential = case.potential(truth, "y", cohort)
        found.append(run(design, cohort, potential))
    return found


def pooled(found: list[TrialRecord], figure: Any) -> np.ndarray:
    """Return one figure of every trial."""
    return np.concatenate([figure(record) for record in found])


def agree(observed: np.ndarray, expected: float) -> None:
    """Assert that a mean lies within the standard errors of its expectation."""
    error = observed.std() / np.sqrt(len(observed))
    assert abs(observed.mean() - expected) <= STANDARD_ERRORS * error, (
        f"{observed.mean():.6f} against {expected:.6f}: {(observed.mean() - expected) / error:+.1f} standard errors"
    )
