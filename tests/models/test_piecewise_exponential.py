"""Times to an event with a hazard that is constant between cuts."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import psi
from scipy.stats import kstest, norm

from sps_adaptive.models import PiecewiseExponential, Weibull
from sps_adaptive.models.hazards import NODES_BY_PARAMETERS, follow_up, nodes
from sps_adaptive.models.piecewise_exponential import collapsed, split
from tests.models.accuracy_of_hazards import case, reference
from tests.models.follow_ups import END, setting, snapshot, weibull_trials

STORED = json.loads((Path(__file__).parent / "data" / "accuracy_piecewise_exponential.json").read_text())
RNG = np.random.default_rng(9)
CUTS = [4.0, 8.0]


def model(**fields):
    return PiecewiseExponential(kind="piecewise_exponential", **{"cuts": CUTS} | fields)


def fit(arm, months, event, *, arms=2, better="lower", factors=None, strata=None, **fields):
    return model(**fields).bind(setting(arms, better, factors)).fit(
        snapshot(arm, months, event, arms, better, strata)
    )  # fmt: skip


def test_with_intervals_that_hardly_differ_it_is_the_exponential_model():
    arm, months, event = weibull_trials(RNG, 60, 40, np.log([0.1, 0.05]), 1.0)
    found = fit(arm, months, event, baseline_sd=1e-5)
    exponential = Weibull(kind="weibull", shape=1).bind(setting()).fit(snapshot(arm, months, event))
    np.testing.assert_allclose(found.prob_better(0), exponential.prob_better(0), atol=1e-6)
    np.testing.assert_allclose(found.mean(), exponential.mean(), atol=1e-5)


def test_with_many_events_the_baseline_is_the_events_over_the_months_at_risk():
    """2,000 patients: the arm's value is the mean over the follow-up of the log rates, to a few thousandths."""
    arm, months, event = weibull_trials(RNG, 1, 4000, np.log([0.1, 0.1]), 1.6)
    found = fit(arm, months, event)
    edges, logs = [0.0, *CUTS, END], []
    for start, stop in pairwise(edges):
        at_risk = np.clip(months - start, 0, stop - start).sum()
        logs.append(np.log((event & (months > start) & (months <= stop)).sum() / at_risk))
    np.testing.assert_allclose(-found.mean().mean(), np.mean(logs), atol=0.01)


@pytest.mark.parametrize("fields", [{}, {"covariates": ("g",)}])
def test_without_patients_the_prior_answers(fields):
    nobody = np.full((2, 6), -1)
    factors = {"g": {"no": 0.5, "yes": 0.5}}
    found = fit(nobody, np.ones((2, 6)), nobody > 0, strata=np.zeros((2, 6, 1)), factors=factors, **fields)
    np.testing.assert_allclose(found.mean(), np.log(END) - psi(1), atol=1e-9)
    np.testing.assert_allclose(found.prob_better(0, np.log(2))[:, 1], 1 / 3, atol=1e-9)
    assert not found.failed().any()


def test_patients_and_their_sums_say_the_same():
    """Without covariates events and months of an arm in an interval are all that matters."""
    arm, months, event = weibull_trials(RNG, 20, 30, np.log([0.1, 0.05]), 0.8)
    part = model()
    follow, basis, widths = follow_up(snapshot(arm, months, event), False), part.basis(END), part.widths(END)
    rows = split(follow, widths, basis, np.zeros((20, 30, 0)))
    sums = collapsed(rows, 2, basis)
    at_risk = np.where(rows.arm >= 0, np.exp(rows.log_base), 0).reshape(20, 30, 3)
    np.testing.assert_allclose(at_risk.sum(axis=2), np.where(follow.arm >= 0, follow.months, 0), rtol=1e-12)
    assert sums.events.sum() == rows.events.sum() == event.sum()
    for place in range(6):
        a, interval = divmod(place, 3)
        mine = (follow.arm == a)[..., None] & (np.arange(3) == interval)
        time = np.where(sums.arm[:, place] >= 0, np.exp(sums.log_base[:, place]), 0)
        np.testing.assert_allclose(time, np.where(mine, at_risk, 0).sum(axis=(1, 2)))
        np.testing.assert_array_equal(sums.events[:, place], (rows.events.reshape(20, 30, 3) * mine).sum(axis=(1, 2)))


def test_an_event_on_a_cut_belongs_to_the_interval_that_ends_there():
    found = split(
        follow_up(snapshot([[0, 1]], [[4.0, 8.0]], [[True, True]]), False),
        np.array([4.0, 4, 4]), model().basis(END), np.zeros((1, 2, 0)),
    )  # fmt: skip
    where = {(int(a), place % 3) for place, (a, e) in enumerate(zip(found.arm[0], found.events[0], strict=True)) if e}
    assert where == {(0, 0), (1, 1)}


def test_the_baseline_has_no_mean_and_the_stated_spread():
    """Independent normal log hazards less their mean over the follow-up."""
    part = model(cuts=[1, 5], baseline_sd=0.8)
    basis, widths = part.basis(END), part.widths(END)
    np.testing.assert_allclose(widths, [1, 4, 7])
    np.testing.assert_allclose(widths @ basis, 0, atol=1e-12)
    centring = np.eye(3) - widths / END
    np.testing.assert_allclose(basis @ basis.T, 0.8**2 * centring @ centring.T, atol=1e-12)


