"""Sample sizes for ordered categories (Whitehead 1993), by formula and by simulating whole trials.

The formula is Whitehead's; a trial analysed by proportional odds with a vague prior, which declares success at a
probability of 0.975, must have the same power but for what an asymptotic formula leaves out.
"""

from __future__ import annotations

import json
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from sps_adaptive.models.proportional_odds import patient_sd
from tests.analytic.helpers import pooled, records, scenario

WHITEHEAD = json.loads((Path(__file__).parent / "data" / "whitehead1993.json").read_text())
EXAMPLE, POPOWER = WHITEHEAD["worked_example"], WHITEHEAD["popower"]

SLACK = 0.015
"""What the formula may be wrong by at such sizes: it takes the variance under equality of the arms for that under the
alternative."""


def moved(shares, log_odds):
    """The shares after the cumulative odds of lower categories are multiplied."""
    at_most = np.cumsum(shares)[:-1]
    odds = at_most / (1 - at_most) * np.exp(log_odds)
    return np.diff(odds / (1 + odds), prepend=0, append=1)


def test_the_shares_of_the_worked_example_follow_from_its_odds_ratio():
    treatment = moved(EXAMPLE["control"], EXAMPLE["log_odds_ratio"])
    np.testing.assert_allclose(treatment, EXAMPLE["treatment"], atol=5e-5)


def test_the_formula_gives_the_published_number_of_patients():
    """Two arms of equal size, from the standard deviation that stands for one patient on the scale of log odds."""
    average = (np.array(EXAMPLE["control"]) + EXAMPLE["treatment"]) / 2
    sd = patient_sd(1e12 * average[None, None])[0, 0]  # a trillion patients: the prior's one does not matter
    needed = norm.ppf(1 - EXAMPLE["two_sided_alpha"] / 2) + norm.ppf(EXAMPLE["power"])
    assert ceil(4 * (sd * needed / EXAMPLE["log_odds_ratio"]) ** 2) == EXAMPLE["patients"]


def test_power_agrees_with_popower():
    """0.0006: the printed values have three digits."""
    shares = [*POPOWER["average_shares"][:3], [1 / 4000] * 3600 + [0.1]]
    for average, expected in zip(shares, POPOWER["power"], strict=True):
        assert power(average, POPOWER["odds_ratio"], POPOWER["patients"]) == pytest.approx(expected, abs=6e-4)
    inverse = POPOWER["inverse"]
    assert power(inverse["average_shares"], inverse["odds_ratio"], inverse["patients"]) == pytest.approx(0.8, abs=6e-4)


def power(average, odds_ratio, patients):
    """Power at a two-sided level of 0.05, two arms of equal size."""
    sd = patient_sd(1e12 * np.array(average)[None, None])[0, 0]
    return norm.cdf(abs(np.log(odds_ratio)) / (2 * sd) * np.sqrt(patients) - norm.ppf(0.975))


@pytest.mark.parametrize(
    ("model", "truth", "expected"),
    [
        ("proportional_odds", "effect", EXAMPLE["power"]),
        ("proportional_odds", "equal", EXAMPLE["two_sided_alpha"] / 2),
        ("win_probability", "effect", EXAMPLE["power"]),
        ("win_probability", "equal", EXAMPLE["two_sided_alpha"] / 2),
    ],
)
def test_trials_of_the_published_size_have_the_published_power(model, truth, expected):
    """2000 trials of 187 patients; 3 Monte Carlo standard errors and, of the power, the slack. Lower is better."""
    case = scenario(
        population=EXAMPLE["patients"],
        endpoints={"y": {"kind": "ordinal", "better": "lower", "assessed_at_month": 0, "lowest": 1, "highest": 4}},
        analysis={"y": {"kind": model}},
        allocation={"kind": "equal", "block": 2},
        decisions=[{"kind": "efficacy", "probability": 0.975}],
        truths={
            "effect": {
                "y": {
                    "control": EXAMPLE["control"],
                    "treatment": {"odds_ratio": float(np.exp(EXAMPLE["log_odds_ratio"]))},
                }
            },
            "equal": {"y": {"control": EXAMPLE["control"], "treatment": {"odds_ratio": 1.0}}},
        },
    )
    claimed = pooled(records(case, truth, 1), lambda record: record.looks[-1].is_claimed[:, 1])
    error = np.sqrt(expected * (1 - expected) / len(claimed))
    assert abs(claimed.mean() - expected) < 3 * error + (SLACK if truth == "effect" else 0.0)
