"""Critical values and probabilities of rpact 3.3.4, without simulation (`test_rpact` simulates the same designs).

All are one-sided. The futility bounds of the last look are its critical values: whoever does not cross has failed.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from sps_adaptive.decisions.boundaries import (
    crossing_probabilities,
    shape_threshold,
    spending_boundary,
    wang_tsiatis_constant,
)

RPACT = json.loads((Path(__file__).parent / "data" / "rpact_group_sequential.json").read_text())
CASES = list(RPACT["normal"].values())
DELTA = {"OF": 0.0, "P": 0.5}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_critical_values(case):
    fractions, error = np.array(case["information_rates"]), RPACT["meta"]["alpha"]
    if case["type"] == "asOF":  # Lan and DeMets' function of the kind of O'Brien and Fleming
        found = spending_boundary(2 * ndtr(ndtri(error / 2) / np.sqrt(fractions)), fractions)
        assert ndtr(found) == pytest.approx(case["posterior_threshold"], abs=1e-8)
    else:
        delta = DELTA[case["type"]]
        constant = wang_tsiatis_constant(delta, fractions, error)
        found = constant * fractions ** (delta - 0.5)
        assert shape_threshold(constant, delta, fractions) == pytest.approx(case["posterior_threshold"], abs=1e-8)
    assert found == pytest.approx(case["critical_z"], abs=5e-8)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_rejections_and_futility_stops_by_stage(case):
    critical, futility = case["critical_z"], case["futility_z"]
    lower = [*futility, critical[-1]] if futility else -np.inf
    for result in case["results"]:
        drift = result["delta"] * np.sqrt(case["fisher_information_per_look"][-1])
        crossed = crossing_probabilities(critical, lower, case["information_rates"], drift)
        assert crossed.upper == pytest.approx(result["reject_per_stage"], abs=5e-9)
        if futility:
            assert crossed.lower[:-1] == pytest.approx(result["futility_per_stage"], abs=5e-9)