def test_a_hazard_that_rises_and_falls_is_followed_where_a_weibull_distribution_cannot():
    """Arms are enrolled at different times: one of them is seen in its quiet months only."""
    arm = np.array([[0] * 30 + [1] * 30])
    months = np.array([[12.0] * 10 + [5.0] * 20 + [4.0] * 30])
    event = (months == 5.0) & (arm == 0)
    crude = fit(arm, months, event, cuts=[11]).prob_better(0)[0, 1]
    quiet = fit(arm, months, event, cuts=[4.5]).prob_better(0)[0, 1]
    assert crude > 0.99 and quiet < 0.95


def test_cuts_must_increase_and_lie_within_the_follow_up():
    with pytest.raises(ValidationError, match="increase"):
        model(cuts=[6, 3])
    ((place, message, _),) = model(cuts=[3, 12]).problems(setting())
    assert place == ("cuts", 1) and "month 12" in message
    assert model().problems(setting()) == []


def test_the_prior_expects_about_half_of_the_patients_to_have_the_event():
    found = model().prior_predictive(setting(3), 20_000, RNG)
    assert found.shape == (20_000, 3) and found.min() >= 0 and found.max() <= 1
    assert np.abs(found.mean(axis=0) - 0.5).max() < 0.1


@pytest.mark.parametrize("parameters", [0, *NODES_BY_PARAMETERS, 6])
def test_nodes_know_the_first_moments_of_normal_variables(parameters):
    point, log_weight, _ = nodes(parameters)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    tolerance = 1e-10 if parameters < 5 else 0.02
    np.testing.assert_allclose(weight @ point, np.zeros(parameters), atol=tolerance)
    np.testing.assert_allclose((point.T * weight) @ point, np.eye(parameters), atol=2 * tolerance)


# ------------------------------------------------------------------------------------------------ accuracy


def test_stored_probabilities_near_the_threshold_are_met():
    """Against dense sums over all parameters, computed once; no verdict at 0.975 differs.

    Two shared parameters are summed over by 49 nodes, three by 125, with fewer for each.
    """
    for one in STORED["cases"]:
        found = case(**one["inputs"] | {"cuts": tuple(one["inputs"]["cuts"])})
        expected = np.array(one["reference"])
        np.testing.assert_allclose(found.probability, expected, atol=5e-5 if found.x is not None else 1e-6)
    assert sum(one["flips"] for one in STORED["cases"]) == 0
    assert sum(len(one["reference"]) for one in STORED["cases"]) >= 300


@pytest.mark.parametrize("number", range(len(STORED["cases"])))
def test_the_stored_probabilities_are_what_dense_sums_give(number):
    one = STORED["cases"][number]
    found = case(**one["inputs"] | {"cuts": tuple(one["inputs"]["cuts"])})
    assert reference(found, 0) == pytest.approx(one["reference"][0], abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(STORED["cases"])))
def test_all_stored_probabilities_are_what_dense_sums_give(number):
    one = STORED["cases"][number]
    found = case(**one["inputs"] | {"cuts": tuple(one["inputs"]["cuts"])})
    places = range(len(one["reference"]))
    np.testing.assert_allclose([reference(found, place) for place in places], one["reference"], atol=1e-9)


# --------------------------------------------------------------------------------------------- calibration


def piecewise_trials(rng, replicates, patients):
    """Truths from the prior, patients from the model, looked at while enrolment goes on; and the truths."""
    part = model()
    hazard = rng.gamma(1, 1 / END, (replicates, 2))
    baseline = np.exp(rng.normal(size=(replicates, 2)) @ part.basis(END).T)
    sums = np.concatenate([np.zeros((replicates, 1)), np.cumsum(baseline * part.widths(END), axis=1)], axis=1)
    arm = np.broadcast_to(np.arange(patients) % 2, (replicates, patients))
    exposure = rng.exponential(size=arm.shape) / np.take_along_axis(hazard, arm, axis=1)
    time = np.stack([np.interp(exposure[r], sums[r], [0, *CUTS, END], right=np.inf) for r in range(replicates)])
    limit = np.minimum(rng.uniform(0, 1.6 * END, arm.shape), END)
    return hazard, arm, np.minimum(time, limit), time <= limit


def calibration(patients, replicates, rng):
    hazard, arm, months, event = piecewise_trials(rng, replicates, patients)
    found, truth = fit(arm, months, event), -np.log(hazard)
    return [*found.below(truth).T, found.difference_below(0, truth - truth[:, [0]])[:, 1]]


@pytest.mark.parametrize("patients", [24, 60])
def test_posteriors_are_calibrated_over_the_prior(patients):
    """Kolmogorov and Smirnov at the level 1e-4, for the arms and their difference."""
    for values in calibration(patients, 1000, np.random.default_rng(patients)):
        assert kstest(values, "uniform").pvalue > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("patients", [24, 60])
def test_posteriors_are_calibrated_over_the_prior_at_length(patients):
    for values in calibration(patients, 5000, np.random.default_rng(100 + patients)):
        assert kstest(values, "uniform").pvalue > 1e-4


def test_power_is_near_schoenfelds_whatever_the_hazard():
    """As for the Weibull model, with a hazard that falls: the formula counts events only."""
    ratio, patients, replicates = 0.7, 400, 1500
    rng = np.random.default_rng(6)
    arm, months, event = weibull_trials(rng, replicates, patients, np.log([0.12, 0.12 * ratio]), 0.6)
    power = (fit(arm, months, event).prob_better(0)[:, 1] > 0.975).mean()
    expected = norm.cdf(-np.log(ratio) * np.sqrt(event.sum(axis=1).mean() / 4) - norm.ppf(0.975))
    assert 0.6 < expected < 0.9
    assert abs(power - expected) < 4 * np.sqrt(expected * (1 - expected) / replicates) + 0.02
