"""What covariates and sites do to outcomes: against sums by hand and closed forms."""

import numpy as np
import pytest
from scipy.special import expit, logit

from sps_adaptive.characteristics.truths import true_state
from sps_adaptive.errors import DesignError
from sps_adaptive.population.effects import LevelEffect, shift
from sps_adaptive.scenario import ADAPTIVE
from sps_adaptive.spec import parse_scenario

TEXT = """
title: covariates matter
arms: {placebo: {control: true}, ivig: {}}
population:
  patients: 400
  accrual: {kind: sites, sites: 8, one_opens_every_months: 0, patients_per_site_month: 2}
  covariates: {gad65: {high: 0.6, low: 0.4}, sex: {female: 0.75, male: 0.25}}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 6}}
analysis: {response: {kind: beta_binomial}}
looks: {kind: none}
allocation: {kind: equal}
decisions: [{kind: efficacy, probability: 0.975}]
truths:
  it:
    response: {placebo: 0.25, ivig: 0.5}
    EFFECTS
"""
EFFECTS = "effects: {response: {gad65: {low: {prognostic: -0.5, predictive: {ivig: 1.2}}}, sex: {male: 0.7}}}"


def scenario(effects=EFFECTS):
    return parse_scenario(TEXT.replace("EFFECTS", effects))


def by_hand(p, low, male):
    """The share of responders over the four kinds of patients."""
    kinds = [(0.6 * 0.75, 0.0), (0.6 * 0.25, male), (0.4 * 0.75, low), (0.4 * 0.25, low + male)]
    return sum(share * expit(logit(p) + add) for share, add in kinds)


def test_the_true_share_is_the_mean_over_kinds_of_patients():
    state = true_state(scenario(), "it")
    expected = [by_hand(0.25, -0.5, 0.7), by_hand(0.5, 0.7, 0.7)]
    np.testing.assert_allclose(state.value, expected, atol=4 * 0.15 / np.sqrt(400_000))  # rates differ with sd < 0.15


def test_outcomes_follow_it():
    case = scenario()
    cohort = case.draw(5, 0, 200)
    value = case.potential("it", "response", cohort).value[..., 0]
    low, male = cohort.strata[:, :, 0] == 1, cohort.strata[:, :, 1] == 1
    for arm, (p, change) in enumerate([(0.25, -0.5), (0.5, 0.7)]):
        for of_low in (False, True):
            for of_male in (False, True):
                here = (low == of_low) & (male == of_male)
                rate = expit(logit(p) + change * of_low + 0.7 * of_male)
                error = np.sqrt(rate * (1 - rate) / here.sum())
                assert value[:, :, arm][here].mean() == pytest.approx(rate, abs=4 * error)


def test_a_number_is_prognostic_and_nothing_is_nothing():
    case = scenario()
    cohort, levels = case.draw(5, 0, 3), {"gad65": ["high", "low"], "sex": ["female", "male"]}
    arms = case.arm_names
    assert shift(cohort, arms, levels, {}, 0.0) is None
    plain = shift(cohort, arms, levels, {"sex": {"male": 0.7}}, 0.0)
    same = shift(cohort, arms, levels, {"sex": {"male": LevelEffect(prognostic=0.7)}}, 0.0)
    assert plain.shape == (3, 400, 1)
    np.testing.assert_array_equal(plain, same)
    np.testing.assert_array_equal(plain[..., 0], 0.7 * (cohort.strata[..., 1] == 1))


def test_patients_of_a_site_share_its_effect_and_sites_differ_as_stated():
    case = scenario("site_sd: {response: 0.8}")
    cohort = case.draw(5, 0, 2000)
    added = shift(cohort, case.arm_names, {}, {}, 0.8)[..., 0]
    first = np.stack([added[r, np.argmax(cohort.site[r] == 0)] for r in range(2000)])
    for r in range(5):
        assert all(len(set(added[r][cohort.site[r] == site])) == 1 for site in set(cohort.site[r]))
    assert first.std() == pytest.approx(0.8, rel=4 / np.sqrt(2 * 2000))
    assert first.mean() == pytest.approx(0, abs=4 * 0.8 / np.sqrt(2000))


