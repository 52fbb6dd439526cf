"""Endpoints beside the primary one."""

import numpy as np
import pytest

from sps_adaptive.block import simulate_block
from sps_adaptive.errors import DesignError
from sps_adaptive.runs.run import simulate
from sps_adaptive.scenario import BLOCK_SIZE
from sps_adaptive.spec import parse_scenario
from sps_adaptive.trial import run

HEAD = """
title: two endpoints and one of safety
arms: {placebo: {control: true}, ivig: {}}
population: {patients: 60, accrual: {kind: steady, patients_per_month: 3}}
looks: {kind: enrolled, first: 20, every: 20, ARMS}
allocation: {kind: equal}
"""
ONE = (
    HEAD.replace(", ARMS", "")
    + """
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 2}}
analysis: {response: {kind: beta_binomial}}
decisions: [{kind: efficacy, probability: 0.975}]
truths: {it: {response: {placebo: 0.25, ivig: 0.6}}}
"""
)
THREE = (
    HEAD.replace(", ARMS", "")
    + """
endpoints:
  response: {kind: binary, better: higher, assessed_at_month: 2}
  index: {kind: continuous, better: lower, assessed_at_month: 2, sd: 1.5}
  sae: {kind: binary, better: lower, assessed_at_month: 2}
correlations: [{between: [response, index], correlation: -0.6}]
analysis:
  response: {kind: beta_binomial}
  index: {kind: normal, variance: common, sd: 1.5}
  sae: {kind: beta_binomial}
decisions: [RULES{kind: efficacy, probability: 0.975}]
truths: {it: {response: {placebo: 0.25, ivig: 0.6}, index: {placebo: 4, ivig: 3}, sae: {placebo: 0.05, ivig: 0.3}}}
"""
)
HARM = "{kind: harm, endpoint: sae, probability: 0.9, then: stop}, "


def test_more_endpoints_leave_the_primary_one_as_it_is():
    one = simulate_block(parse_scenario(ONE), "it", 0)
    three = simulate_block(parse_scenario(THREE.replace("RULES", "")), "it", 0)
    for table in one:
        for column in one[table]:
            np.testing.assert_array_equal(one[table][column], three[table][column], err_msg=column)
    assert set(three) - set(one) == {"secondaries"}


def test_the_secondary_is_that_of_a_trial_of_its_own():
    """The same patients, arms and outcomes, analysed as a primary endpoint: figure for figure."""
    case = parse_scenario(THREE.replace("RULES", ""))
    rows = simulate_block(case, "it", 0)["secondaries"]
    cohort = case.draw(case.simulation.seed, 0, BLOCK_SIZE)
    design = case.designs()["adaptive"]
    record = run(design, cohort, case.potential("it", "response", cohort), {
        name: case.potential("it", name, cohort) for name in ("index", "sae")
    })  # fmt: skip
    own = design.others[0]
    outcome = case.potential("it", "index", cohort)
    arm = np.maximum(record.arm, 0)
    value = np.take_along_axis(outcome.value[..., 0], arm[..., None].astype(int), axis=2)[..., 0]
    enrolled = record.arm >= 0
    means = [np.where(enrolled & (arm == a), value, 0).sum(1) / (enrolled & (arm == a)).sum(1) for a in (0, 1)]
    here = (rows["design"] == 0) & (rows["endpoint"] == 0)
    effect = rows["effect"][here & (rows["arm"] == 1)]
    np.testing.assert_allclose(effect, -(means[1] - means[0]), rtol=1e-9)  # flat priors: the difference of the means
    assert own.scale.sign == -1


def test_a_rule_on_safety_stops_as_often_as_it_would_with_safety_alone():
    """The stopping probability of the harm rule, with equal allocation, does not depend on the other endpoints."""
    both = parse_scenario(
        THREE.replace("RULES", HARM).replace("efficacy, probability: 0.975", "futility, probability: 0")
    )
    alone = parse_scenario(
        ONE.replace("response", "sae").replace("better: higher", "better: lower")
        .replace("{kind: efficacy, probability: 0.975}", "{kind: harm, probability: 0.9, then: stop}")
        .replace("placebo: 0.25, ivig: 0.6", "placebo: 0.05, ivig: 0.3")
    )  # fmt: skip
    found = {}
    for name, case in (("both", both), ("alone", alone)):
        rows = simulate_block(case, "it", 0)["trials"]
        found[name] = (rows["stop_reason"][rows["design"] == 0] == 4).mean()
    p = np.mean(list(found.values()))
    assert found["both"] == pytest.approx(found["alone"], abs=3 * np.sqrt(2 * p * (1 - p) / BLOCK_SIZE))
    assert 0.5 < p < 1


def test_the_summary_tells_of_every_endpoint(tmp_path):
    case = parse_scenario(THREE.replace("RULES", "")).with_simulation(replicates=2000)
    results = simulate(case, output=tmp_path / "run")
    table = results.characteristics.set_index(["design", "metric", "arm"]).sort_index()
    effect = table.loc[("adaptive", "index: effect", "ivig")]
    assert effect.estimate == pytest.approx(-1, abs=0.2)  # stopping early for the primary one moves it a little
    fixed = table.loc[("fixed", "index: bias", "ivig")]
    assert abs(fixed.estimate) < 4 * fixed.mcse
    assert table.loc[("fixed", "index: coverage", "ivig")].estimate == pytest.approx(0.95, abs=4 * 0.0049)
    assert table.loc[("fixed", "sae: probably_better", "ivig")].estimate < 0.01
    assert set(results.secondaries["endpoint"]) == {"index", "sae"}
    assert len(results.secondaries) == 2000 * 2 * 2 * 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("endpoint: sae", "endpoint: harm", "there is no endpoint 'harm'"),
        ("[response, index]", "[response, walk]", "there is no endpoint 'walk'"),
        ("[response, index]", "[index, index]", "an endpoint with itself"),
        ("endpoint: sae, probability: 0.9", "endpoint: sae, margin: 2, probability: 0.9", "can never be more than 2"),
    ],
)
def test_what_cannot_be_is_told(old, new, words):
    with pytest.raises(DesignError, match=words):
        parse_scenario(THREE.replace("RULES", HARM).replace(old, new))


def test_correlations_that_cannot_be_together():
    pairs = "[{between: [response, index], correlation: 0.9}, {between: [response, sae], correlation: 0.9}, "
    pairs += "{between: [index, sae], correlation: -0.9}]"
    text = THREE.replace("RULES", "").replace("[{between: [response, index], correlation: -0.6}]", pairs)
    with pytest.raises(DesignError, match="no endpoints can be correlated like this"):
        parse_scenario(text)
