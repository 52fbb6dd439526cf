"""Laplace's method against densities whose marginal densities are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sps_adaptive.posteriors.curves import Curve
from sps_adaptive.posteriors.laplace import find_modes, marginals
from sps_adaptive.posteriors.laplace_kernels import cholesky, decompose, reflect, reflection, rotate, solve
from tests.posteriors.densities import Broken, LogGamma, Normal, Student

R = 12


def some(parameters, seed=1):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(R, parameters, parameters + 2))
    precision = np.einsum("rik,rjk->rij", root, root) / parameters
    return rng.normal(0, 2, (R, parameters)), precision, rng.normal(size=(3, parameters))


def curves(density, functionals):
    modes = find_modes(density)
    grid = marginals(density, modes, functionals)
    assert not modes.failed.any() and not grid.failed.any()
    return [Curve.of(grid, f) for f in range(len(functionals))]


@pytest.mark.parametrize("parameters", [1, 2, 5, 12])
def test_normal_densities_are_met_to_rounding(parameters):
    mean, precision, functionals = some(parameters)
    covariance = np.linalg.inv(precision)
    for w, curve in zip(functionals, curves(Normal(mean, precision), functionals), strict=True):
        middle, sd = mean @ w, np.sqrt(np.einsum("i,rij,j->r", w, covariance, w))
        np.testing.assert_allclose(curve.mean, middle, atol=1e-9)
        np.testing.assert_allclose(curve.sd, sd, rtol=1e-6)
        for value in (-1.0, 0.0, 0.7):
            np.testing.assert_allclose(curve.above(value), stats.norm.sf(value, middle, sd), atol=2e-8)
        for probability in (0.025, 0.5, 0.99):
            expected = stats.norm.ppf(probability, middle, sd)
            np.testing.assert_allclose((curve.quantile(probability) - expected) / sd, 0, atol=1e-6)


@pytest.mark.parametrize("df", [1.5, 3.0, 5.0, 40.0])
def test_a_multivariate_student_t_has_student_t_marginals_however_heavy_its_tails(df):
    """Here Laplace's method is exact: what is missing lies beyond the last node or between nodes."""
    mean, precision, functionals = some(4)
    shape = np.linalg.inv(precision)
    for w, curve in zip(functionals, curves(Student(mean, precision, np.full(R, df)), functionals), strict=True):
        middle, unit = mean @ w, np.sqrt(np.einsum("i,rij,j->r", w, shape, w))
        np.testing.assert_allclose(curve.mean, middle, atol=1e-6)
        for value in (-1.0, 0.0, 0.7):
            np.testing.assert_allclose(curve.above(value), stats.t.sf(value, df, middle, unit), atol=2e-5)
        for probability in (0.025, 0.5, 0.99):
            below = stats.t.cdf(curve.quantile(probability), df, middle, unit)
            np.testing.assert_allclose(below, probability, atol=2e-5)


def test_an_arm_that_does_not_depend_on_the_others_has_its_own_density_however_skewed():
    shape, rate = np.random.default_rng(2).uniform(0.3, 9, (2, R, 3))
    for p, curve in enumerate(curves(LogGamma(shape, rate), np.eye(3))):
        for value in (-3.0, -1.0, 0.5):
            expected = stats.gamma.sf(np.exp(value), shape[:, p], scale=1 / rate[:, p])
            np.testing.assert_allclose(curve.above(value), expected, atol=1e-4)


def test_differences_of_log_gammas_are_nearer_than_the_normal_distribution_by_far():
    """P(X > e^d Y) of gamma variables is a probability of a Beta variable."""
    shape, rate = np.random.default_rng(3).uniform(2, 12, (2, R, 2))
    density, w = LogGamma(shape, rate), np.array([[1.0, -1.0]])
    modes, (curve,) = find_modes(density), curves(LogGamma(shape, rate), w)
    odds = np.exp(0.4) * rate[:, 0] / rate[:, 1]
    expected = stats.beta.sf(odds / (1 + odds), shape[:, 0], shape[:, 1])
    sd = np.sqrt(np.einsum("i,rij,j->r", w[0], modes.covariance, w[0]))
    plain = stats.norm.sf(0.4, modes.at @ w[0], sd)
    assert np.abs(plain - expected).max() > 0.01
    np.testing.assert_allclose(curve.above(0.4), expected, atol=0.003)


def test_where_nothing_converges_the_answers_are_finite_and_the_fits_count_as_failed():
    mean, precision, functionals = some(3)
    nowhere, convex = np.arange(R) % 3 == 1, np.arange(R) % 3 == 2
    density = Broken(mean, precision, nowhere, convex)
    modes = find_modes(density)
    np.testing.assert_array_equal(modes.failed, nowhere | convex)
    grid = marginals(density, modes, functionals)
    for f in range(3):
        curve = Curve.of(grid, f)
        np.testing.assert_array_equal(curve.failed, nowhere | convex)
        for answer in (curve.mean, curve.sd, curve.above(0.0), curve.quantile(0.1)):
            assert np.isfinite(answer).all()
        assert (curve.sd > 0).all()


def test_what_is_said_of_a_data_set_does_not_depend_on_the_others_to_the_last_bit():
    shape, rate = np.random.default_rng(4).uniform(0.3, 9, (2, R, 4))
    functionals = np.array([[1.0, -1, 0, 0], [0, 1, 2, -0.5]])
    whole = marginals(LogGamma(shape, rate), find_modes(LogGamma(shape, rate)), functionals)
    for piece in (slice(0, 1), slice(1, 7), slice(7, R)):
        density = LogGamma(shape[piece], rate[piece])
        for part, everything in zip(marginals(density, find_modes(density), functionals), whole, strict=True):
            np.testing.assert_array_equal(part, everything[piece])


def test_the_linear_algebra_is_that_of_numpy():
    _, precision, functionals = some(5)
    for matrix, w in zip(precision, np.repeat(functionals, 4, axis=0), strict=True):
        lower, axis, turned, answer = np.zeros((5, 5)), np.zeros(5), np.zeros((5, 5)), np.zeros(5)
        assert cholesky(matrix, 0, lower, 0.0)
        np.testing.assert_allclose(lower, np.linalg.cholesky(matrix), atol=1e-12)
        assert solve(lower, 0, w, answer) == pytest.approx(w @ np.linalg.solve(matrix, w))
        np.testing.assert_allclose(answer, np.linalg.solve(matrix, w), atol=1e-10)
        norm, sign = reflection(w, axis)
        mirror = np.eye(5) - np.outer(axis, axis)
        np.testing.assert_allclose(mirror @ w, sign * norm * np.eye(5)[0], atol=1e-12)
        rotate(matrix, axis, turned)
        np.testing.assert_allclose(turned, mirror @ matrix @ mirror, atol=1e-12)
        reflect(w, axis, answer)
        np.testing.assert_allclose(answer, mirror @ w, atol=1e-12)


def test_a_matrix_that_is_not_positive_definite_gets_a_ridge():
    matrix, lower = np.diag([2.0, -1.0, 3.0]), np.zeros((3, 3))
    assert not decompose(matrix, 0, lower)
    ridge = np.diag(lower @ lower.T) - np.diag(matrix)
    np.testing.assert_allclose(ridge, ridge[0])
    assert ridge[0] > 1
    assert not decompose(np.full((3, 3), np.nan), 0, lower)
    np.testing.assert_array_equal(lower, np.eye(3))
