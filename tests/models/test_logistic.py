"""Logistic regression against dense quadrature, and in the cases where it is closed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, log_expit
from scipy.stats import kstest

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.models.logistic import Logistic
from sps_adaptive.posteriors.curves import Curve
from sps_adaptive.posteriors.laplace import find_modes, marginals
from sps_adaptive.posteriors.logit import LogisticDensity
from tests.models import accuracy_logistic
from tests.models.accuracy import stored
from tests.models.dense_logistic import data, prob_best, prob_better
from tests.models.snapshots import random_snapshot, snapshot

ARMS = ("control", "drug")


def fitted(given, arms=ARMS, higher_is_better=True, **fields):
    model = Logistic(kind="logistic", **fields)
    return model.bind(AnalysisSetting(arms, higher_is_better, baseline=(0.0, 1.0))).fit(given)


# ------------------------------------------------------------------------------------- the log density


def twin(density, at, row):
    """The log density in plain numpy."""
    use = density.arm[row] >= 0
    arms = density.n_parameters - density.columns.shape[2]
    design = np.concatenate([np.eye(arms)[density.arm[row][use]], density.columns[row][use]], axis=1)
    event, eta = density.event[row][use], design @ at
    value = log_expit(np.where(event == 1, eta, -eta)).sum()
    value -= (density.precision * (at - density.mean) ** 2).sum() / 2
    weight = expit(eta) * expit(-eta)
    gradient = design.T @ (event - expit(eta)) - density.precision * (at - density.mean)
    return value, gradient, -(design.T * weight) @ design - np.diag(density.precision)


def a_density(seed=1):
    rng = np.random.default_rng(seed)
    arm = rng.integers(-1, 3, (4, 20))
    return LogisticDensity(
        arm, rng.integers(0, 2, (4, 20)).astype(float), rng.normal(size=(4, 20, 2)),
        np.array([0.5, -1.0, 0, 0, 0]), np.array([0.2, 0.3, 0.4, 1, 2]),
    )  # fmt: skip


def test_the_log_density_is_that_of_its_twin_even_far_out():
    density, rng = a_density(), np.random.default_rng(2)
    rows = np.array([0, 3, 3, 1, 2])
    for scale in (1.0, 30.0, 1000.0):
        at = rng.normal(0, scale, (5, 5))
        value, gradient, hessian = density.evaluate(at, rows)
        for m, row in enumerate(rows):
            v, g, h = twin(density, at[m], row)
            assert value[m] == pytest.approx(v, rel=1e-12)
            np.testing.assert_allclose(gradient[m], g, rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(hessian[m], h, rtol=1e-10, atol=1e-10)


def test_gradient_and_hessian_are_the_derivatives():
    density, rows = a_density(), np.zeros(1, np.int64)
    at, step = np.random.default_rng(3).normal(size=(1, 5)), 1e-5
    _, gradient, hessian = density.evaluate(at, rows)
    for p in range(5):
        ahead, behind = (density.evaluate(at + sign * step * np.eye(5)[[p]], rows) for sign in (1, -1))
        assert (ahead[0] - behind[0])[0] / (2 * step) == pytest.approx(gradient[0, p], abs=1e-7)
        np.testing.assert_allclose((ahead[1] - behind[1])[0] / (2 * step), hessian[0, p], atol=1e-7)


# -------------------------------------------------------------------------------------- dense quadrature


@pytest.mark.parametrize("patients", accuracy_logistic.SIZES)
def test_near_the_threshold_it_is_as_accurate_as_the_page_says(patients):
    """The first data sets against dense quadrature anew, and all against the stored probabilities."""
    figures = stored("logistic")
    reference = figures["reference"][str(patients)]
    few = slice(0, 300, 100)
    np.testing.assert_allclose(accuracy_logistic.dense(patients, few), reference[few], atol=1e-7)
    by_size = {size: figures["reference"][str(size)] for size in accuracy_logistic.SIZES}
    assert accuracy_logistic.figures(by_size) == figures["settings"]


@pytest.mark.slow
@pytest.mark.parametrize("patients", accuracy_logistic.SIZES)
def test_all_stored_probabilities_are_those_of_dense_quadrature(patients):
    reference = stored("logistic")["reference"][str(patients)]
    np.testing.assert_allclose(accuracy_logistic.dense(patients), reference, atol=1e-7)


def test_mean_and_standard_deviation_of_a_difference_are_near_those_of_dense_quadrature():
    arm, x, event = data(np.random.default_rng(4), 40, 1.0, 8)
    found = fitted(snapshot(arm, event, x, 2), covariates=("baseline",))
    for r in range(8):
        _, mean, sd = prob_better(arm[r], x[r], event[r])
        assert found.difference(0, 0.95)[r, 1, 0] == pytest.approx(mean, abs=0.03 * sd)
        lower, upper = found.difference(0, 0.95)[r, 1, 1:]
        assert prob_better(arm[r], x[r], event[r], round(lower, 1))[0] == pytest.approx(
            found.prob_better(0, round(lower, 1))[r, 1], abs=2e-3
        )
        assert (upper - lower) / (2 * 1.96) == pytest.approx(sd, rel=0.02)


@pytest.mark.parametrize("patients, error", [(24, 0.01), (60, 0.003)])
def test_the_best_of_three_arms_is_near_that_of_dense_quadrature(patients, error):
    rng = np.random.default_rng(patients)
    arm, x = rng.integers(0, 3, (30, patients)), rng.normal(size=(30, patients))
    event = (rng.random(arm.shape) < expit(-1 + np.array([0, 0, 1.7])[arm] + 0.5 * x)).astype(float)
    event[::2] = (rng.random(event[::2].shape) < expit(-1 + 0.5 * x[::2])).astype(float)
    found = fitted(snapshot(arm, event, x, 3), ("a", "b", "c"), covariates=("baseline",))
    best = found.prob_best(np.ones((30, 3), bool))
    expected = [prob_best(*each, 3) for each in zip(arm, x, event, strict=True)]
    np.testing.assert_allclose(best, expected, atol=error)


def test_the_mean_difference_of_small_trials_is_as_near_as_the_page_says():
    arm, x, event, *_ = accuracy_logistic.near(24, 12)
    found = fitted(snapshot(arm, event, x, 2), covariates=("baseline",)).difference(0, 0.95)[:, 1, 0]
    expected = [prob_better(*each)[1] for each in zip(arm, x, event, strict=True)]
    np.testing.assert_allclose(found, expected, atol=0.02)


# ------------------------------------------------------------------------------------------- closed cases


def one_arm(events, patients, mean=0.0, sd=2.5):
    """Values, density and cdf of an arm's log odds without covariates."""
    value = np.linspace(mean - 9 * sd, mean + 9 * sd, 20_001)
    log = events * log_expit(value) + (patients - events) * log_expit(-value) - ((value - mean) / sd) ** 2 / 2
    density = np.exp(log - log.max())
    step = value[1] - value[0]
    density /= density.sum() * step
    return value, density, (density.cumsum() - density / 2) * step


