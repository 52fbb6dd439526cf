"""Group-sequential designs: Jennison and Turnbull (2000), and the values by which rpact checks itself.

Their two-sided tests have symmetric boundaries and the error counts both sides (`sides=2`); rpact's are one-sided.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from sps_adaptive.decisions.boundaries import (
    crossing_probabilities,
    shape_threshold,
    spending_boundary,
    wang_tsiatis_constant,
)

PUBLISHED = json.loads((Path(__file__).parent / "data" / "group_sequential.json").read_text())
ERROR = 0.05
ROUNDED = 0.0501
"""Half a unit of the decimal that is printed."""


def equally_spaced(looks: int) -> np.ndarray:
    return np.arange(1, looks + 1) / looks


def inflation(boundary: np.ndarray, fractions: np.ndarray, power: float) -> tuple[float, float]:
    """Return the expected z at the end with which the test has its power, and its square by the fixed test's."""

    def lacking(drift: float) -> float:
        return crossing_probabilities(boundary, -boundary, fractions, drift).upper.sum() - power

    drift = brentq(lacking, 0.1, 10)
    return drift, (drift / (ndtri(1 - ERROR / 2) + ndtri(power))) ** 2


def sizes_agree(case: dict, boundary: np.ndarray, fractions: np.ndarray) -> None:
    drift, inflated = inflation(boundary, fractions, case["power"])
    assert 100 * inflated == pytest.approx(case["inflation"], abs=ROUNDED)
    for multiple, size in case["expected_size"]:
        crossed = crossing_probabilities(boundary, -boundary, fractions, multiple * drift)
        stopped = crossed.upper + crossed.lower
        expected = fractions @ stopped + 1 - stopped.sum()
        assert 100 * inflated * expected == pytest.approx(size, abs=ROUNDED)


@pytest.mark.parametrize("looks", [2, 4, 10, 20])
def test_the_error_of_repeated_tests_at_the_fixed_level(looks):
    # A trial that has crossed below is over; the figures are those of the upper side alone.
    crossed = crossing_probabilities(ndtri(0.975), ndtri(0.025), equally_spaced(looks))
    printed = PUBLISHED["repeated_tests"]["error_of_one_side"][str(looks)]
    assert crossed.upper.sum() == pytest.approx(printed, abs=0.0005)
    assert crossed.lower == pytest.approx(crossed.upper, abs=1e-14)


def test_the_boundary_of_obrien_and_fleming():
    fractions = equally_spaced(4)
    boundary = wang_tsiatis_constant(0, fractions, ERROR, sides=2) / np.sqrt(fractions)
    assert boundary == pytest.approx(PUBLISHED["boundaries"]["obrien_fleming_4"], abs=0.005)


@pytest.mark.parametrize("case", PUBLISHED["shapes"], ids=lambda case: f"delta={case['delta']}, {case['looks']} looks")
def test_the_sizes_of_wang_and_tsiatis(case):
    fractions = equally_spaced(case["looks"])
    constant = wang_tsiatis_constant(case["delta"], fractions, ERROR, sides=2)
    assert constant == pytest.approx(case.get("constant", constant), abs=0.0005)
    sizes_agree(case, constant * fractions ** (case["delta"] - 0.5), fractions)


@pytest.mark.parametrize("case", PUBLISHED["spending"], ids=lambda case: f"rho={case['rho']}, {case['looks']} looks")
def test_the_sizes_of_spending_functions(case):
    fractions = equally_spaced(case["looks"])
    boundary = spending_boundary(ERROR * fractions ** case["rho"], fractions, sides=2)
    sizes_agree(case, boundary, fractions)


def test_the_one_sided_design_of_rpact():
    case = PUBLISHED["rpact_one_sided"]
    fractions = equally_spaced(case["looks"])
    constant = wang_tsiatis_constant(case["delta"], fractions, case["error"])
    boundary = constant / np.sqrt(fractions)
    assert boundary == pytest.approx(case["critical"], abs=1e-7)
    assert shape_threshold(constant, case["delta"], fractions) == pytest.approx(ndtr(case["critical"]), abs=1e-7)
    spent = crossing_probabilities(boundary, -np.inf, fractions).upper.cumsum()
    assert spent == pytest.approx(case["spent"], abs=2e-8)  # its 0.02499999 stands for 0.025
    assert spending_boundary(spent, fractions) == pytest.approx(boundary, abs=1e-9)


def test_the_probabilities_of_rpact():
    case = PUBLISHED["rpact_probabilities"]
    crossed = crossing_probabilities(ndtri(0.95), ndtri(0.05), equally_spaced(case["looks"]))
    reached = 1 - np.append(0, (crossed.upper + crossed.lower).cumsum()[:-1])
    assert crossed.lower == pytest.approx(case["below_lower"], abs=5e-9)
    assert reached - crossed.upper == pytest.approx(case["below_upper"], abs=5e-9)
    assert reached == pytest.approx(case["reached"], abs=5e-9)
