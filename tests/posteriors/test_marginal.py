"""Arms as linear functionals: what the posterior says of them, and how often it computes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import gamma

from sps_adaptive.posteriors.marginal import MarginalPosterior
from tests.posteriors.densities import Broken, LogGamma, Normal

R, A = 7, 3


def normal(arms=A, seed=1):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(R, 4, 8))
    return rng.normal(size=(R, 4)), np.einsum("rik,rjk->rij", root, root) / 4, np.eye(4)[:arms]


def posterior(density, arms):
    return MarginalPosterior(density, arms, np.full((R, len(arms)), 2.0), np.full((R, len(arms)), 9))


def test_normal_arms_have_the_answers_of_the_normal_distribution():
    mean, precision, arms = normal()
    covariance = np.linalg.inv(precision)[:, :A, :A]
    found = posterior(Normal(mean, precision), arms)
    sd = np.sqrt(np.einsum("raa->ra", covariance))
    np.testing.assert_allclose(found.mean(), mean[:, :A], atol=1e-8)
    np.testing.assert_allclose(found.sd(), sd, rtol=1e-5)
    np.testing.assert_allclose(found.interval(0.9), mean[:, :A, None] + sd[..., None] * ndtri([0.05, 0.95]), atol=1e-5)
    np.testing.assert_allclose(found.prob_above(0.3), ndtr((mean[:, :A] - 0.3) / sd), atol=1e-7)
    for than in range(A):
        gap = mean[:, :A] - mean[:, [than]]
        unit = np.sqrt(np.maximum(sd**2 + sd[:, [than]] ** 2 - 2 * covariance[:, :, than], 0))
        others = [arm for arm in range(A) if arm != than]
        for by in (-0.2, 0.0, 0.5):
            better = found.prob_better(than, by)
            np.testing.assert_allclose(better[:, others], ndtr((gap - by)[:, others] / unit[:, others]), atol=1e-7)
            assert (better[:, than] == (by < 0)).all()
        difference = found.difference(than, 0.95)
        expected = gap[..., None] + unit[..., None] * np.array([0, ndtri(0.025), ndtri(0.975)])
        np.testing.assert_allclose(difference, expected, atol=1e-5)
    assert not found.failed().any()


@pytest.mark.parametrize("arms", [2, 3, 4])
def test_the_best_of_normal_arms_is_that_of_draws(arms):
    mean, precision, functionals = normal(arms)
    covariance = np.linalg.inv(precision)[:, :arms, :arms]
    found = posterior(Normal(mean, precision), functionals).prob_best(np.ones((R, arms), bool))
    rng, draws = np.random.default_rng(1), 200_000
    for r in range(R):
        drawn = rng.multivariate_normal(mean[r, :arms], covariance[r], draws)
        share = np.bincount(drawn.argmax(axis=1), minlength=arms) / draws
        error = np.sqrt(np.maximum(share * (1 - share), 1 / draws) / draws)
        assert (np.abs(found[r] - share) < 4.5 * error).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("arms", [3, 4])
def test_the_best_of_independent_arms_is_exact_however_skewed_they_are(arms):
    """Log-gamma arms with shapes of 1 to 6, of which the plain method knows only mode and curvature."""
    shape, rate = np.random.default_rng(5).uniform(1, 6, (2, R, arms))
    found = posterior(LogGamma(shape, rate), np.eye(arms)).prob_best(np.ones((R, arms), bool))
    node, weight = np.polynomial.legendre.leggauss(400)
    for r in range(R):
        value = -12 + 16 * (1 + node) / 2
        below = [gamma.cdf(np.exp(value), a, scale=1 / b) for a, b in zip(shape[r], rate[r], strict=True)]
        for arm in range(arms):
            density = gamma.pdf(np.exp(value), shape[r, arm], scale=1 / rate[r, arm]) * np.exp(value)
            others = np.prod([below[other] for other in range(arms) if other != arm], axis=0)
            assert found[r, arm] == pytest.approx((8 * weight * density * others).sum(), abs=1e-4)


def test_the_best_of_skewed_arms_measured_from_a_control_is_near_that_of_draws():
    """Differences of log-gamma arms from the first: their copula knows only the curvature at the mode."""
    shape, rate = np.random.default_rng(5).uniform(3, 9, (2, R, 3))
    arms = np.array([[0, 0, 0], [-1, 1, 0], [-1, 0, 1]], float)
    found = posterior(LogGamma(shape, rate), arms).prob_best(np.ones((R, 3), bool))
    rng, draws = np.random.default_rng(1), 200_000
    for r in range(R):
        best = (rng.gamma(shape[r], 1 / rate[r], (draws, 3))).argmax(axis=1)
        np.testing.assert_allclose(found[r], np.bincount(best, minlength=3) / draws, atol=0.015)


def test_the_best_is_among_those_asked_for():
    mean, precision, functionals = normal()
    found = posterior(Normal(mean, precision), functionals)
    among = np.array([[1, 1, 1], [1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0], [1, 0, 1]], bool)
    best = found.prob_best(among)
    assert (best[~among] == 0).all()
    np.testing.assert_allclose(best.sum(axis=1), among.any(axis=1), atol=1e-12)
    assert best[3, 0] == best[4, 2] == 1
    assert best[1, 1] == pytest.approx(found.prob_better(0)[1, 1], abs=1e-12)


def test_a_control_from_which_the_others_are_measured_is_zero():
    mean, precision, arms = normal()
    arms = arms.copy()
    arms[0] = 0
    found = posterior(Normal(mean, precision), arms)
    assert (found.mean()[:, 0] == 0).all() and (found.sd()[:, 0] == 0).all() and (found.interval(0.9)[:, 0] == 0).all()
    assert (found.prob_above(-0.1)[:, 0] == 1).all() and (found.prob_above(0.1)[:, 0] == 0).all()
    np.testing.assert_array_equal(found.prob_better(0, 0.3)[:, 1:], found.prob_above(0.3)[:, 1:])


class Counting:
    """A density that counts how often it is asked."""

    def __init__(self, density):
        self.density, self.asked = density, 0

    @property
    def n_parameters(self):
        return self.density.n_parameters

    def start(self):
        return self.density.start()

    def evaluate(self, at, rows):
        self.asked += 1
        return self.density.evaluate(at, rows)


def test_a_marginal_density_is_computed_when_it_is_asked_for_and_once():
    mean, precision, arms = normal()
    density = Counting(Normal(mean, precision))
    found = posterior(density, arms)
    assert density.asked == 0
    better = found.prob_better(0)
    asked = density.asked
    assert asked > 0
    np.testing.assert_array_equal(found.prob_better(0), better)
    found.prob_better(0, 0.2)
    turned = found.prob_better(1)[:, 0]
    np.testing.assert_allclose(turned, 1 - better[:, 1], atol=1e-15)
    assert density.asked > asked, "arm 2 against arm 1 was not known"
    asked = density.asked
    found.prob_best(np.array([[True, True, False]] * R))
    found.prob_better(2)
    assert density.asked == asked
    found.prob_best(np.ones((R, A), bool))
    assert density.asked > asked, "the arms themselves were not known"
    asked = density.asked
    for _ in range(2):
        found.sd(), found.interval(0.9), found.prob_above(0.1), found.difference(2, 0.95), found.failed()
    assert density.asked == asked


def test_success_with_nothing_to_come_is_the_verdict_of_the_analysis():
    shape, rate = np.random.default_rng(5).uniform(1, 6, (2, R, 3))
    found = posterior(LogGamma(shape, rate), np.eye(3))
    nothing = np.zeros((R, A), int)
    for than, better in ((0, found.prob_better(0, 0.1)), (None, found.prob_above(0.1))):
        success = found.prob_success(than, 0.1, 0.7, nothing)
        np.testing.assert_array_equal(success, better > 0.7)


def test_failed_fits_answer_finitely():
    mean, precision, arms = normal()
    nowhere, convex = np.arange(R) == 2, np.arange(R) == 4
    found = posterior(Broken(mean, precision, nowhere, convex), arms)
    np.testing.assert_array_equal(found.failed(), nowhere | convex)
    more = np.full((R, A), 5)
    for answer in (
        found.mean(), found.sd(), found.interval(0.9), found.prob_better(0), found.prob_above(0.1),
        found.prob_best(np.ones((R, A), bool)), found.difference(1, 0.9), found.prob_success(0, 0.0, 0.9, more),
    ):  # fmt: skip
        assert np.isfinite(answer).all()
