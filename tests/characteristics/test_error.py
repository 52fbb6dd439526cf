"""Monte Carlo errors against scipy, against closed forms, and against the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sps_adaptive.characteristics import error

BOOTSTRAPS = 4000
TOLERANCE = 0.06
"""A bootstrap SE from 4,000 resamples has a relative error of 1.1%, the delta method one of order 1 / 400: 5 SEs."""


def powers(values: np.ndarray, origin: float = 0.0) -> tuple[float, float, float, float]:
    return tuple(float(((values - origin) ** k).sum()) for k in (1, 2, 3, 4))


def bootstrap_se(values: np.ndarray, statistic) -> float:
    rng = np.random.default_rng(7)
    resampled = values[rng.integers(0, len(values), (BOOTSTRAPS, len(values)))]
    return float(statistic(resampled).std(ddof=1))


# ------------------------------------------------------------------------------------------ proportions


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (1, 50), (27, 50), (253, 10_000)])
def test_the_interval_of_a_proportion_is_that_of_clopper_and_pearson(successes, n):
    exact = stats.binomtest(successes, n).proportion_ci(method="exact")
    figure = error.proportion(successes, n)
    assert figure.estimate == successes / n
    assert (figure.lower, figure.upper) == pytest.approx((exact.low, exact.high), abs=1e-10)


def test_the_error_of_a_proportion():
    assert error.proportion(30, 100).mcse == pytest.approx(np.sqrt(0.3 * 0.7 / 100))


@pytest.mark.parametrize("successes", [0, 200])
def test_a_proportion_of_0_or_1_is_not_without_error(successes):
    figure = error.proportion(successes, 200)
    assert figure.mcse == pytest.approx((1 - 0.025 ** (1 / 200)) / (2 * 1.96), rel=1e-4)


@given(n=st.integers(1, 20_000), share=st.floats(0, 1))
def test_a_proportion_lies_in_its_interval_and_has_an_error(n, share):
    figure = error.proportion(round(n * share), n)
    assert 0 <= figure.lower <= figure.estimate <= figure.upper <= 1
    assert figure.mcse > 0


# ---------------------------------------------------------------------------------- means, SDs and RMSEs


def test_the_interval_of_a_mean_is_that_of_the_t_distribution():
    values = np.array([3.0, 5.0, 9.0, 4.0])
    figure = error.mean(4, *powers(values, 10.0)[:2], origin=10.0)
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert figure == pytest.approx((5.25, stats.sem(values), low, high))


def test_the_mean_of_one_value_has_no_error():
    assert error.mean(1, 2.0, 4.0, origin=5.0) == (7.0, None, None, None)


def test_values_that_are_all_the_same_have_no_spread():
    values = np.full(1000, 60.2)
    n, (s1, s2, s3, s4) = 1000, powers(values, 58.0)
    assert error.mean(n, s1, s2, 58.0).mcse == 0
    assert error.sd(n, s1, s2, s3, s4) == (0, 0, 0, 0)


def test_sums_about_an_origin_do_not_cancel():
    values = 1e6 + np.random.default_rng(1).normal(0, 0.5, 500)
    s1, s2, s3, s4 = powers(values, 1e6)
    assert error.mean(500, s1, s2, 1e6).mcse == pytest.approx(stats.sem(values), rel=1e-9)
    assert error.sd(500, s1, s2, s3, s4).estimate == pytest.approx(values.std(ddof=1), rel=1e-9)


@pytest.mark.parametrize("name", ["normal", "gamma", "two values"])
def test_the_error_of_a_standard_deviation_is_that_of_the_bootstrap(name):
    rng = np.random.default_rng(3)
    draws = {
        "normal": rng.normal(5, 2, 400),
        "gamma": rng.gamma(4, 2, 400),
        "two values": rng.choice([24, 72], 400, p=[0.8, 0.2]),
    }
    values = draws[name].astype(float)
    figure = error.sd(400, *powers(values, 4.0))
    assert figure.estimate == pytest.approx(values.std(ddof=1))
    assert figure.mcse == pytest.approx(bootstrap_se(values, lambda x: x.std(axis=1, ddof=1)), rel=TOLERANCE)


def test_the_error_of_a_standard_deviation_of_two_values_that_are_equally_frequent():
    # the first-order term vanishes, since the fourth moment is the squared variance; Var(s^2) = 2 m2^2 / (n (n - 1))
    values = np.repeat([24.0, 72.0], 50)
    s, m2 = values.std(ddof=1), 24.0**2
    assert error.sd(100, *powers(values, 72.0)).mcse == pytest.approx(m2 * np.sqrt(2 / (100 * 99)) / (2 * s))


def test_the_error_of_a_standard_deviation_of_normal_values():
    values = np.random.default_rng(4).normal(0, 3, 200_000)
    # the sample kurtosis has an SE of sqrt(24 / n) = 0.011, which is 0.3% of the SE; 4 SEs
    assert error.sd(len(values), *powers(values)).mcse == pytest.approx(3 / np.sqrt(2 * len(values)), rel=0.012)


def test_the_error_of_a_root_mean_squared_error_is_that_of_the_bootstrap():
    values = np.random.default_rng(5).normal(0.05, 0.12, 400)
    _, s2, _, s4 = powers(values)
    figure = error.rmse(400, s2, s4)
    assert figure.estimate == pytest.approx(np.sqrt(np.mean(values**2)))
    assert figure.mcse == pytest.approx(bootstrap_se(values, lambda x: np.sqrt((x**2).mean(axis=1))), rel=TOLERANCE)


def test_the_root_mean_squared_error_of_one_value_has_no_error():
    assert error.rmse(1, 4.0, 16.0) == (2.0, None, None, None)


def test_estimates_without_error_have_a_root_mean_squared_error_of_0():
    assert error.rmse(10, 0.0, 0.0) == (0, 0, 0, 0)


def test_a_standard_deviation_needs_two_values():
    with pytest.raises(ValueError, match="two values"):
        error.sd(1, 0, 0, 0, 0)


# -------------------------------------------------------------------------------------------- quantiles


@given(values=st.lists(st.integers(0, 72), min_size=1, max_size=300), level=st.sampled_from([0.05, 0.25, 0.5, 0.95]))
def test_a_quantile_is_the_inverse_of_the_empirical_distribution(values, level):
    which, counts = np.unique(values, return_counts=True)
    figure = error.quantile(which.astype(float), counts, level)
    assert figure.estimate == np.quantile(values, level, method="inverted_cdf")
    assert figure.lower is None or figure.lower <= figure.estimate
    assert figure.upper is None or figure.upper >= figure.estimate


@pytest.mark.parametrize("n", [20, 100, 2000, 10_000])
@pytest.mark.parametrize("level", [0.05, 0.5, 0.95])
def test_the_interval_of_a_quantile_is_the_narrowest_with_2_5_percent_on_either_side(n, level):
    figure = error.quantile(np.arange(1.0, n + 1), np.ones(n, int), level)
    below = stats.binom(n, level)
    if figure.lower is not None:
        assert below.cdf(figure.lower - 1) <= 0.025 < below.cdf(figure.lower)
    else:
        assert below.cdf(0) > 0.025
    if figure.upper is not None:
        assert below.sf(figure.upper - 1) <= 0.025 < below.sf(figure.upper - 2)
    else:
        assert below.sf(n - 1) > 0.025


def test_the_error_of_a_quantile_of_normal_values():
    n, level = 40_000, 0.75
    values = np.sort(np.random.default_rng(6).normal(0, 1, n))
    z = stats.norm.ppf(level)
    # sqrt(p (1 - p) / n) / density; the spacing of order statistics makes half a width vary by about n^(-1/4) = 7%
    expected = np.sqrt(level * (1 - level) / n) / stats.norm.pdf(z)
    assert error.quantile(values, np.ones(n, int), level).mcse == pytest.approx(expected, rel=0.25)


def test_a_quantile_of_few_trials_has_an_open_interval():
    # of 5 trials, P(B <= 0) = 0.77: none is surely below; P(B >= 2) = 0.023: the second is surely not below
    assert error.quantile(np.array([24.0, 36.0]), np.array([2, 3]), 0.05) == (24.0, None, None, 24.0)


def test_a_quantile_has_a_level_from_0_to_1():
    with pytest.raises(ValueError, match="between 0 and 1"):
        error.quantile(np.array([24.0]), np.array([10]), 1.5)


def test_a_quantile_at_which_every_trial_has_the_same_value_is_that_value():
    assert error.quantile(np.array([72.0]), np.array([1000]), 0.5) == (72.0, 0.0, 72.0, 72.0)


@given(n=st.integers(1, 100_000), p=st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.95]), q=st.sampled_from([0.025, 0.975]))
def test_the_quantiles_of_the_binomial_distribution(n, p, q):
    assert error.binomial_quantile(q, n, p) == stats.binom.ppf(q, n, p)
