"""Repeated measures: against closed forms, matrix algebra, a Gibbs sampler, and truths drawn from the prior."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kstest

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.endpoints import Longitudinal
from sps_adaptive.models import Ancova, Mmrm, Normal
from tests.models.accuracy_of_mmrm import THRESHOLD, case, expected
from tests.models.visits import autoregressive, by_coefficients, by_paths, regressions, setting, snapshot, trials

STORED = json.loads((Path(__file__).parent / "data" / "accuracy_mmrm.json").read_text())
PRIOR = {"mean": 0.3, "patients": 0.7}
ALL = np.ones((1, 3), bool)


def model(**fields):
    return Mmrm(kind="mmrm", **{"sd": 1.2} | fields)


def everything(posterior, replicates):
    among = np.broadcast_to(ALL, (replicates, 3))
    return {
        "mean": posterior.mean(),
        "sd": posterior.sd(),
        "above": posterior.prob_above(0.4),
        "better": posterior.prob_better(0, 0.1),
        "best": posterior.prob_best(among),
        "interval": posterior.interval(0.9),
        "difference": posterior.difference(1, 0.95),
    }


# ------------------------------------------------------------------------------------------------ closed forms


@pytest.mark.parametrize("prior", [{}, PRIOR], ids=["flat", "stated"])
def test_with_one_visit_it_is_the_analysis_of_covariance(prior):
    rng = np.random.default_rng(1)
    arm, value, x = trials(rng, 20, 24, 1, leave=0.3)
    seen = snapshot(arm, value, x)
    found = everything(model(prior=prior, sd_patients=3.0).bind(setting()).fit(seen), 20)
    ancova = Ancova(kind="ancova", sd=1.2, sd_patients=3.0, prior=prior).bind(setting()).fit(seen)
    for name, right in everything(ancova, 20).items():
        np.testing.assert_allclose(found[name], right, atol=5e-9, err_msg=name)


def test_with_one_visit_and_no_baseline_it_is_the_analysis_of_normal_means():
    arm, value, _ = trials(np.random.default_rng(2), 20, 24, 1, leave=0.3)
    found = everything(model(prior=PRIOR).bind(setting(baseline=False)).fit(snapshot(arm, value)), 20)
    plain = Normal(kind="normal", variance="common", sd=1.2, sd_patients=2.0, prior=PRIOR)
    for name, right in everything(plain.bind(setting()).fit(snapshot(arm, value)), 20).items():
        np.testing.assert_allclose(found[name], right, atol=5e-9, err_msg=name)


@pytest.mark.parametrize("visits, error", [(2, 5e-7), (3, 5e-6), (4, 5e-5), (5, 1e-4), (6, 3e-4)])
def test_with_everybody_seen_at_all_visits_earlier_visits_say_nothing_more(visits, error):
    """A chain of Student-t distributions is then one of them, so this measures the integrals over the visits."""
    arm, value, x = trials(np.random.default_rng(3), 100, 24, visits, leave=0.0, effect=0.4)
    found = everything(model(prior=PRIOR).bind(setting()).fit(snapshot(arm, value, x)), 100)
    last = snapshot(arm, value[..., -1:], x)
    ancova = Ancova(kind="ancova", sd=1.2, sd_patients=2.0, prior=PRIOR).bind(setting()).fit(last)
    # A quantile is off by the error of the probability over the density, which is some 0.1 at the ends.
    tolerance = {"mean": 1e-12, "sd": 1e-12, "best": max(error, 5e-4), "interval": 10 * error, "difference": 10 * error}
    for name, right in everything(ancova, 100).items():
        np.testing.assert_allclose(found[name], right, atol=tolerance.get(name, error), err_msg=name)


# --------------------------------------------------------------------------------------------- other programs


def test_agrees_with_matrix_algebra_one_trial_at_a_time():
    """Design matrices, with rows for the priors; the tolerance is the error of the paths that are drawn."""
    arm, value, x = trials(np.random.default_rng(4), 6, 24, 3, effect=0.4)
    fields = {"sd": 1.2, "correlation": 0.3, "sd_patients": 2.5, "slope_patients": 1.5}
    found = model(**fields, prior=PRIOR).bind(setting()).fit(snapshot(arm, value, x))
    for r in range(6):
        fits = regressions(arm[r], value[r], x[r], **fields, **PRIOR)
        for t, (location, _, a, b) in enumerate(fits):
            np.testing.assert_allclose(found.slope[r, t, : t + 1], location[3:], atol=1e-10)
            assert found.df[r, t] == pytest.approx(2 * a, abs=1e-10)
            assert found.variance[r, t] == pytest.approx(b / a, rel=1e-9)
        assert found.prob_better(0, 0.1)[r, 2] == pytest.approx(by_paths(fits, 2, 0, by=0.1, power=13), abs=5e-5)
        assert found.prob_better(1)[r, 0] == pytest.approx(by_coefficients(fits, 0, 1, power=13), abs=1e-3)


def gibbs(arm, value, x, rng, draws, *, sd, correlation, sd_patients, mean, patients, slope_patients):
    """Draws of the last visit's means by data augmentation: no factorisation, missing scores are parameters."""
    from scipy.stats import invwishart

    n, visits = value.shape
    guess = np.full((visits, visits), correlation) + (1 - correlation) * np.eye(visits)
    design = np.column_stack([arm[:, None] == np.arange(3), x]).astype(float)
    prior = np.diag([patients] * 3 + [slope_patients])
    prior_location = np.vstack([np.full((3, visits), mean), np.zeros((1, visits))])
    missing, full = np.isnan(value), np.where(np.isnan(value), 0.0, value)
    covariance, answer = sd**2 * guess, np.empty((draws, 3))
    factor = np.linalg.inv(prior + design.T @ design)
    for draw in range(draws):
        location = factor @ (prior @ prior_location + design.T @ full)
        rest = full - design @ location
        apart = location - prior_location
        scatter = sd_patients * sd**2 * guess + rest.T @ rest + apart.T @ prior @ apart
        covariance = invwishart.rvs(sd_patients + visits - 1 + n, scatter, random_state=rng)
        noise = np.linalg.cholesky(factor) @ rng.normal(size=(4, visits)) @ np.linalg.cholesky(covariance).T
        coefficients = location + noise
        answer[draw] = coefficients[:3, -1]
        expected_scores = design @ coefficients
        for i in np.flatnonzero(missing.any(axis=1)):
            gone, seen = missing[i], ~missing[i]
            weight = covariance[np.ix_(gone, seen)] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
            centre = expected_scores[i, gone] + weight @ (full[i, seen] - expected_scores[i, seen])
            spread = covariance[np.ix_(gone, gone)] - weight @ covariance[np.ix_(seen, gone)]
            full[i, gone] = centre + np.linalg.cholesky(spread) @ rng.normal(size=gone.sum())
    return answer


