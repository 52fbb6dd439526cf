"""Endpoints that depend on each other: closed forms of the Gaussian copula."""

import numpy as np
import pytest
from scipy.stats import kstest, multivariate_normal, norm

from sps_adaptive.population.copula import correlated

RNG = np.random.default_rng(20_261_125)
LUCK = {"first": RNG.random((50, 400, 1)), "second": RNG.random((50, 400, 2)), "third": RNG.random((50, 400, 1))}
MATRIX = np.array([[1.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 1.0]])
UP = {"first": 1.0, "second": 1.0, "third": 1.0}
N = 20_000


def scores(luck):
    return np.stack([norm.ppf(u[..., 0]).ravel() for u in luck.values()])


def test_the_scores_have_the_stated_correlations():
    found = np.corrcoef(scores(correlated(LUCK, MATRIX, UP)))
    assert np.abs(found - MATRIX).max() < 4 / np.sqrt(N)  # a correlation r has the standard error (1 - r^2) / sqrt(n)


def test_each_endpoint_alone_is_as_before():
    mixed = correlated(LUCK, MATRIX, UP)
    np.testing.assert_array_equal(mixed["first"], LUCK["first"])
    np.testing.assert_array_equal(mixed["second"][..., 1], LUCK["second"][..., 1])
    for u in mixed.values():
        assert kstest(u[..., 0].ravel(), "uniform").pvalue > 1e-4


def test_independent_endpoints_are_not_touched():
    mixed = correlated(LUCK, np.eye(3), UP)
    assert all(mixed[name] is LUCK[name] for name in LUCK)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_high_values_go_with_high_values_whichever_way_the_luck_runs(sign):
    """Two events with probabilities 0.3 and 0.2: both happen with the orthant probability of a bivariate normal."""
    mixed = correlated(LUCK, MATRIX, UP | {"first": sign, "second": sign})
    happens = [
        (mixed[name][..., 0] < p if sign < 0 else mixed[name][..., 0] > 1 - p)
        for name, p in (("first", 0.3), ("second", 0.2))
    ]
    both = multivariate_normal.cdf([norm.ppf(0.3), norm.ppf(0.2)], cov=[[1, 0.6], [0.6, 1]])
    assert np.mean(happens[0] & happens[1]) == pytest.approx(both, abs=4 * np.sqrt(both * (1 - both) / N))


def test_splitting_the_batch_changes_nothing():
    whole = correlated(LUCK, MATRIX, UP)
    part = correlated({name: u[7:9] for name, u in LUCK.items()}, MATRIX, UP)
    for name in LUCK:
        np.testing.assert_allclose(part[name], whole[name][7:9], rtol=1e-14)