def test_sites_matter_only_where_a_truth_says_so():
    assert scenario().draw(5, 0, 2).site_score is None


def test_the_average_patient_has_the_stated_log_odds():
    case = parse_scenario(TEXT.replace("EFFECTS", EFFECTS))
    value = case.endpoints["response"].true_values(
        case.draw(1, 0, 1), case.arm_names, {"placebo": 0.25, "ivig": 0.5}, "log_odds", np.ones((1, 400, 1))
    )
    np.testing.assert_allclose(value, logit([0.25, 0.5]))
    assert case.designs()[ADAPTIVE].scale.name == "probability"


COUNT = """
title: everybody on the drug has fewer
arms: {placebo: {control: true}, drug: {}}
population:
  patients: 40
  accrual: {kind: steady, patients_per_month: 2}
  covariates: {sex: {female: 0.75, male: 0.25}}
endpoints: {it: ENDPOINT}
analysis: {it: MODEL}
looks: {kind: none}
allocation: {kind: equal}
decisions: [{kind: efficacy, probability: 0.975}]
truths:
  it:
    it: {placebo: VALUE, drug: VALUE}
    effects: {it: {sex: {female: {predictive: {drug: -0.9}}, male: {prognostic: 0.4, predictive: {drug: -0.9}}}}}
"""
KINDS = {
    "count": ("{kind: count, better: lower, assessed_at_month: 1, over_weeks: 4, dispersion: 0.5}",
              "{kind: negative_binomial, prior: {median: 5}}", "4", -0.9),
    "time_to_event": ("{kind: time_to_event, better: lower, follow_up_months: 6}", "{kind: weibull}", "0.5", -0.9),
    "ordinal": ("{kind: ordinal, better: lower, assessed_at_month: 1, lowest: 0, highest: 2}",
                "{kind: proportional_odds}", "[0.2, 0.3, 0.5]", 0.9),
    "binary": ("{kind: binary, better: lower, assessed_at_month: 1}", "{kind: logistic}", "0.4", -0.9),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_effect_of_everybody_is_an_effect_of_the_arm(kind):
    """On scales of the average patient what covariates add is averaged: -0.9 for all on the drug is its effect."""
    endpoint, model, value, effect = KINDS[kind]
    text = COUNT.replace("ENDPOINT", endpoint).replace("MODEL", model).replace("VALUE", value)
    state = true_state(parse_scenario(text), "it")
    assert state.effect[1] == pytest.approx(effect, abs=1e-9) and state.is_effective[1]


def test_the_probability_to_win_a_walk_is_that_of_all_pairs_of_patients():
    text = (
        COUNT.replace("ENDPOINT", "{kind: timed_walk, assessed_at_month: 1, sd: 0.5}")
        .replace("MODEL", "{kind: walk}")
        .replace("VALUE", "{median: 9, cannot_walk: 0.1}")
    )
    state = true_state(parse_scenario(text), "it")
    rng, n = np.random.default_rng(2), 1_000_000
    logs = [0.5 * rng.standard_normal(n) + 0.4 * (rng.random(n) < 0.25) - drug for drug in (0.0, 0.9)]
    stands = [rng.random(n) < 0.1 for _ in range(2)]
    wins = ~stands[1] & (stands[0] | (logs[1] < logs[0]))
    assert state.value[1] == pytest.approx(wins.mean() + (stands[0] & stands[1]).mean() / 2, abs=0.003)


def test_differences_between_sites_do_not_move_the_mean():
    """400,000 reference patients at 8 sites: every quantile of the sites once, so that the mean is nearly exact."""
    text = TEXT.replace("EFFECTS", "site_sd: {response: 0.7}")
    state = true_state(parse_scenario(text), "it")
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    expected = [(weights * expit(logit(p) + 0.7 * nodes)).sum() / weights.sum() for p in (0.25, 0.5)]
    np.testing.assert_allclose(state.value, expected, atol=1e-5)


@pytest.mark.parametrize("given", ["effects: {response: {sex: {male: 30}}}", "site_sd: {response: 9}"])
def test_effects_beyond_all_measure_are_refused(given):
    with pytest.raises(DesignError, match="beyond all measure"):
        scenario(given)