def test_agrees_with_a_gibbs_sampler_that_fills_in_what_is_missing():
    """Within 5 Monte Carlo standard errors, from means of batches of a chain."""
    rng = np.random.default_rng(5)
    arm, value, x = trials(rng, 1, 15, 3, effect=0.5, leave=0.2)
    fields = {"sd": 1.2, "correlation": 0.3, "sd_patients": 3.0, "slope_patients": 1.5}
    found = model(**fields, prior=PRIOR).bind(setting()).fit(snapshot(arm, value, x))
    drawn = gibbs(arm[0], value[0], x[0], rng, 4000, **fields, **PRIOR)[200:].reshape(-1, 200, 3)
    for measured, right in (
        (drawn.mean(axis=1), found.mean()[0]),
        ((drawn > 0.4).mean(axis=1), found.prob_above(0.4)[0]),
        ((drawn[..., 1:] > drawn[..., :1]).mean(axis=1), found.prob_better(0)[0, 1:]),
        ((drawn == drawn.max(axis=2, keepdims=True)).mean(axis=1), found.prob_best(ALL)[0]),
    ):
        error = measured.std(axis=0, ddof=1) / np.sqrt(len(measured))
        assert (np.abs(measured.mean(axis=0) - right) < 5 * error + 1e-4).all()


