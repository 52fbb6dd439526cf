"""Several arms against one control: Dunnett (1955), and the designs of the R package MAMS."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import norm

from sps_adaptive.decisions.dunnett import dunnett_constant, familywise_error

PUBLISHED = json.loads((Path(__file__).parent / "data" / "dunnett.json").read_text())


@pytest.mark.parametrize("arms", [*range(2, 13), 15, 20])
def test_the_table_of_dunnett(arms):
    table = PUBLISHED["dunnett_1955"]
    # For 15 arms the reprint has 2.56 where one integral (scipy.integrate.quad) gives 2.56534, as found here.
    half_a_unit = 0.0054 if arms == 15 else 0.005
    found = dunnett_constant(0.5, [1], table["error"], arms)
    assert found == pytest.approx(table["critical"][str(arms)], abs=half_a_unit)

    def excess(c: float) -> float:
        inside = quad(lambda x: norm.pdf(x) * ndtr(x + np.sqrt(2) * c) ** arms, -9, 9, epsabs=1e-12, limit=200)[0]
        return 1 - inside - table["error"]

    assert found == pytest.approx(brentq(excess, 1, 4, xtol=1e-12), abs=1e-8)


def test_a_design_with_one_stage():
    inputs, upper = PUBLISHED["m1"]["inputs"], PUBLISHED["m1"]["upper"][0]
    found = dunnett_constant(0.5, [1], inputs["error"], inputs["arms"], inputs["ratio"])
    assert found == pytest.approx(upper, abs=0.0005)
    size = PUBLISHED["m1"]["patients_per_arm"]
    assert power(found, size - 1, inputs) < inputs["power"] <= power(found, size, inputs)


def power(critical: float, patients: int, inputs: dict) -> float:
    """Return the probability that the best arm crosses and is the largest: given the control, arms are independent."""
    best, others = (np.sqrt(2 * patients) * ndtri(inputs[name]) for name in ("p", "p0"))
    node, weight = np.polynomial.legendre.leggauss(80)
    control = 8 * node[:, None]
    least = control + np.sqrt(2) * critical
    width = np.maximum(best + 9 - least, 0)
    z = least + width * (1 + node) / 2
    given_control = (norm.pdf(z - best) * ndtr(z - others) ** (inputs["arms"] - 1)) @ weight * width[:, 0] / 2
    return 8 * weight @ (norm.pdf(control[:, 0]) * given_control)


def test_a_triangular_design_with_two_stages():
    inputs = PUBLISHED["m2"]["inputs"]
    t = np.array(inputs["fractions"])
    upper, lower = (1 + t) / np.sqrt(t), (3 * t - 1) / np.sqrt(t)

    def excess(c: float) -> float:
        return familywise_error(c * upper, t, inputs["arms"], inputs["ratio"], c * lower) - inputs["error"]

    # MAMS looks for the constant to about 1e-4 (R's uniroot) and prints three decimals: 2 x 1.2e-4 + 5e-4.
    constant = brentq(excess, 0.5, 3, xtol=1e-10)
    assert constant * upper == pytest.approx(PUBLISHED["m2"]["upper"], abs=0.00075)
    assert constant * lower == pytest.approx(PUBLISHED["m2"]["lower"], abs=0.00075)
    # The printed boundaries themselves.
    found = familywise_error(PUBLISHED["m2"]["upper"], t, inputs["arms"], inputs["ratio"], PUBLISHED["m2"]["lower"])
    assert found == pytest.approx(inputs["error"], abs=5e-5)
