"""Group-sequential designs of rpact 3.3.4 (R), with the same bounds stated as posterior probabilities.

With a flat prior and a known standard deviation P(treatment better | data) = Phi(z), so a Bayesian rule with the
threshold Phi(z_k) at look k is the group-sequential test with the critical value z_k. The data file holds inputs,
rpact's own results and the version that made them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.scenario import BLOCK_SIZE, Scenario
from sps_adaptive.tables import TrialRecord, flatten
from sps_adaptive.trial import run

RPACT = json.loads((Path(__file__).parent / "data" / "rpact_group_sequential.json").read_text())
STANDARD_ERRORS = 4.0


def scenario(case: dict, endpoint: dict, analysis: dict, truth: dict) -> Scenario:
    totals = case["n_total_per_look"]
    decisions = [{"kind": "efficacy", "probability": list(norm.cdf(case["critical_z"]))}]
    if case["futility_z"]:
        decisions.append({"kind": "futility", "probability": [*norm.cdf(case["futility_z"]), 0.0]})
    return Scenario.model_validate(
        {
            "title": case["id"],
            "arms": {"control": {"control": True}, "treatment": {}},
            "population": {"patients": totals[-1], "accrual": {"kind": "steady", "patients_per_month": 1}},
            "endpoints": {"outcome": endpoint | {"better": "higher", "assessed_at_month": 0}},
            "analysis": {"outcome": analysis},
            "looks": {"kind": "enrolled", "at": totals[:-1]},
            "allocation": {"kind": "equal", "block": 2},
            "decisions": decisions,
            "truths": {"truth": {"outcome": truth}},
        }
    ).checked()


def simulate(case: Scenario, blocks: int, model: object = None) -> dict[str, np.ndarray]:
    """Return, pooled over blocks: rejections and futility stops by stage, and patients."""
    design = case.designs()["adaptive"]
    design = design._replace(model=model) if model is not None else design
    parts = []
    for block in range(blocks):
        cohort = case.population.draw(11, block, BLOCK_SIZE, case.endpoints)
        potential = design.endpoint.potential(cohort, "outcome", design.arms, case.truth("truth").of("outcome"))
        parts.append(by_stage(run(design, cohort, potential)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def by_stage(record: TrialRecord) -> dict[str, np.ndarray]:
    tables = flatten(record, 0, DAYS_PER_MONTH)
    stages = len(record.looks)
    claimed = record.looks[-1].is_claimed[:, 1]
    stage = np.where(record.stop_look > 0, record.stop_look, stages)
    return {
        "reject": claimed[:, None] & (stage[:, None] == np.arange(1, stages + 1)),
        "futility": (record.stop[:, None] == 2) & (record.stop_look[:, None] == np.arange(1, stages)),
        "patients": tables["trials"]["n_enrolled"],
    }


def agree(observed: np.ndarray, expected: float, other_error: float = 0.0) -> None:
    """Within 4 standard errors of the difference; 1e-7 covers rpact's own integration error where nothing happens."""
    error = np.hypot(observed.std() / np.sqrt(len(observed)), other_error)
    binomial = np.sqrt(max(expected, 0) * max(1 - expected, 0) / len(observed)) if expected < 1 else 0.0
    assert abs(observed.mean() - expected) <= STANDARD_ERRORS * max(error, binomial) + 1e-7


@pytest.mark.parametrize("blocks", [pytest.param(10, id="20k"), pytest.param(100, id="200k", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", RPACT["normal"])
def test_normal_group_sequential(name: str, blocks: int) -> None:
    case = RPACT["normal"][name]
    for result in case["results"]:
        simulated = simulate(
            scenario(
                case,
                {"kind": "continuous", "sd": case["sd"]},
                {"kind": "normal", "variance": "known", "sd": case["sd"]},
                {"control": 0.0, "treatment": result["delta"]},
            ),
            blocks,
        )
        agree(simulated["reject"].any(axis=1), result["power"])
        agree(simulated["patients"], result["expected_n_total"])
        for stage, expected in enumerate(result["reject_per_stage"]):
            agree(simulated["reject"][:, stage], expected)
        for stage, expected in enumerate(result["futility_per_stage"]):
            agree(simulated["futility"][:, stage], expected)


class PooledZ:
    """The frequentist test of rpact's binary designs, as an analysis model: any object with `fit` will do."""

    def fit(self, snapshot):
        self.rate, self.z = [], None
        known, value = snapshot.known[..., -1], np.nan_to_num(snapshot.value[..., -1])
        n = np.stack([(known & (snapshot.arm == arm)).sum(axis=1) for arm in (0, 1)], axis=1)
        responders = np.stack([(value * (known & (snapshot.arm == arm))).sum(axis=1) for arm in (0, 1)], axis=1)
        return PooledZPosterior(n, responders)


class PooledZPosterior:
    def __init__(self, n: np.ndarray, responders: np.ndarray) -> None:
        self.rate = responders / np.maximum(n, 1)
        pooled = responders.sum(axis=1) / np.maximum(n.sum(axis=1), 1)
        error = np.sqrt(pooled * (1 - pooled) * (1 / np.maximum(n, 1)).sum(axis=1))
        self.z = np.where(error > 0, (self.rate[:, 1] - self.rate[:, 0]) / np.where(error > 0, error, 1), 0.0)

    def mean(self):
        return self.rate

    def prob_best(self, among):
        return among / among.sum(axis=1, keepdims=True)

    def prob_better(self, than, by=0.0):
        return np.stack([np.zeros_like(self.z), norm.cdf(self.z)], axis=1)

    def difference(self, than, level):
        return np.zeros((*self.rate.shape, 3))


@pytest.mark.parametrize("blocks", [pytest.param(10, id="20k"), pytest.param(100, id="200k", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", RPACT["binary"])
def test_binary_group_sequential_with_the_pooled_z_test(name: str, blocks: int) -> None:
    case = RPACT["binary"][name]
    for result in case["results"]:
        theirs = result["simulated_pooled_z"]
        simulated = simulate(
            scenario(
                case,
                {"kind": "binary"},
                {"kind": "beta_binomial"},
                {"control": case["pi_control"], "treatment": result["pi_treatment"]},
            ),
            blocks,
            PooledZ(),
        )
        agree(simulated["reject"].any(axis=1), theirs["power"], theirs["mcse_power"])
        for stage, expected in enumerate(theirs["reject_per_stage"]):
            agree(simulated["reject"][:, stage], expected, np.sqrt(expected * (1 - expected) / theirs["nsim"]))