def test_without_covariates_each_arm_is_an_integral_of_one_dimension():
    given = random_snapshot(np.random.default_rng(5), 8, 24, binary=True)
    found = fitted(given, ("a", "b", "c"), prior={"mean": -0.5, "sd": 1.5})
    for r in range(8):
        for a in range(3):
            value, density, below = one_arm(given.arm_total[r, a], given.arm_known[r, a], -0.5, 1.5)
            step = value[1] - value[0]
            for at in (-1.0, 0.2):
                assert found.prob_above(at)[r, a] == pytest.approx(1 - np.interp(at, value, below), abs=2e-5)
            assert found.mean()[r, a] == pytest.approx((value * density).sum() * step, abs=2e-4)
            spread = np.sqrt((value**2 * density).sum() * step - ((value * density).sum() * step) ** 2)
            assert found.sd()[r, a] == pytest.approx(spread, rel=2e-4)
            np.testing.assert_allclose(np.interp(found.interval(0.9)[r, a], value, below), [0.05, 0.95], atol=2e-5)


def test_without_covariates_a_difference_is_a_product_of_two_such_integrals():
    given = random_snapshot(np.random.default_rng(6), 12, 24, n_arms=2, binary=True)
    found = fitted(given).prob_better(0)[:, 1]
    for r in range(12):
        value, control, _ = one_arm(given.arm_total[r, 0], given.arm_known[r, 0])
        _, _, below = one_arm(given.arm_total[r, 1], given.arm_known[r, 1])
        expected = (control * (1 - below)).sum() * (value[1] - value[0])
        assert found[r] == pytest.approx(expected, abs=2e-3)


