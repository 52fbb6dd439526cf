"""Certificates by invariance: where they are given, other means and scales change no trial; elsewhere they do."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sps_adaptive import block
from sps_adaptive.errors import UsageError
from sps_adaptive.exact import invariance
from sps_adaptive.exact.invariance import broken_by, certified, certify, improper, null_truths
from sps_adaptive.scenario import ADAPTIVE, Scenario
from sps_adaptive.spec import parse_scenario
from sps_adaptive.tables import TrialRecord
from sps_adaptive.trial import run
from tests.reference.comparison import rows

REPLICATES = 250

COMMON = "{kind: normal, variance: common, sd: 2, sd_patients: 0}"
BY_ARM = "{kind: normal, variance: arm_specific, sd: 2, sd_patients: 0}"
ADJUSTED = "{kind: ancova, sd: 2, sd_patients: 0}"
THOMPSON = "{kind: thompson, power: 0.5, floor: 0.1, realisation: independent}"
QUOTAS = "{kind: thompson, control_share: square_root, realisation: quota, block: 6}"
RULES = "[{kind: drop_arm, probability: 0.15}, {kind: efficacy, probability: 0.93}, {kind: futility, probability: 0.2}]"
RULES_AT_END = "[{kind: efficacy, probability: 0.93}, {kind: futility, probability: 0.2}]"


def text(
    analysis: str = COMMON,
    *,
    mean: float = 0.0,
    scale: float = 1.0,
    allocation: str = THOMPSON,
    looks: str = "{kind: assessed, first: 15, every: 9}",
    rules: str = RULES,
    outcome: str = "value",
    correlation: float = 0.6,
    better: str = "higher",
    sd: str | None = None,
    truth: str | None = None,
) -> str:
    return f"""
title: test
arms: {{a: {{control: true}}, b: {{}}, c: {{}}}}
population:
  patients: 42
  accrual: {{kind: poisson, patients_per_month: 3}}
  dropout: {{kind: exponential, proportion: 0.1, by_month: 3}}
endpoints:
  score:
    kind: continuous
    better: {better}
    assessed_at_month: 2
    outcome: {outcome}
    sd: {sd or 1.5 * scale}
    baseline: {{mean: 7, sd: {0.8 * scale}, correlation: {correlation}}}
