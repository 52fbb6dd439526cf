"""Claims about a fixed value: an arm is effective if it exceeds that value, whatever the control does."""

import numpy as np
import pytest

from sps_adaptive import simulate
from sps_adaptive.characteristics.exact import exact_tables
from sps_adaptive.characteristics.truths import true_state
from sps_adaptive.errors import DesignError
from sps_adaptive.exact.assurance import assurance
from sps_adaptive.exact.certificate import why_not
from sps_adaptive.spec import parse_scenario

TEXT = """
title: Against a fixed value
arms: {{c: {{control: true}}, a: {{}}, b: {{}}}}
population: {{patients: 24, accrual: {{kind: steady, patients_per_month: 4}}}}
endpoints: {{y: {{kind: binary, better: {better}, assessed_at_month: 0}}}}
analysis: {{y: {{kind: beta_binomial}}}}
looks: {{kind: none}}
allocation: {{kind: equal}}
decisions: [{{kind: efficacy, against: {against}, margin: {margin}, probability: {probability}}}]
truths: {{t: {{y: {{c: 0.6, a: 0.55, b: 0.3}}}}}}
"""


def scenario(better="higher", against="0.3", margin="0", probability="0.9"):
    return parse_scenario(TEXT.format(better=better, against=against, margin=margin, probability=probability))


@pytest.mark.parametrize(
    "better, against, margin, effective",
    [
        ("higher", "0.3", "0", [False, True, False]),
        ("higher", "0.3", "0.3", [False, False, False]),
        ("lower", "0.5", "0", [False, False, True]),
        ("higher", "control", "0", [False, False, False]),
        ("lower", "control", "0", [False, True, True]),
    ],
)
def test_who_is_effective(better, against, margin, effective):
    case = scenario(better, against, margin)
    np.testing.assert_array_equal(true_state(case, "t").is_effective, effective)


def test_right_claims_are_power_in_both_engines():
    case = scenario()
    exact = exact_tables(case).characteristics
    drawn = simulate(case.model_copy(update={"simulation": case.simulation.model_copy(update={"engine": "simulate"})}),
                     replicates=4000).characteristics  # fmt: skip
    for frame in (exact, drawn):
        own = frame[frame["design"] == "adaptive"].set_index(["metric", "arm"])["estimate"]
        assert own["power", "a"] > 0.5 and own["type_i_error", "b"] < 0.2
        assert ("type_i_error", "a") not in own.index


def test_errors_about_a_fixed_value_are_not_certified():
    assert "fixed value" in why_not(scenario()) and exact_tables(scenario()).certificates.empty


def test_assurance_counts_arms_above_the_value():
    found = assurance(scenario(), {"c": (1, 1), "a": (1, 1), "b": (1, 1)})
    assert found.effective["a"] == pytest.approx(0.7)


@pytest.mark.parametrize("rule", ["{kind: efficacy, against: best,", "{kind: equivalence, margin: 0.2,"])
def test_an_error_of_another_comparison_is_refused(rule):
    with pytest.raises(DesignError, match="compares something else"):
        parse_scenario(
            TEXT.format(better="higher", against="control", margin="0", probability="0.9")
            .replace("{kind: none}", "{kind: enrolled, at: [12]}")
            .replace("decisions: [", "decisions: [" + rule + " probability: {shape: pocock, error: 0.025}}, ")
        )