# -------------------------------------------------------------------------------------- near the threshold


def near_the_threshold(number, allowed):
    one = STORED["cases"][number]
    found, right = case(**one["inputs"]), np.array(one["reference"])
    np.testing.assert_allclose(found.probability, right, atol=allowed)
    assert ((found.probability > THRESHOLD) == (right > THRESHOLD)).all()
    return len(right)


def test_no_verdict_differs_from_the_reference_near_the_threshold():
    """400 trials of 24 and 60 patients seen three and four times; the references are paths through the visits."""
    assert sum(near_the_threshold(number, 5e-6 if number < 2 else 5e-5) for number in range(4)) >= 300


@pytest.mark.slow
@pytest.mark.parametrize("number", [4, 5])
def test_no_verdict_differs_with_six_visits(number):
    """The integrals are coarser in more dimensions."""
    near_the_threshold(number, 3e-4)


@pytest.mark.parametrize("number", [0, 3])
def test_the_stored_probabilities_are_what_matrix_algebra_gives(number):
    one = STORED["cases"][number]
    assert expected(case(**one["inputs"]), 0) == pytest.approx(one["reference"][0], abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(STORED["cases"])))
def test_many_of_the_stored_probabilities_are_what_matrix_algebra_gives(number):
    one = STORED["cases"][number]
    found, places = case(**one["inputs"]), range(0, len(one["reference"]), 5)
    np.testing.assert_allclose(
        [expected(found, place) for place in places], np.array(one["reference"])[list(places)], atol=1e-9
    )


# --------------------------------------------------------------------------------------------- calibration


def calibration(patients, replicates, rng):
    """Posterior probabilities at the truth, where truths are drawn from the prior: uniform, if all is right."""
    from scipy.stats import invwishart

    visits, sd_patients, kappa = 3, 4.0, 0.5
    guess = 1.44 * (np.full((visits, visits), 0.5) + 0.5 * np.eye(visits))
    bound = model(sd_patients=sd_patients, prior={"mean": 0.3, "patients": kappa}).bind(setting())
    at = np.empty((replicates, 2))
    for r in range(replicates):
        root = np.linalg.cholesky(invwishart.rvs(sd_patients + visits - 1, sd_patients * guess, random_state=rng))
        mean = 0.3 + rng.normal(size=(3, visits)) @ root.T / np.sqrt(kappa)
        slope = root @ rng.normal(size=visits)
        arm, x = np.arange(patients) % 3, rng.normal(size=patients)
        value = mean[arm] + x[:, None] * slope + rng.normal(size=(patients, visits)) @ root.T
        for t in range(1, visits):  # who was low last time leaves
            gone = np.isnan(value[:, t - 1]) | (rng.random(patients) < np.where(value[:, t - 1] < 0.3, 0.35, 0.05))
            value[gone, t] = np.nan
        found = bound.fit(snapshot(arm[None], value[None], x[None]))
        at[r] = found.prob_above(mean[0, -1])[0, 0], found.prob_better(0, mean[2, -1] - mean[0, -1])[0, 2]
    return at


@pytest.mark.parametrize("patients", [24, 60])
def test_the_posterior_is_calibrated_over_its_prior(patients):
    for u in calibration(patients, 1000, np.random.default_rng(patients)).T:
        assert kstest(u, "uniform").pvalue > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("patients", [24, 60])
def test_the_posterior_is_calibrated_over_its_prior_in_many_trials(patients):
    for u in calibration(patients, 5000, np.random.default_rng(100 + patients)).T:
        assert kstest(u, "uniform").pvalue > 1e-4


# --------------------------------------------------------------------------------------------- hard data