analysis: {{score: {analysis}}}
looks: {looks}
allocation: {allocation}
decisions: {rules}
truths: {{nothing works: {{score: {truth or f"{{a: {mean}, b: {mean}, c: {mean}}}"}}}}}
simulation: {{seed: 5}}
"""


@cache
def parse(words: str) -> Scenario:
    return parse_scenario(words, "test")


class Trials(NamedTuple):
    record: TrialRecord
    improper: np.ndarray
    """Whether a look before the final analysis was improper."""


@cache
def simulated(words: str) -> Trials:
    scenario = parse(words)
    design = scenario.designs()[ADAPTIVE]
    cohort = rows(block.draw(scenario, 0), slice(REPLICATES))
    truth = scenario.truth("nothing works").of("score")
    record = run(design, cohort, design.endpoint.potential(cohort, "score", design.arms, truth))
    looks = [improper(scenario, look.arm_known) & look.took_place for look in record.looks[:-1]]
    return Trials(record, np.any(looks, axis=0) if looks else np.zeros(REPLICATES, bool))


def differing(one: TrialRecord, other: TrialRecord) -> np.ndarray:
    """Trials with another claim, at any look, another end, or a patient dealt to another arm."""
    found = (one.arm != other.arm).any(axis=1) | (one.outcome != other.outcome) | (one.selected != other.selected)
    for first, second in zip(one.looks, other.looks, strict=True):
        for name in ("took_place", "stop", "is_open", "is_claimed", "meets_efficacy"):
            a, b = (getattr(look, name).reshape(REPLICATES, -1) for look in (first, second))
            found |= (a != b).any(axis=1)
    return found


# ---------------------------------------------------------------------------------------- the claim holds

designs = st.fixed_dictionaries(
    {
        "analysis": st.sampled_from([COMMON, BY_ARM, ADJUSTED]),
        "allocation": st.sampled_from([THOMPSON, QUOTAS, "{kind: equal}"]),
        "looks": st.sampled_from(
            [
                "{kind: assessed, first: 15, every: 9}",
                "{kind: enrolled, at: [8, 20]}",
                "{kind: calendar, at_months: [3, 4, 8, 12]}",
                "{kind: none}",
            ]
        ),
        "outcome": st.sampled_from(["value", "change_from_baseline"]),
        "better": st.sampled_from(["higher", "lower"]),
    }
)


@given(designs, st.sampled_from([-(2.0**12), -3.0, 0.0, 2.0**7]), st.sampled_from([2.0**-8, 0.5, 1.0, 2.0**9]))
@settings(max_examples=15, deadline=None)
def test_mean_and_standard_deviation_change_no_trial(design, mean, scale):
    rules = {"rules": RULES_AT_END} if design["looks"] == "{kind: none}" else {}
    words, moved = text(**design, **rules), text(**design, **rules, mean=mean, scale=scale)
    assert broken_by(parse(words)) == broken_by(parse(moved)) == []
    one, other = simulated(words), simulated(moved)
    differ = differing(one.record, other.record)
    np.testing.assert_array_equal(one.improper & ~differ, other.improper & ~differ)
    assert not (differ & ~one.improper).any()
    assert differ.mean() <= 0.01  # an improper look changes probabilities by a millionth


@pytest.mark.parametrize("analysis", [COMMON, BY_ARM, ADJUSTED])
def test_the_designs_claim_something(analysis):
    """Otherwise the test above would say nothing."""
    record = simulated(text(analysis)).record
    claims = record.looks[-1].is_claimed.any(axis=1)
    assert 0.05 < claims.mean() < 0.6
    assert (record.stop > 0).any()
    assert not record.looks[-1].is_open.all()


@pytest.mark.parametrize("outcome", ["value", "change_from_baseline"])
def test_the_adjusted_analysis_does(outcome):
    """With the same residuals: the prior of the slope lets the slope matter, less and less as it weakens."""
    residual = 1.2
    changed = []
    for patients in (10, 1e-9):
        analysis = f"{{kind: ancova, sd: 2, sd_patients: 0, slope: {{patients: {patients}}}}}"
        words = [
            text(analysis, outcome=outcome, correlation=rho, sd=str(residual / np.sqrt(1 - rho**2)))
            for rho in (0.2, 0.9)
        ]
        one, other = (simulated(each) for each in words)
        changed.append(differing(one.record, other.record)[~one.improper].mean())
        assert "correlation" in " ".join(invariance.given(parse(words[0])))
    assert changed[0] > 0.2
    assert changed[1] < 0.02


# ----------------------------------------------------------------------------------- the claim is refused

PRIOR = "{kind: normal, variance: common, sd: 2, sd_patients: 0, prior: {mean: 1, patients: 2}}"
ONE_PRIOR = "{kind: normal, variance: common, sd: 2, sd_patients: 0, arm_priors: {b: {mean: 1, patients: 2}}}"
MARGIN = "[{kind: efficacy, margin: 0.5, probability: 0.9}]"
MARGIN_TO_DROP = "[{kind: efficacy, probability: 0.9}, {kind: drop_arm, margin: -0.5, probability: 0.2}]"

TIED_TO_A_SCALE = {
    "known variance": ({"analysis": "{kind: normal, variance: known, sd: 2}"}, "known, 2"),
    "guessed variance": ({"analysis": "{kind: normal, variance: common, sd: 2}"}, "worth 1 patients"),
    "guessed variances": ({"analysis": "{kind: normal, variance: arm_specific, sd: 2, sd_patients: 3}"}, "worth 3"),
    "guessed residual variance": ({"analysis": "{kind: ancova, sd: 2}"}, "worth 1 patients"),
    "prior of the means": ({"analysis": PRIOR}, "prior mean of c, 1, is worth 2 patients"),
    "prior of one mean": ({"analysis": ONE_PRIOR}, "prior mean of b"),
    "prior of means beside a slope": (
        {"analysis": "{kind: ancova, sd: 2, sd_patients: 0, prior: {patients: 0.5}}"},
        "worth 0.5 patients",
    ),
    "prior of the slope": (
        {"analysis": "{kind: ancova, sd: 2, sd_patients: 0, slope: {mean: 0.5, patients: 5}}"},
        "prior mean of the slope, 0.5",
    ),
    "margin of efficacy": ({"rules": MARGIN}, "Rule 1 (efficacy) has a margin of 0.5"),
    "prior of the effects": (
        {"allocation": "{kind: null_hypothesis, effect_sd: 1, realisation: independent}"},
        "standard deviation of the effects, 1, has the unit",
    ),
    "margin for dropping": ({"rules": MARGIN_TO_DROP}, "Rule 2 (drop_arm) has a margin of -0.5"),
}


@pytest.mark.parametrize("name", TIED_TO_A_SCALE)
def test_what_ties_the_analysis_to_a_scale_is_refused_and_matters(name):
    changes, reason = TIED_TO_A_SCALE[name]
    words, moved = text(**changes), text(**changes, mean=32.0, scale=8.0)
    found = broken_by(parse(words))
    assert len(found) == (3 if name in ("prior of the means", "prior of means beside a slope") else 1)
    assert reason in " ".join(found)
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in found)
    one, other = simulated(words), simulated(moved)
    assert differing(one.record, other.record)[~one.improper].mean() > 0.02
    with pytest.raises(UsageError, match="does not certify") as refusal:
        certify(parse(words), 10, 1000)
    assert found[0] in str(refusal.value)


def test_arms_with_different_standard_deviations_are_refused():
    assert "ratios" in " ".join(broken_by(parse(text(sd="{a: 1, b: 2, c: 1}"))))
    assert broken_by(parse(text(sd="{a: 2, b: 2, c: 2}"))) == []


@pytest.mark.parametrize(
    "rule, is_bound",
    [
        ("kind: neyman", True),
        ("kind: information_weighted", True),
        ("kind: information_weighted, variance: false", False),
        ("kind: doubly_adaptive, target: neyman", True),
        ("kind: doubly_adaptive, target: equal", False),
        ("kind: top_two", False),
        ("kind: trippa", False),
        ("kind: mixture, rules: [{weight: 1, rule: {kind: equal}}, {weight: 1, rule: {kind: neyman}}]", True),
        ("kind: mixture, rules: [{weight: 1, rule: {kind: equal}}, {weight: 1, rule: {kind: thompson}}]", False),
    ],
)
def test_allocation_that_compares_standard_deviations_is_refused(rule, is_bound):
    found = broken_by(parse(text(allocation=f"{{{rule}}}")))
    assert len(found) == is_bound
    assert not is_bound or "compares standard deviations" in found[0]


def test_a_threshold_of_one_half_is_refused():
    rules = "[{kind: efficacy, probability: 0.9}, {kind: drop_arm, probability: 0.5}]"
    assert "Rule 2 (drop_arm) has a threshold of 0.5" in " ".join(broken_by(parse(text(rules=rules))))


def test_an_arm_without_outcomes_is_better_with_a_probability_of_one_half():
    """Whatever the scale, so that decisions at an improper look are the same for every truth."""
    looks = "{kind: enrolled, at: [3, 8, 20]}"
    for analysis in (COMMON, BY_ARM, ADJUSTED):
        for scale in (2.0**-20, 1.0, 2.0**20):
            words = text(analysis, looks=looks, scale=scale, allocation="{kind: equal, realisation: independent}")
            scenario = parse(words)
            record = simulated(words).record
            seen = 0
            for look in record.looks:
                vague = look.arm_known < (2 if analysis == BY_ARM else 1)
                vague |= np.all(look.arm_known < 2, axis=1, keepdims=True)
                unsure = (vague | vague[:, [0]]) & look.took_place[:, None]
                unsure[:, 0] = False
                assert not (unsure.any(axis=1) & ~improper(scenario, look.arm_known)).any()
                assert np.abs(look.prob_better[unsure] - 0.5).max(initial=0.0) < 1e-6
                seen += int(unsure.sum())
            assert seen > 100


def test_another_endpoint_is_refused():
    binary = parse(
        """
