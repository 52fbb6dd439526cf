"""Orthant probabilities against closed forms and against conditioning on one variable."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal

from sps_adaptive.posteriors.orthant import normal_quantile, orthant


def some(variables, number=40, seed=1):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(number, variables, variables + 1))
    covariance = np.einsum("rik,rjk->rij", root, root)
    sd = np.sqrt(np.einsum("rii->ri", covariance))
    return rng.normal(0, 1.3, (number, variables)), covariance / sd[:, :, None] / sd[:, None, :]


@pytest.mark.parametrize("rho", [-0.9999, -0.9, -0.3, 0.0, 0.5, 0.99, 0.9999])
def test_two_centred_variables_have_a_quarter_and_the_angle_whose_sine_is_the_correlation(rho):
    found = orthant(np.zeros((1, 2)), np.array([[[1, rho], [rho, 1]]]))
    assert found[0] == pytest.approx(0.25 + np.arcsin(rho) / (2 * np.pi), abs=1e-12)


def test_three_centred_variables_have_an_eighth_and_the_three_angles():
    _, correlation = some(3)
    angles = sum(np.arcsin(correlation[:, i, j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    np.testing.assert_allclose(orthant(np.zeros((40, 3)), correlation), 1 / 8 + angles / (4 * np.pi), atol=1e-12)


def test_two_variables_are_those_of_scipy():
    score, correlation = some(2)
    expected = [multivariate_normal([0, 0], c).cdf(h) for h, c in zip(score, correlation, strict=True)]
    np.testing.assert_allclose(orthant(score, correlation), expected, atol=1e-12)


def test_three_variables_are_an_integral_of_two_given_the_first():
    score, correlation = some(3)
    node, weight = np.polynomial.legendre.leggauss(200)
    for h, c, found in zip(score, correlation, orthant(score, correlation), strict=True):
        z = -9 + (h[0] + 9) * (1 + node) / 2  # the first variable, from far below to its limit
        rest = np.sqrt(1 - c[0, 1:] ** 2)
        between = (c[1, 2] - c[0, 1] * c[0, 2]) / rest.prod()
        limits = (h[1:] - z[:, None] * c[0, 1:]) / rest
        given = multivariate_normal([0, 0], [[1, between], [between, 1]]).cdf(limits)
        expected = ((h[0] + 9) / 2 * weight * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * given).sum()
        assert found == pytest.approx(expected, abs=1e-9)


def test_independent_variables_multiply():
    for variables in (1, 2, 3, 5):
        score, _ = some(variables)
        found = orthant(score, np.tile(np.eye(variables), (40, 1, 1)))
        np.testing.assert_allclose(found, ndtr(score).prod(axis=1), atol=1e-12)


def test_five_variables_at_sobol_points_come_near_the_randomised_rule_of_scipy():
    score, correlation = some(5, 10)
    rng = np.random.default_rng(1)
    expected = [
        multivariate_normal(np.zeros(5), c, seed=rng).cdf(h) for h, c in zip(score, correlation, strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(orthant(score, correlation), expected, atol=1e-3)


def test_the_order_of_three_variables_does_not_matter():
    score, correlation = some(3)
    turned = [2, 0, 1]
    other = orthant(score[:, turned], correlation[:, turned][:, :, turned])
    np.testing.assert_allclose(other, orthant(score, correlation), atol=1e-12)


def test_normal_quantiles_are_those_of_scipy():
    p = np.concatenate([np.random.default_rng(1).random(500), [1e-200, 1e-9, 0.02425, 0.5, 0.9999]])
    np.testing.assert_allclose([normal_quantile(each) for each in p], ndtri(p), rtol=1e-9, atol=1e-12)