def test_patients_who_have_not_finished_inform_the_last_visit():
    """With a correlation of 0.9 their last scores are all but known: the posterior is narrower than without them."""
    rng = np.random.default_rng(6)
    arm = np.tile(np.arange(60) % 3, (50, 1))
    value = rng.normal(size=(50, 60, 2)) @ np.linalg.cholesky(autoregressive(2, 0.9)).T
    value[:, 30:, 1] = np.nan
    both = model().bind(setting(baseline=False)).fit(snapshot(arm, value)).sd()
    finished = model().bind(setting(baseline=False)).fit(snapshot(arm, value[..., 1:])).sd()
    full = finished * np.sqrt(0.5)
    assert (both.mean() < 0.85 * finished.mean()) and both.mean() > full.mean()


def test_who_leaves_because_of_what_was_seen_does_no_harm():
    """Those who did badly leave: the means of those who finished are off by some 0.2, these by less than 4 errors."""
    arm, value, x = trials(np.random.default_rng(7), 400, 60, 3, leave=0.3)
    seen = snapshot(arm, value, x)
    finished = Ancova(kind="ancova", sd=1.0).bind(setting()).fit(snapshot(arm, value[..., -1:], x)).mean().mean(axis=1)
    assert finished.mean() > 0.15
    found = model(sd=1.0).bind(setting()).fit(seen).mean().mean(axis=1)
    assert abs(found.mean()) < 4 * found.std() / np.sqrt(len(found))


def test_an_arm_that_nobody_has_finished_is_better_with_probability_one_half():
    arm, value, x = trials(np.random.default_rng(8), 3, 24, 3, leave=0.0, mean=70.0)
    value[0, arm[0] == 2, 2] = np.nan
    value[1, arm[1] == 2] = np.nan
    value[2] = np.nan
    found = model().bind(setting()).fit(snapshot(arm, value, x))
    np.testing.assert_allclose(found.prob_better(2)[:, :2], 0.5, atol=1e-5)
    np.testing.assert_allclose(found.prob_better(0)[:, 2], 0.5, atol=1e-5)
    answer = everything(found, 3)
    assert all(np.isfinite(each).all() for each in answer.values())
    np.testing.assert_allclose(answer["best"].sum(axis=1), 1, atol=1e-12)
    known = model().bind(setting()).fit(snapshot(arm[:1, arm[0] != 2], value[:1, arm[0] != 2], x[:1, arm[0] != 2]))
    np.testing.assert_allclose(found.prob_better(0)[0, 1], known.prob_better(0)[0, 1], atol=0.05)


def test_stated_priors_answer_where_nothing_is_known():
    value, arm = np.full((1, 6, 3), np.nan), np.array([[0, 1, 2] * 2])
    priors = {"low": {"mean": [1, 2, 3], "patients": 4}, "high": {"mean": 5, "patients": 4}}
    fitted = model(prior={"mean": 0.0, "patients": 4}, arm_priors=priors, sd_patients=6.0)
    found = fitted.bind(setting()).fit(snapshot(arm, value))
    np.testing.assert_allclose(found.mean(), [[0, 3, 5]], atol=1e-12)
    np.testing.assert_allclose(found.sd(), 1.2 / 2 * np.sqrt(6 / 4), rtol=1e-9)
    mirrored = fitted.bind(setting(better="lower")).fit(snapshot(arm, value))
    np.testing.assert_allclose(mirrored.mean(), [[0, -3, -5]], atol=1e-12)


def test_one_patient_in_an_arm_and_equal_scores_give_numbers():
    arm = np.array([[0, 0, 0, 1, 1, 1, 2], [0, 0, 0, 1, 1, 1, 2]])
    value = np.ones((2, 7, 3))
    value[1] = np.random.default_rng(9).normal(size=(7, 3)) * 1e6
    value[1, ::2, 1:] = np.nan
    found = model().bind(setting()).fit(snapshot(arm, value, np.zeros(arm.shape)))
    for name, each in everything(found, 2).items():
        assert np.isfinite(each).all(), name


