"""Thompson sampling with a null hypothesis: fractions by hand, marginal likelihoods by quadrature, the paper."""

from fractions import Fraction
from math import factorial

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, multivariate_normal, norm

from sps_adaptive.allocation import NullHypothesis, Thompson
from sps_adaptive.allocation.null_hypothesis import normal_hypotheses
from sps_adaptive.posteriors.beta import BetaPosterior
from sps_adaptive.posteriors.gaussian import GaussianPosterior
from tests.allocation.settings import paths, setting
from tests.contracts.fakes import a_look


def rule(**given):
    return NullHypothesis(kind="null_hypothesis", **given)


def proportions(n, successes, priors=None):
    priors = priors or ((1, 1),) * len(n)
    return BetaPosterior.from_counts(priors, np.array([n]), np.array([successes]), 40)


def probabilities(posterior, is_open=None, **given):
    is_open = np.ones(posterior.mean().shape, bool) if is_open is None else [is_open]
    return rule(**given).probabilities(a_look(posterior, is_open))[0]


def test_the_first_ecmo_trial_after_its_twelve_patients():
    """Control 0 of 1, ECMO 11 of 11: by hand, the odds of equality are 2 to 13 and P(best) is 90/91."""
    found = probabilities(proportions([1, 11], [0, 11]))
    np.testing.assert_allclose(found[1], 97 / 105, atol=1e-12)


def beta_function(a, b):
    return Fraction(factorial(a - 1) * factorial(b - 1), factorial(a + b - 1))


@pytest.mark.parametrize("n, successes", [([20, 21], [10, 13]), ([20] * 4, [10, 10, 8, 12]), ([0, 5, 9], [0, 5, 2])])
def test_the_bayes_factor_in_fractions(n, successes):
    together = beta_function(1 + sum(successes), 1 + sum(n) - sum(successes))
    apart = Fraction(1)
    for number, good in zip(n, successes, strict=True):
        apart *= beta_function(1 + good, 1 + number - good)
    found = proportions(n, successes).log_bayes_factor_equal(np.ones((1, len(n)), bool))[0]
    assert np.exp(found) == pytest.approx(float(together / apart), rel=1e-12)


def test_the_bayes_factor_of_unlike_priors_by_quadrature():
    """The common rate has the logarithmic pool of the priors: the product of their densities to the power 1/2."""
    posterior = proportions([6, 10, 4], [5, 3, 2], ((2, 1), (1, 3), (9, 9)))
    among = np.array([[True, True, False]])

    def likelihood(rate, number, good):
        return rate**good * (1 - rate) ** (number - good)

    def pool(rate):
        return np.sqrt(beta.pdf(rate, 2, 1) * beta.pdf(rate, 1, 3))

    whole = quad(pool, 0, 1)[0]
    together = quad(lambda rate: pool(rate) / whole * likelihood(rate, 6, 5) * likelihood(rate, 10, 3), 0, 1)[0]
    apart = quad(lambda rate: beta.pdf(rate, 2, 1) * likelihood(rate, 6, 5), 0, 1)[0]
    apart *= quad(lambda rate: beta.pdf(rate, 1, 3) * likelihood(rate, 10, 3), 0, 1)[0]
    assert np.exp(posterior.log_bayes_factor_equal(among)[0]) == pytest.approx(together / apart, rel=1e-6)


def test_the_ends_are_thompson_sampling_and_equal_randomisation():
    posterior = proportions([8, 8, 8], [2, 5, 4])
    look = a_look(posterior, [[True, True, True]])
    thompson = Thompson(kind="thompson", power=1).probabilities(look)[0]
    np.testing.assert_allclose(probabilities(posterior, prior_of_equality=0), thompson, atol=1e-14)
    np.testing.assert_allclose(probabilities(posterior, prior_of_equality=1), [1 / 3] * 3, atol=1e-14)
    between = probabilities(posterior, prior_of_equality=0.5)
    assert (np.sign(between - 1 / 3) == np.sign(thompson - 1 / 3)).all()
    assert (np.abs(between - 1 / 3) < np.abs(thompson - 1 / 3)).all()