title: test
arms: {a: {control: true}, b: {}}
population: {patients: 40, accrual: {kind: steady, patients_per_month: 1}}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 0}}
analysis: {response: {kind: beta_binomial}}
looks: {kind: none}
allocation: {kind: equal}
decisions: [{kind: efficacy, probability: 0.95}]
truths: {nothing works: {response: {a: 0.3, b: 0.3}}}
"""
    )
    assert len(broken_by(binary)) == 1
    assert "binary" in broken_by(binary)[0]
    with pytest.raises(UsageError):
        certify(binary, 0, 100)


def test_what_the_certificate_takes_as_stated():
    assert len(invariance.given(parse(text()))) == 3
    assert "0.533 times" in " ".join(invariance.given(parse(text(ADJUSTED, outcome="change_from_baseline"))))


def test_the_global_null_has_one_mean():
    assert null_truths(parse(text())) == ["nothing works"]
    assert null_truths(parse(text(truth="{a: {0: 1, 6: 1}, b: 1, c: 1}"))) == ["nothing works"]
    for other in ("{a: 0, b: 0, c: 1}", "{a: {0: 0, 6: 1}, b: {0: 0, 6: 1}, c: {0: 0, 6: 1}}"):
        scenario = parse(text(truth=other))
        assert null_truths(scenario) == []
        assert broken_by(scenario) == []  # about the truth, not about the design
        with pytest.raises(UsageError, match="not the global null"):
            certify(scenario, 10, 1000, truth="nothing works")
    with pytest.raises(UsageError, match="no truth named"):
        certify(parse(text()), 10, 1000, truth="something")


def test_which_analyses_are_improper():
    known = np.array([[0, 5, 5], [1, 1, 1], [1, 1, 2], [2, 2, 2], [0, 0, 0]])
    for analysis, expected in (
        (COMMON, [True, True, False, False, True]),
        (ADJUSTED, [True, True, False, False, True]),
        (BY_ARM, [True, True, True, False, True]),
    ):
        assert improper(parse(text(analysis)), known).tolist() == expected


# ------------------------------------------------------------------------------------------- the bound


def test_the_bound_of_a_published_snapshot():
    """18 errors in 8,192 replicates, 99%: the value that imprint's tests hold."""
    assert certified(18, 8192) == pytest.approx(0.003730170951, abs=5e-13)


