"""Simon's two-stage designs (Control Clin Trials 1989; values as computed by clinfun).

Simon's design has one arm. Here the experimental arm of a two-arm trial is judged by its number of responders alone,
through an analysis model made for the purpose, so every figure of the design must come out, with twice the patients.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.analytic.helpers import agree, pooled, records, scenario

SIMON = json.loads((Path(__file__).parent / "data" / "simon1989_clinfun.json").read_text())


class Responders:
    """P(better) stands for the number of responders on the experimental arm, in thousandths."""

    def fit(self, snapshot):
        self.responders = snapshot.arm_total
        return self

    def mean(self):
        return self.responders

    def prob_best(self, among):
        return among / among.sum(axis=1, keepdims=True)

    def prob_better(self, than, by=0.0):
        return self.responders / 1000

    def difference(self, than, level):
        return np.zeros((*self.responders.shape, 3))


@pytest.mark.parametrize("kind", ["minimax", "optimal"])
@pytest.mark.parametrize("number", [1, 2])
def test_two_stage_design(kind: str, number: int) -> None:
    inputs, values = SIMON["inputs"]["designs"][number - 1], SIMON["expected"][f"d{number}"][kind]
    r1, n1, r, n, expected_n, stop_early = values
    case = scenario(
        population=2 * n,
        looks={"kind": "enrolled", "at": [2 * n1]},
        decisions=[
            {"kind": "futility", "probability": [(r1 + 0.5) / 1000, 0.0]},
            {"kind": "efficacy", "probability": [1.0, (r + 0.5) / 1000]},
        ],
        truths={name: {"y": {"control": p, "active": p}} for name, p in (("p0", inputs["p0"]), ("p1", inputs["p1"]))},
    )
    null = records(case, "p0", 20, Responders())
    agree(pooled(null, lambda record: record.stop_look > 0), stop_early)
    agree(pooled(null, lambda record: record.looks[-1].n_enrolled / 2), expected_n)
    # The design keeps both errors; neither bound is an equality, so the exact sums are compared.
    for truth, p, found in (("p0", inputs["p0"], null), ("p1", inputs["p1"], records(case, "p1", 20, Responders()))):
        exact = rejection_probability(r1, n1, r, n, p)
        agree(pooled(found, lambda record: record.looks[-1].is_claimed[:, 1]), exact)
        assert exact <= inputs["alpha"] if truth == "p0" else exact >= 1 - inputs["beta"]


def rejection_probability(r1: int, n1: int, r: int, n: int, p: float) -> float:
    from scipy.stats import binom

    first = np.arange(r1 + 1, n1 + 1)
    return float(binom.pmf(first, n1, p) @ binom.sf(r - first, n - n1, p))
