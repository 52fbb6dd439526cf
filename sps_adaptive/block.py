"""One block of replicates of one truth: the unit of work of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.contracts import DAYS_PER_MONTH, Cohort
from sps_adaptive.exact.binding import designs as bound_designs
from sps_adaptive.scenario import ADAPTIVE, BLOCK_SIZE, FIXED, NO_FUTILITY, Scenario
from sps_adaptive.tables import Block, TrialRecord, flatten
from sps_adaptive.trial import run

if TYPE_CHECKING:
    from collections.abc import Mapping

DESIGNS = (ADAPTIVE, FIXED, NO_FUTILITY)
"""All designs that a run may have; the code in the tables is the position in this list."""


def draw(scenario: Scenario, block: int) -> Cohort:
    """Return the patients of a block: the same for every truth and design."""
    return scenario.draw(scenario.simulation.seed, block, BLOCK_SIZE)


def run_designs(scenario: Scenario, truth: str, cohort: Cohort) -> Mapping[str, TrialRecord]:
    """Run every design on the same patients."""
    designs = bound_designs(scenario)
    first = designs[ADAPTIVE]
    potential = scenario.potential(truth, first.endpoint_name, cohort)
    others = {name: scenario.potential(truth, name, cohort) for name in list(scenario.endpoints)[1:]}
    return {name: run(designs[name], cohort, potential, others) for name in scenario.design_names}


def simulate_block(scenario: Scenario, truth: str, block: int) -> Block:
    """Return the tables of one block of one truth, with all designs.

    Categories are integer codes: `truth` by its position in the scenario, `design` in `DESIGNS`, `arm` in the arms,
    `selected_arm` 0 for none and then the arms, `outcome` and `stop_reason` as in `tables`.
    """
    records = run_designs(scenario, truth, draw(scenario, block))
    parts = [flatten(records[name], block * BLOCK_SIZE, DAYS_PER_MONTH) for name in scenario.design_names]
    tables: Block = {}
    for table in parts[0]:
        rows = [len(part[table]["replicate"]) for part in parts]
        keys = {
            "truth": np.full(sum(rows), list(scenario.truths).index(truth)),
            "design": np.repeat(np.arange(len(parts)), rows),
        }
        tables[table] = keys | {
            column: np.concatenate([part[table][column] for part in parts]) for column in parts[0][table]
        }
    return tables