def test_visits_after_a_gap_are_left_out():
    arm, value, x = trials(np.random.default_rng(10), 2, 24, 3, leave=0.0)
    value[:, 3, 1] = np.nan
    shorter = value.copy()
    shorter[:, 3, 2] = np.nan
    one, other = (model().bind(setting()).fit(snapshot(arm, each, x)) for each in (value, shorter))
    np.testing.assert_array_equal(one.prob_better(0), other.prob_better(0))


def test_scores_may_be_moved_and_stretched():
    arm, value, x = trials(np.random.default_rng(11), 10, 24, 3, effect=0.3)
    one = model(sd=1.0).bind(setting()).fit(snapshot(arm, value, x))
    other = model(sd=10.0).bind(setting()).fit(snapshot(arm, 1e5 + 10 * value, x))
    np.testing.assert_allclose(other.prob_better(0, 2.0), one.prob_better(0, 0.2), atol=1e-7)
    np.testing.assert_allclose(other.mean(), 1e5 + 10 * one.mean(), rtol=1e-9)


# ------------------------------------------------------------------------------------------- what is asked


def test_intervals_hold_what_they_say():
    arm, value, x = trials(np.random.default_rng(12), 5, 24, 3, effect=0.3)
    found = model().bind(setting()).fit(snapshot(arm, value, x))
    low, high = np.moveaxis(found.difference(0, 0.9)[:, 1, 1:], -1, 0)
    for r in range(5):
        assert found.prob_better(0, float(low[r]))[r, 1] == pytest.approx(0.95, abs=1e-8)
        assert found.prob_better(0, float(high[r]))[r, 1] == pytest.approx(0.05, abs=1e-8)
        assert found.prob_above(float(found.interval(0.9)[r, 2, 0]))[r, 2] == pytest.approx(0.95, abs=1e-8)


def test_the_best_of_three_agrees_with_joint_draws():
    """Against 200,000 draws of slopes, variances and means; the dependence of the comparisons is approximate: 0.003."""
    rng = np.random.default_rng(13)
    arm, value, x = trials(rng, 4, 24, 3, effect=0.3, leave=0.2)
    found = model().bind(setting()).fit(snapshot(arm, value, x))
    for r in range(4):
        fits = regressions(
            arm[r], value[r], x[r], sd=1.2, correlation=0.5, sd_patients=2.0, mean=0.0, patients=0.0, slope_patients=1.0
        )
        path = np.zeros((200_000, 3, 0))
        for location, factor, a, b in fits:
            sigma = np.sqrt(b / rng.gamma(a, 1, len(path)))
            noise = rng.normal(size=(len(path), len(location))) @ np.linalg.cholesky(factor).T
            drawn = location + sigma[:, None] * noise
            following = drawn[:, :3] + np.einsum("nat,nt->na", path, drawn[:, 4:])
            path = np.concatenate([path, following[..., None]], axis=2)
        best = np.bincount(path[..., -1].argmax(axis=1), minlength=3) / len(path)
        np.testing.assert_allclose(found.prob_best(np.broadcast_to(ALL, (4, 3)))[r], best, atol=0.003 + 4 * 0.0011)


def test_predicted_scores_and_what_cannot_be():
    endpoint = Longitudinal(
        kind="longitudinal",
        better="higher",
        visits_at_months=[1, 3],
        sd=1.0,
        correlation={"kind": "compound_symmetry", "correlation": 0.5},
    )
    trial = AnalysisSetting(("placebo", "low", "high"), endpoint=endpoint)
    generator = np.random.default_rng(14)
    assert model().prior_predictive(trial, 10, generator) is None
    drawn = model(prior={"mean": [0, 4], "patients": 4}, sd_patients=50).prior_predictive(trial, 40_000, generator)
    assert drawn.mean() == pytest.approx(4, abs=0.03) and drawn.std() == pytest.approx(
        1.2 * np.sqrt(1.25 * 50 / 48), rel=0.02
    )
    assert model().problems(trial) == []
    wrong = model(sd=[1, 2, 3], prior={"mean": [1], "patients": 1}).problems(trial)
    assert [path for path, _, _ in wrong] == [("sd",), ("prior", "mean")]