def test_closed_arms_say_nothing_about_equality():
    three = probabilities(proportions([8, 8, 8], [2, 0, 6]), [True, False, True])
    two = probabilities(proportions([8, 8], [2, 6]))
    np.testing.assert_allclose(three, [two[0], 0, two[1]], atol=1e-14)
    np.testing.assert_allclose(probabilities(proportions([8, 8], [2, 6]), [True, False]), [1, 0], atol=1e-15)


def test_before_any_outcome_it_is_equal():
    np.testing.assert_allclose(probabilities(proportions([0, 0, 0], [0, 0, 0])), [1 / 3] * 3, atol=1e-12)


# ------------------------------------------------------------------------------------- by the normal approximation


@pytest.mark.parametrize("effect, error", [(0.5, 0.3), (-0.2, 0.1), (3.0, 2.0), (0.0, 0.4)])
@pytest.mark.parametrize("tau", [0.1, 1.0])
@pytest.mark.parametrize("prior", [0.25, 0.5])
def test_two_arms_are_the_closed_form_of_the_paper(effect, error, tau, prior):
    """Pawel and Held (2025), section 3: an estimate with its standard error, and a prior N(0, tau^2) of the effect."""
    sds = error * np.sqrt([[0.3, 0.7]])
    posterior = GaussianPosterior(np.array([[1.0, 1.0 + effect]]), sds)
    odds = prior / (1 - prior) * norm.pdf(effect, 0, error) / norm.pdf(effect, 0, np.hypot(error, tau))
    equal = odds / (1 + odds)
    mean, precision = effect / error**2, 1 / error**2 + 1 / tau**2
    expected = equal / 2 + (1 - equal) * norm.cdf(mean / np.sqrt(precision))
    found = probabilities(posterior, prior_of_equality=prior, effect_sd=tau)
    np.testing.assert_allclose(found, [1 - expected, expected], atol=1e-7)


@pytest.mark.parametrize(
    "means, sds", [([0.0, 0.5, 0.2], [0.2, 0.3, 0.25]), ([1, -0.3, 0.4, 0.9], [0.4, 0.4, 0.6, 0.3])]
)
def test_several_arms_are_the_formulas_of_the_paper(means, sds):
    """Effects against the first arm: a normal prior with correlation 1/2, probabilities from the bivariate normal."""
    tau, k = 0.8, len(means) - 1
    estimate = np.array(means[1:]) - means[0]
    sigma = np.diag(np.square(sds[1:])) + sds[0] ** 2
    prior = tau**2 * (np.eye(k) + 1) / 2
    zero = np.zeros(k)
    log_bayes = multivariate_normal(zero, sigma).logpdf(estimate)
    log_bayes -= multivariate_normal(zero, sigma + prior).logpdf(estimate)
    after = np.linalg.inv(np.linalg.inv(sigma) + np.linalg.inv(prior))
    middle = after @ np.linalg.solve(sigma, estimate)
    best = []
    for arm in range(k + 1):
        contrast = np.eye(k) if arm == 0 else np.delete(np.vstack([zero, np.eye(k)]), arm, axis=0)
        if arm > 0:
            contrast[:, arm - 1] -= 1
        law = multivariate_normal(contrast @ middle, contrast @ after @ contrast.T, maxpts=10**7, abseps=1e-9)
        best.append(law.cdf(zero))
    is_open = np.ones((1, k + 1), bool)
    found = normal_hypotheses(np.array([means]), np.array([sds]), tau, is_open)
    assert found[0][0] == pytest.approx(log_bayes, abs=1e-10)
    np.testing.assert_allclose(found[1][0], best, atol=2e-6)


def test_it_needs_a_prior_of_effects_where_the_endpoint_is_not_yes_or_no():
    assert paths(rule().problems(setting(is_binary=False))) == [("effect_sd",)]
    assert rule(effect_sd=0.5).problems(setting(is_binary=False)) == []
    assert rule().problems(setting()) == []