def test_complete_separation_has_a_posterior():
    arm, x = np.repeat([[0, 1]], 12, axis=1).reshape(1, -1), np.linspace(-2, 2, 24)[None]
    for event in (arm.astype(float), (x > 0).astype(float), np.ones(x.shape), np.zeros(x.shape)):
        found = fitted(snapshot(arm, event, x, 2), covariates=("baseline",))
        assert not found.failed().any()
        expected, mean, sd = prob_better(arm[0], x[0], event[0])
        assert found.prob_better(0)[0, 1] == pytest.approx(expected, abs=4e-3)
        assert found.difference(0, 0.95)[0, 1, 0] == pytest.approx(mean, abs=0.06 * sd)


def test_an_arm_of_which_nothing_is_known_keeps_its_prior():
    given = snapshot([[0, 0, 0, 0, 2]], [[1, 0, 1, 1, np.nan]], [[0.1, 0.5, -1, 1, 0]], 3)
    priors = {"b": {"mean": 0.7, "sd": 1.3}}
    found = fitted(given, ("a", "b", "c"), arm_priors=priors, covariates=("baseline",))
    np.testing.assert_allclose(found.mean()[0, 1:], [0.7, 0.0], atol=1e-6)
    np.testing.assert_allclose(found.sd()[0, 1:], [1.3, 2.5], rtol=1e-5)
    assert found.prob_above(0.7)[0, 1] == pytest.approx(0.5, abs=1e-6)


def test_an_event_that_harms_is_the_same_analysis_turned_round():
    arm, x, event = data(np.random.default_rng(7), 30, 1.0, 5)
    prior = {"prior": {"mean": -1.0, "sd": 1.2}, "covariates": ("baseline",)}
    one = fitted(snapshot(arm, event, x, 2), **prior)
    other = fitted(snapshot(arm, 1 - event, x, 2), higher_is_better=False, **prior)
    np.testing.assert_allclose(other.mean(), -one.mean(), atol=1e-9)
    np.testing.assert_allclose(other.prob_better(0)[:, 1], 1 - one.prob_better(0)[:, 1], atol=1e-9)


def test_the_prior_predicts_events_as_often_as_its_log_odds_say():
    model = Logistic(kind="logistic", prior={"mean": -1.0, "sd": 0.5}, arm_priors={"drug": {"mean": 2.0, "sd": 0.1}})
    drawn = model.prior_predictive(AnalysisSetting(ARMS), 40_000, np.random.default_rng(1))
    node, weight = np.polynomial.hermite_e.hermegauss(40)
    expected = [(weight * expit(m + s * node)).sum() / weight.sum() for m, s in ((-1.0, 0.5), (2.0, 0.1))]
    assert (np.abs(drawn.mean(axis=0) - expected) < 4 * drawn.std(axis=0) / 200).all()
    values = model.prior_means(AnalysisSetting(ARMS), 40_000, np.random.default_rng(1))
    np.testing.assert_allclose(values.mean(axis=0), [-1, 2], atol=0.015)


# ------------------------------------------------------------------------------------------- calibration


def calibration(patients, replicates):
    """Where the true difference lies in its posterior distribution, for truths drawn from the prior."""
    rng = np.random.default_rng([3, patients])
    arm, x = rng.integers(0, 2, (replicates, patients)), rng.normal(size=(replicates, patients))
    truth = rng.normal(0, 2.5, (replicates, 3))
    eta = np.take_along_axis(truth, arm, axis=1) + truth[:, [2]] * x
    event = (rng.random(arm.shape) < expit(eta)).astype(float)
    density = fitted(snapshot(arm, event, x, 2), covariates=("baseline",)).density
    modes = find_modes(density)
    functionals = np.array([[-1.0, 1, 0], [1, 0, 0], [0, 0, 1]])
    grid = marginals(density, modes, functionals)
    assert not grid.failed.any()
    return [Curve.of(grid, f).above(truth @ w) for f, w in enumerate(functionals)]


@pytest.mark.parametrize("patients", [24, 60])
def test_truths_drawn_from_the_prior_lie_anywhere_in_their_posterior_alike(patients):
    for place in calibration(patients, 1500):
        assert kstest(place, "uniform").pvalue > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("patients", [24, 60])
def test_many_truths_drawn_from_the_prior_lie_anywhere_in_their_posterior_alike(patients):
    for place in calibration(patients, 20_000):
        assert kstest(place, "uniform").pvalue > 1e-4
