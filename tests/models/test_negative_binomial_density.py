"""Negative binomial regression: its log density against scipy, its derivatives against differences."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

from sps_adaptive.models.negative_binomial_density import NegativeBinomialDensity, rising_slopes
from sps_adaptive.models.negative_binomial_kernels import rising

R, N, ARMS, C = 4, 30, 3, 2
MEAN = np.array([1.0, 1.2, 0.8, 0.0, 0.0, -0.2])
SD = np.array([1.5, 1.5, 1.0, 1.0, 0.7, 1.1])


def data(seed=0):
    rng = np.random.default_rng(seed)
    arm = rng.integers(0, ARMS, (R, N))
    known = rng.random((R, N)) < 0.8
    weeks = 4 * rng.integers(20, 29, (R, N)) / 28
    count = rng.poisson(rng.gamma(0.8, 8.0, (R, N)) * weeks).astype(float)
    count[~known] = np.nan
    return NegativeBinomialDensity(arm, known, weeks, count, rng.normal(0, 0.6, (R, N, C)), MEAN, SD, ARMS)


def by_scipy(density, at, r):
    """The log density of one data set, from scipy's distribution."""
    known = density.known[r]
    arm, y = density.arm[r][known], density.count[r][known]
    mean = density.weeks[r][known] * np.exp(at[arm] + density.columns[r][known] @ at[ARMS:-1])
    size = np.exp(-at[-1])
    likelihood = stats.nbinom.logpmf(y, size, size / (size + mean)) + gammaln(y + 1)
    return likelihood.sum() - ((at - MEAN) ** 2 / SD**2 / 2).sum()


POINTS = np.random.default_rng(4).normal(MEAN, 0.5 * SD, (12, len(MEAN)))


def test_the_density_is_that_of_scipy():
    density = data()
    rows = np.arange(12) % R
    value, _, _ = density.evaluate(POINTS, rows)
    expected = [by_scipy(density, at, r) for at, r in zip(POINTS, rows, strict=True)]
    np.testing.assert_allclose(value, expected, rtol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_gradient_and_hessian_are_those_of_differences(seed):
    density = data(seed)
    rows = np.arange(12) % R
    _, gradient, hessian = density.evaluate(POINTS, rows)
    np.testing.assert_allclose(hessian, np.swapaxes(hessian, 1, 2), atol=1e-12)
    step = 1e-5
    for p in range(len(MEAN)):
        move = step * (np.arange(len(MEAN)) == p)
        up, down = density.evaluate(POINTS + move, rows), density.evaluate(POINTS - move, rows)
        scale = np.abs(gradient).max()
        np.testing.assert_allclose((up[0] - down[0]) / (2 * step), gradient[:, p], atol=1e-6 * scale)
        np.testing.assert_allclose((up[1] - down[1]) / (2 * step), hessian[:, p], atol=1e-6 * np.abs(hessian).max())


@pytest.mark.parametrize("dispersion", [1e-13, 1e-6, 1e-4, 0.05, 1.0, 8.0])
@pytest.mark.parametrize("count", [0.0, 1.0, 2.0, 39.0, 40.0, 41.0, 700.0, 90_000.0])
def test_slopes_of_the_sum_over_events_are_those_of_its_terms(count, dispersion):
    j = np.arange(count)
    first, second = (j * dispersion / (1 + j * dispersion)).sum(), (j * dispersion / (1 + j * dispersion) ** 2).sum()
    np.testing.assert_allclose(rising_slopes(count, dispersion), [first, second], rtol=1e-8, atol=1e-12)
    x = np.log(dispersion)
    moved = (rising(count, np.exp(x + 1e-4)) - rising(count, np.exp(x - 1e-4))) / 2e-4
    assert moved == pytest.approx(first, rel=1e-6, abs=1e-6)  # rounding of the difference quotient


def test_nobody_leaves_the_prior():
    density = data()
    nobody = NegativeBinomialDensity(
        density.arm, np.zeros((R, N), bool), density.weeks, density.count, density.columns, MEAN, SD, ARMS
    )
    value, gradient, hessian = nobody.evaluate(MEAN[None, :], np.array([2]))
    assert value == 0 and (gradient == 0).all()
    np.testing.assert_allclose(hessian[0], -np.diag(1 / SD**2))
    assert nobody.start().shape == (R, nobody.n_parameters) and np.isfinite(nobody.start()).all()
