"""Mixtures of log-gamma distributions."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, gamma, loggamma

from sps_adaptive.posteriors.log_gamma import LogGammaPosterior
from sps_adaptive.posteriors.log_gamma_kernels import POINTS, look_up, reach, tabulate

SHAPE = np.array([[1.0, 6.0, 3.5], [0.5, 40.0, 2.0], [12.0, 11.0, 300.0]])
LOG_RATE = np.log(np.array([[[12.0, 90, 60], [14, 80, 66]], [[5, 300, 30], [6, 330, 22]], [[70, 90, 2500]] * 2]))
WEIGHT = np.array([[0.3, 0.7], [0.5, 0.5], [1.0, 0.0]])
ALL = np.ones((3, 3), bool)


def posterior(sign=1.0):
    known, spread = np.full(SHAPE.shape, 10.0), np.full(SHAPE.shape, 1.5)
    return LogGammaPosterior(SHAPE, LOG_RATE, WEIGHT, sign, spread, known, np.zeros(3, bool))


def mixture(r, a, function):
    """The mean over the nodes of a property of the log of a gamma variable."""
    return sum(
        w * function(loggamma(SHAPE[r, a], loc=-rate)) for w, rate in zip(WEIGHT[r], LOG_RATE[r, :, a], strict=True)
    )


def best(r, k, among, largest):
    total = 0.0
    for w, rates in zip(WEIGHT[r], LOG_RATE[r], strict=True):
        laws = [loggamma(SHAPE[r, a], loc=-rates[a]) for a in range(3)]

        def density(x, laws=laws):
            others = [law.cdf(x) if largest else law.sf(x) for j, law in enumerate(laws) if j != k and among[j]]
            return laws[k].pdf(x) * np.prod(others)

        middles = sorted(float(law.median()) for law in laws)
        ends = [laws[k].ppf(1e-13), *middles, laws[k].ppf(1 - 1e-13)]
        ends = [min(max(end, ends[0]), ends[-1]) for end in ends]
        total += w * sum(quad(density, low, high, epsabs=1e-12)[0] for low, high in pairwise(ends))
    return total


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_means_and_spreads_are_those_of_the_mixture(sign):
    found = posterior(sign)
    for r in range(3):
        for a in range(3):
            mean = mixture(r, a, lambda law: law.mean())
            assert found.mean()[r, a] == pytest.approx(sign * mean)
            second = mixture(r, a, lambda law: law.var() + law.mean() ** 2)
            assert found.sd()[r, a] == pytest.approx(np.sqrt(second - mean**2), rel=1e-6)


def test_tail_areas_are_those_of_the_mixture():
    value = -3.1
    for r in range(3):
        for a in range(3):
            assert posterior().prob_above(value)[r, a] == pytest.approx(
                mixture(r, a, lambda law: law.sf(value)), abs=1e-12
            )
            turned = posterior(-1.0).prob_above(-value)[r, a]
            assert turned == pytest.approx(mixture(r, a, lambda law: law.cdf(value)), abs=1e-12)


def test_differences_are_ratios_of_gamma_variables():
    """Against an integral over one of them."""
    for by in (0.0, 0.7, -0.4):
        found = posterior().prob_better(1, by)
        for r in range(3):
            expected = 0.0
            for w, rates in zip(WEIGHT[r], LOG_RATE[r], strict=True):
                one, other = gamma(SHAPE[r, 0], scale=np.exp(-rates[0])), gamma(SHAPE[r, 1], scale=np.exp(-rates[1]))

                def density(u, one=one, other=other, by=by):
                    return one.sf(other.ppf(u) * np.exp(by))

                expected += w * quad(density, 0, 1, epsabs=1e-11)[0]
            assert found[r, 0] == pytest.approx(expected, abs=1e-8)
        np.testing.assert_allclose(posterior(-1.0).prob_better(1, by)[:, 0], 1 - posterior().prob_better(1, -by)[:, 0])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_intervals_have_their_probability(sign):
    found = posterior(sign)
    interval, difference = found.interval(0.9), found.difference(2, 0.9)
    for end, tail in ((0, 0.05), (1, 0.95)):
        np.testing.assert_allclose(found.below(interval[..., end]), tail, atol=1e-9)
        below = found.difference_below(2, difference[..., 1 + end])
        np.testing.assert_allclose(below[:, :2], tail, atol=1e-9)
    assert (difference[:, 2] == 0).all()
    np.testing.assert_allclose(difference[:, :2, 0], (found.mean() - found.mean()[:, [2]])[:, :2])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_probability_of_being_best_is_the_integral(sign):
    among = np.array([[True, True, True], [True, True, True], [True, False, True]])
    found = posterior(sign).prob_best(among)
    for r in range(3):
        for k in range(3):
            expected = best(r, k, among[r], sign > 0) if among[r, k] else 0.0
            assert found[r, k] == pytest.approx(expected, abs=2e-8)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)


def test_two_of_three_arms_are_a_comparison():
    among = np.array([[True, True, False]] * 3)
    np.testing.assert_allclose(posterior().prob_best(among)[:, 0], posterior().prob_better(1)[:, 0], atol=2e-8)


def test_of_two_arms_the_better_one_is_best():
    two = LogGammaPosterior(
        SHAPE[:, :2], LOG_RATE[:, :, :2], WEIGHT, 1.0, SHAPE[:, :2], SHAPE[:, :2], np.zeros(3, bool)
    )
    among = np.array([[True, True], [True, False], [False, False]])
    found = two.prob_best(among)
    assert found[0, 1] == two.prob_better(0)[0, 1] and found[0].sum() == 1
    assert found[1:].tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize("shape", [0.1, 0.5, 1.0, 7.0, 100.0, 10_000.0])
def test_the_table_is_the_distribution_function_between_its_points_too(shape):
    low, high = reach(shape)
    law = loggamma(shape)
    assert law.cdf(low) < 1.5e-12 and law.sf(high) < 1.5e-12
    cdf, pdf = np.empty(POINTS), np.empty(POINTS)
    tabulate(shape, low, high, cdf, pdf)
    at = np.linspace(low, high, 5 * POINTS + 3)
    found = np.array([look_up(x, low, high, cdf, pdf) for x in at])
    allowed = 1e-5 if shape < 0.5 else 2e-7  # the table of the smallest shapes is as long as their left tail
    np.testing.assert_allclose(found, law.cdf(at), atol=allowed)
    assert look_up(low - 1, low, high, cdf, pdf) == 0 and look_up(high + 1, low, high, cdf, pdf) == 1


def test_success_predicted_for_no_further_patients_is_what_is_known_now():
    none = np.zeros(SHAPE.shape, int)
    better = posterior().prob_success(0, 0.0, 0.5, none)
    assert set(np.unique(better)) <= {0.0, 1.0}
    np.testing.assert_array_equal(better[:, 1:] == 1, (posterior().mean() - posterior().mean()[:, [0]] > 0)[:, 1:])


def test_predicted_ratio_of_gammas_agrees_with_the_beta_distribution():
    """Equal rates: P(theta_0 > theta_1) is a beta tail at one half."""
    shape = np.array([[4.0, 9.0]])
    found = LogGammaPosterior(
        shape, np.zeros((1, 1, 2)), np.ones((1, 1)), 1.0, shape, shape, np.zeros(1, bool)
    ).prob_better(1)
    assert found[0, 0] == pytest.approx(beta(4, 9).sf(0.5), abs=1e-14)
