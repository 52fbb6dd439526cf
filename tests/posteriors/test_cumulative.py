"""The log density of the proportional-odds model, against its definition."""

import numpy as np
import pytest
from scipy.special import expit, logit

from sps_adaptive.posteriors.cumulative import CumulativeDensity, log_odds_ratios

R, G = 5, 3


def random_density(categories=5, effects=2, by_replicate=False, seed=1):
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(R if by_replicate else 1, G, effects))
    counts = rng.integers(0, 4, (R, G, categories)).astype(float)
    counts[0] = 0  # nothing is known
    counts[1, 1] = 0  # a group without patients
    counts[2, :, 1] = 0  # a category without patients
    return CumulativeDensity(design, counts, 0.7, rng.uniform(0.1, 0.5, effects))


def numpy_twin(density, at, row):
    """The log density of one replicate from the definition of the model."""
    counts, design = density.counts[row], density.design[row if len(density.design) > 1 else 0]
    free = counts.shape[1] - 1
    share = np.exp(np.append(0.0, at[:free]))
    share /= share.sum()
    value = density.concentration * np.log(share).sum() - density.precision @ at[free:] ** 2 / 2
    for each, x in zip(counts, design, strict=True):
        at_most = expit(logit(np.cumsum(share)[:-1]) - x @ at[free:])
        value += each @ np.log(np.diff(at_most, prepend=0, append=1))
    return value


@pytest.mark.parametrize("categories", [2, 3, 7])
@pytest.mark.parametrize("by_replicate", [False, True])
def test_the_value_is_that_of_the_definition(categories, by_replicate):
    density = random_density(categories, by_replicate=by_replicate)
    at = np.random.default_rng(2).normal(size=(R, density.n_parameters))
    value, _, _ = density.evaluate(at, np.arange(R))
    np.testing.assert_allclose(value, [numpy_twin(density, at[r], r) for r in range(R)], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("categories", [2, 3, 7])
def test_gradient_and_hessian_are_the_derivatives(categories):
    """Central differences of step 1e-5 are good to some 1e-9."""
    density = random_density(categories, by_replicate=True)
    at, rows, step = np.random.default_rng(3).normal(size=(R, density.n_parameters)), np.arange(R), 1e-5
    _, gradient, hessian = density.evaluate(at, rows)
    for p, move in enumerate(step * np.eye(density.n_parameters)):
        above, below = density.evaluate(at + move, rows), density.evaluate(at - move, rows)
        np.testing.assert_allclose(gradient[:, p], (above[0] - below[0]) / (2 * step), atol=2e-8)
        np.testing.assert_allclose(hessian[:, p], (above[1] - below[1]) / (2 * step), atol=2e-8)
    np.testing.assert_array_equal(hessian, np.swapaxes(hessian, 1, 2))


def test_rows_may_come_in_any_order_and_twice():
    density = random_density()
    at, rows = np.random.default_rng(4).normal(size=(4, density.n_parameters)), np.array([3, 0, 3, 2])
    together = density.evaluate(at, rows)
    for m, row in enumerate(rows):
        alone = density.evaluate(at[[m]], np.array([row]))
        for one, all_of_them in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one[0], all_of_them[m])


def test_far_away_all_is_finite():
    """A search may try anything; the answer must be a number that sends it back."""
    density = random_density()
    at = np.random.default_rng(5).choice([-900.0, 0.0, 900.0], (60, density.n_parameters))
    for part in density.evaluate(at, np.arange(60) % R):
        assert np.isfinite(part).all()


def test_the_prior_is_a_dirichlet_distribution_of_the_shares():
    """Moments of a grid over the two log ratios of three categories, against the Dirichlet's."""
    density = CumulativeDensity(np.zeros((1, 1, 1)), np.zeros((1, 1, 3)), 0.7, np.ones(1))
    z = np.linspace(-60, 40, 1001)
    first, second = (each.ravel() for each in np.meshgrid(z, z))
    at = np.column_stack([first, second, np.zeros(len(first))])
    weight = np.exp(density.evaluate(at, np.zeros(len(at), np.int64))[0])
    weight /= weight.sum()
    share = np.exp(at[:, :2])
    share /= 1 + share.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weight @ share, [1 / 3, 1 / 3], atol=1e-4)
    np.testing.assert_allclose(weight @ share**2, [0.7 * 1.7 / (2.1 * 3.1)] * 2, atol=1e-4)


def test_two_categories_are_logistic_regression():
    density = random_density(categories=2)
    at = np.random.default_rng(6).normal(size=(R, 3))
    chance = expit(at[:, [0]] + at[:, 1:] @ density.design[0].T)
    likelihood = (density.counts[..., 1] * np.log(chance) + density.counts[..., 0] * np.log(1 - chance)).sum(axis=1)
    share = expit(at[:, 0])
    prior = 0.7 * np.log(share * (1 - share)) - at[:, 1:] ** 2 @ density.precision / 2
    np.testing.assert_allclose(density.evaluate(at, np.arange(R))[0], likelihood + prior, rtol=1e-13)


def test_log_odds_ratios_are_recovered():
    control = np.array([0.2, 0.5, 0.2, 0.1])
    share = [np.diff(expit(logit(control.cumsum()[:-1]) - x), prepend=0, append=1) for x in (0.0, 0.887, -3.0)]
    np.testing.assert_allclose(log_odds_ratios(np.array(share), 0), [0, 0.887, -3], atol=1e-10)
    np.testing.assert_allclose(log_odds_ratios(np.array(share), 2), [3, 3.887, 0], atol=1e-10)
    assert (log_odds_ratios(np.array([[0, 1.0, 0], [0, 1.0, 0]]), 0) == 0).all()