@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(0.5, 0.9999))
def test_the_bound_is_where_so_few_errors_become_unlikely(replicates, share, level):
    errors = min(round(share * replicates), replicates)
    upper = certified(errors, replicates, level)
    assert errors / replicates <= upper <= 1
    if errors < replicates:
        assert stats.binom.cdf(errors, replicates, upper) == pytest.approx(1 - level, rel=1e-6)
    else:
        assert upper == 1


@pytest.mark.parametrize(("errors", "replicates", "level"), [(-1, 5, 0.9), (6, 5, 0.9), (0, 0, 0.9), (1, 5, 1.0)])
def test_counts_that_cannot_be(errors, replicates, level):
    with pytest.raises(ValueError):
        certified(errors, replicates, level)


def test_a_certificate():
    found = certify(parse(text(ADJUSTED)), 18, 8192, truth="nothing works")
    assert found == (certified(18, 8192), 0.99, 18, 8192)
    assert certify(parse(text()), 0, 100, level=0.95).upper == pytest.approx(1 - 0.05 ** (1 / 100))


def test_the_bound_covers_a_known_error():
    """Two comparisons with one control at 5%: a familywise error of 9.1% for many patients (Dunnett 1955)."""
    words = text(looks="{kind: none}", rules="[{kind: efficacy, probability: 0.95}]", allocation="{kind: equal}")
    errors = int(simulated(words).record.looks[-1].is_claimed.any(axis=1).sum())
    z = stats.norm.ppf(0.95)
    expected = 1 - stats.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]]).cdf([z, z])
    assert expected <= certify(parse(words), errors, REPLICATES).upper <= 2 * expected
