"""Whole trials with arms that open late and close early: counts by hand, comparisons by the plain analysis."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sps_adaptive.block import draw, run_designs
from sps_adaptive.errors import DesignError
from sps_adaptive.spec import parse_scenario

TEXT = """
title: A platform
arms:
  placebo: {{control: true}}
  ivig: {ivig}
  rituximab: {rituximab}
population:
  patients: 60
  accrual: {{kind: steady, patients_per_month: 2}}
endpoints:
  response: {{kind: binary, better: higher, assessed_at_month: 0}}
analysis:
  response: {{kind: beta_binomial, controls: {controls}}}
looks: {looks}
allocation: {{kind: equal}}
decisions: {decisions}
truths:
  nothing: {{response: {{placebo: 0.4, ivig: 0.4, rituximab: 0.4}}}}
  fading: {{response: {{placebo: {{0: 0.6, 12: 0.2}}, ivig: {{0: 0.6, 12: 0.2}}, rituximab: {{0: 0.6, 12: 0.2}}}}}}
simulation: {{engine: simulate}}
"""
CLAIM = "[{kind: efficacy, probability: 0.95}]"


def scenario(ivig="{}", rituximab="{}", controls="concurrent", looks="{kind: none}", decisions=CLAIM):
    return parse_scenario(
        TEXT.format(ivig=ivig, rituximab=rituximab, controls=controls, looks=looks, decisions=decisions)
    )


def run(trial, truth="nothing"):
    return run_designs(trial, truth, draw(trial, 0))


def counts(record, first, last):
    """Patients on each arm among those from `first` to before `last`, by replicate."""
    return np.stack([(record.arm[:, first:last] == a).sum(axis=1) for a in range(3)], axis=1)


def test_nobody_is_dealt_an_arm_before_it_opens_or_after_it_closes():
    record = run(scenario(ivig="{closes: {patient: 42}}", rituximab="{opens: {patient: 19}}"))["adaptive"]
    np.testing.assert_array_equal(counts(record, 0, 18), np.tile([9, 9, 0], (2000, 1)))
    np.testing.assert_array_equal(counts(record, 18, 42), np.tile([8, 8, 8], (2000, 1)))
    np.testing.assert_array_equal(counts(record, 42, 60), np.tile([9, 0, 9], (2000, 1)))


def test_a_month_is_the_patient_who_comes_first_in_or_after_it():
    by_month = run(scenario(rituximab="{opens: {month: 9}}"))["adaptive"]
    enrolled = draw(scenario(), 0).enrolled_at[0]
    first = int((enrolled < 9 * 365.25 / 12).sum())
    by_patient = run(scenario(rituximab=f"{{opens: {{patient: {first + 1}}}}}"))["adaptive"]
    np.testing.assert_array_equal(by_month.arm, by_patient.arm)


def test_an_arm_takes_the_place_of_one_that_a_rule_closes():
    drop = "[{kind: drop_arm, probability: 0.3, at_looks: [1]}]"
    record = run(scenario(rituximab="{opens: {when_closed: ivig}}", looks="{kind: enrolled, at: [20]}", decisions=drop))
    trial = record["adaptive"]
    closed = ~trial.looks[0].is_open[:, 1]
    assert 0 < closed.mean() < 1
    after = counts(trial, 20, 60)
    assert (after[closed, 1] == 0).all() and (after[closed, 2] > 0).all()
    assert (after[~closed, 2] == 0).all() and (after[~closed, 1] > 0).all()
    assert (trial.stop == 0).all()  # an arm was still to come: the trial went on without an experimental arm


def test_a_trial_stops_when_no_arm_is_left_and_none_is_to_come():
    drop = "[{kind: drop_arm, probability: 1, at_looks: [1]}]"
    looks = "{kind: enrolled, at: [20]}"
    waiting = run(scenario(rituximab="{opens: {patient: 31}}", looks=looks, decisions=drop))["adaptive"]
    assert (waiting.stop == 0).all() and (counts(waiting, 20, 30)[:, 0] == 10).all()
    over = run(scenario(looks=looks, decisions=drop))["adaptive"]
    assert (over.stop == 2).all()


@pytest.mark.parametrize("controls, first", [("concurrent", 24), ("all", 0)])
def test_a_late_arm_is_compared_with_the_controls_that_the_scenario_names(controls, first):
    trial = scenario(rituximab="{opens: {patient: 25}}", controls=controls)
    cohort = draw(trial, 0)
    design = trial.designs()["adaptive"]
    potential = design.endpoint.potential(cohort, "response", design.arms, trial.truth("fading").of("response"))
    record = run_designs(trial, "fading", cohort)["adaptive"]
    final = record.looks[-1]
    for r in range(20):
        posterior = []
        for arm in (0, 2):
            mine = np.flatnonzero(record.arm[r] == arm)
            mine = mine[mine >= first]
            responders = int(potential.value[r, mine, arm, 0].sum())
            posterior.append(stats.beta(1 + responders, 1 + len(mine) - responders))
        x = np.linspace(0, 1, 20_001)
        better = np.trapezoid(posterior[0].pdf(x) * posterior[1].sf(x), x)
        assert final.prob_better[r, 2] == pytest.approx(better, abs=1e-6)


def test_all_controls_mislead_under_drift_and_concurrent_ones_do_not():
    """Response fades from 60% to 20% until month 12; the late arm is compared with patients of better days, or not."""
    means = {}
    for controls in ("concurrent", "all"):
        final = run(scenario(rituximab="{opens: {patient: 25}}", controls=controls), "fading")["adaptive"].looks[-1]
        means[controls] = final.effect[:, 2].mean(), final.effect[:, 2].std() / np.sqrt(2000)
    mean, error = means["concurrent"]
    assert abs(mean) < 4 * error
    mean, error = means["all"]
    month = draw(scenario(), 0).enrolled_at[0, :24] / (365.25 / 12)
    early = np.interp(month, [0, 12], [0.6, 0.2]).mean()
    bias = (1 + 12 * 0.2) / 14 - (1 + 12 * early + 12 * 0.2) / 26  # posterior means with Beta(1, 1) priors
    assert bias < -0.05 and abs(mean - bias) < 4 * error


@pytest.mark.parametrize(
    "arms, message",
    [
        ({"rituximab": "{opens: {patient: 61}}"}, "'rituximab' opens after the last of 60 patients"),
        ({"rituximab": "{closes: {patient: 60}}"}, "closes with or after the last of 60 patients"),
        ({"rituximab": "{opens: {when_closed: mmf}}"}, "there is no other arm 'mmf'"),
        ({"rituximab": "{opens: {patient: 30}, closes: {patient: 20}}"}, "closes before it opens"),
        ({"ivig": "{opens: {month: 3}}", "rituximab": "{opens: {month: 4}}"}, "no arm but the control is there"),
    ],
)
def test_arms_that_cannot_be(arms, message):
    with pytest.raises(DesignError, match=message):
        scenario(**arms)


def test_the_tables_say_when_an_arm_took_patients():
    from sps_adaptive import simulate

    trial = scenario(rituximab="{opens: {patient: 31}}", looks="{kind: enrolled, at: [20, 40]}")
    arms: pd.DataFrame = simulate(trial, replicates=50).arms
    late = arms[(arms.arm == "rituximab") & (arms.design == "adaptive")]
    assert not late[late["look"] == 1].is_open.any() and late[late["look"] == 2].is_open.all()
    assert (late[late["look"] == 1].allocation == 0).all()
