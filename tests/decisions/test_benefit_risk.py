"""Benefits weighed against harms."""

import numpy as np
import pytest

from sps_adaptive.block import simulate_block
from sps_adaptive.contracts import Known, Scale, Stop
from sps_adaptive.decisions import BenefitRisk
from sps_adaptive.posteriors.beta import BetaPosterior
from sps_adaptive.posteriors.gaussian import GaussianPosterior
from sps_adaptive.spec import parse_scenario
from tests.contracts.fakes import a_look

RULE = BenefitRisk(kind="benefit_risk", weights={"response": 1.0, "sae": 1.5}, probability=0.3)  # oriented


def look_at(response, sae):
    arms = response.mean().shape
    known = np.zeros(arms, int)
    others = {"sae": Known(sae, known, known)}
    return a_look(response, np.ones(arms, bool))._replace(others=others)


def test_of_normal_posteriors_it_is_exact():
    rng = np.random.default_rng(4)
    one, other = (GaussianPosterior(rng.normal(size=(9, 3)), rng.uniform(0.2, 1, (9, 3))) for _ in range(2))
    found = RULE.better(look_at(one, other))
    draws = [p.location[:, None] + p.scale[:, None] * rng.standard_normal((9, 100_000, 3)) for p in (one, other)]
    net = (draws[0] - draws[0][..., [0]]) + 1.5 * (draws[1] - draws[1][..., [0]])
    np.testing.assert_allclose(found[:, 1:], (net > 0).mean(axis=1)[:, 1:], atol=4 * 0.5 / np.sqrt(100_000))


@pytest.mark.parametrize("n", [10, 20, 30])
def test_of_shares_it_is_right_to_three_points(n):
    rng = np.random.default_rng(n)
    events = [rng.binomial(n, p, 200) for p in (0.25, 0.5, 0.05, 0.2)]
    size, flat = np.full((200, 2), n), ((1.0, 1.0), (1.0, 1.0))
    response = BetaPosterior.from_counts(flat, size, np.stack(events[:2], 1), 4 * n)
    sae = BetaPosterior.from_counts(flat, size, n - np.stack(events[2:], 1), 4 * n)
    drawn = [rng.beta(1 + s[:, None], 1 + n - s[:, None], (200, 10_000)) for s in events]
    exact = (drawn[1] - drawn[0] - 1.5 * (drawn[3] - drawn[2]) > 0).mean(axis=1)
    assert np.abs(RULE.better(look_at(response, sae))[:, 1] - exact).max() < 0.03 + 4 * 0.005


def test_weights_are_turned_with_the_endpoints():
    stated = BenefitRisk(kind="benefit_risk", weights={"response": 1, "sae": -1.5}, probability=0.3)
    turned = stated.oriented(lambda name: Scale("probability", sign=-1.0 if name == "sae" else 1.0))
    assert turned.weights == RULE.weights and stated.asks == {"response", "sae"}
    assert stated.reason == Stop.HARM and stated.effect == "close" and not stated.at_final


TEXT = """
title: an arm that helps and harms
arms: {placebo: {control: true}, ivig: {}}
population: {patients: 80, accrual: {kind: steady, patients_per_month: 3}}
endpoints:
  response: {kind: binary, better: higher, assessed_at_month: 2}
  sae: {kind: binary, better: lower, assessed_at_month: 2}
analysis: {response: {kind: beta_binomial}, sae: {kind: beta_binomial}}
looks: {kind: enrolled, first: 20, every: 20}
allocation: {kind: equal}
decisions:
  - {kind: benefit_risk, weights: {response: 1, sae: WEIGHT}, probability: 0.3}
  - {kind: efficacy, probability: 0.999, from_look: 4}
truths: {it: {response: {placebo: 0.25, ivig: 0.5}, sae: {placebo: 0.05, ivig: 0.35}}}
"""


@pytest.mark.parametrize(("weight", "often"), [(-3, True), (-0.2, False)])
def test_a_trial_stops_for_harm_where_harm_outweighs(weight, often):
    rows = simulate_block(parse_scenario(TEXT.replace("WEIGHT", str(weight))), "it", 0)["trials"]
    stopped = (rows["stop_reason"][rows["design"] == 0] == Stop.HARM).mean()
    assert stopped > 0.8 if often else stopped < 0.2  # at 20 patients chance alone closes some
