"""Tabulated densities: against normal distributions, whose comparisons are closed, and sums over their mixtures."""

import numpy as np
import pytest
from scipy import integrate, stats

from sps_adaptive.posteriors.tabulated import TabulatedPosterior
from sps_adaptive.posteriors.tabulated_kernels import accumulate, below_and_density

POINTS = 40
WEIGHT = np.array([[0.3, 0.7], [1.0, 0.0], [0.5, 0.5], [0.6, 0.4]])
MEAN = np.array(
    [
        [[0.0, 0.4, -0.2], [0.1, 0.3, 0.2]],
        [[1.0, 1.0, 1.0], [9.0, 9.0, 9.0]],
        [[0.0, 3.0, -3.0], [0.5, 2.0, -2.0]],
        [[0.0, 0.1, 0.05], [0.0, 0.12, 0.06]],
    ]
)
SD = np.array(
    [
        [[0.3, 0.4, 0.25], [0.35, 0.3, 0.5]],
        [[0.2, 0.2, 0.2], [1.0, 1.0, 1.0]],
        [[2.0, 0.05, 0.6], [1.0, 0.04, 0.5]],
        [[0.1, 0.02, 2.5], [0.12, 0.03, 2.0]],
    ]
)
R, D, A = MEAN.shape
KNOWN = np.full((R, A), 10)


def tabulated(mean=MEAN, sd=SD, weight=WEIGHT, points=POINTS, density=None):
    """A posterior of normal densities, as long as 6.3 standard deviations on either side."""
    start, step = mean - 6.3 * sd, 12.6 * sd / (points - 1)
    table = np.empty((*mean.shape, points, 3))
    for place in np.ndindex(mean.shape):
        z = np.linspace(-6.3, 6.3, points)
        value = np.exp(-z * z / 2)
        accumulate(value, -z * value / sd[place], (z * z - 1) * value / sd[place] ** 2, step[place], table[place])
    return TabulatedPosterior(weight, start, step, table, np.ones(mean[:, 0].shape), KNOWN[: len(mean)])


POSTERIOR = tabulated()


def mixed(of_node):
    """What the mixture has, from what each node has: [R, D, A] to [R, A]."""
    return (WEIGHT[:, :, None] * of_node).sum(axis=1)


def test_between_points_the_table_is_the_normal_distribution():
    """Hermite's error for degree five is h^6 max|F^(6)| / 46080, at a step of 0.32 standard deviations 6e-8."""
    x = np.linspace(-5.8, 6.9, 997)
    found = np.array([below_and_density(one, -5.8, 12.6 / (POINTS - 1), tabulated_row()) for one in x])
    np.testing.assert_allclose(found[:, 0], stats.norm.cdf(x, 0.5), atol=1e-7)
    np.testing.assert_allclose(found[:, 1], stats.norm.pdf(x, 0.5), atol=1e-6)
    assert below_and_density(-5.9, -5.8, 0.1, tabulated_row()) == (0.0, 0.0)
    assert below_and_density(7.9, -5.8, 0.1, tabulated_row()) == (1.0, 0.0)


def tabulated_row():
    return tabulated(np.full((1, 1, 1), 0.5), np.ones((1, 1, 1)), np.ones((1, 1))).table[0, 0, 0]


def test_moments_and_tails_are_those_of_the_mixture():
    mean = mixed(MEAN)
    np.testing.assert_allclose(POSTERIOR.mean(), mean, atol=1e-8)
    np.testing.assert_allclose(POSTERIOR.sd(), np.sqrt(mixed(SD**2 + MEAN**2) - mean**2), rtol=1e-7)
    for value in (-1.0, 0.0, 0.2, 1.1):
        np.testing.assert_allclose(POSTERIOR.prob_above(value), mixed(stats.norm.sf(value, MEAN, SD)), atol=5e-8)


@pytest.mark.parametrize("by", [0.0, 0.3, -0.7])
@pytest.mark.parametrize("than", range(A))
def test_differences_are_those_of_the_mixture_whichever_arm_is_narrower(than, by):
    gap, unit = MEAN - MEAN[:, :, [than]], np.hypot(SD, SD[:, :, [than]])
    expected = mixed(stats.norm.sf(by, gap, unit))
    expected[:, than] = float(by < 0)
    np.testing.assert_allclose(POSTERIOR.prob_better(than, by), expected, atol=5e-8)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_quantiles_leave_the_tails_that_they_should(level):
    tails = np.array([(1 + level) / 2, (1 - level) / 2])
    for ends, above in [
        (POSTERIOR.interval(level), lambda x: mixed(stats.norm.sf(x[:, None, :], MEAN, SD))),
        (
            POSTERIOR.difference(0, level)[..., 1:],
            lambda x: mixed(stats.norm.sf(x[:, None, :], MEAN - MEAN[:, :, [0]], np.hypot(SD, SD[:, :, [0]]))),
        ),
    ]:
        found = np.stack([above(ends[..., 0]), above(ends[..., 1])], axis=-1)
        np.testing.assert_allclose(found[:, 1:], np.broadcast_to(tails, (R, A - 1, 2)), atol=1e-7)
    assert (POSTERIOR.difference(0, level)[:, 0] == 0).all()
    np.testing.assert_allclose(
        POSTERIOR.difference(0, level)[..., 0], POSTERIOR.mean() - POSTERIOR.mean()[:, [0]], atol=1e-12
    )


@pytest.mark.parametrize("r", range(R))
def test_the_best_of_three_is_the_integral_over_the_mixture(r):
    expected = np.zeros(A)
    for d in range(D):
        for a in range(A):
            others = [j for j in range(A) if j != a]

            def here(x, a=a, d=d, others=others):
                return stats.norm.pdf(x, MEAN[r, d, a], SD[r, d, a]) * np.prod(
                    [stats.norm.cdf(x, MEAN[r, d, j], SD[r, d, j]) for j in others]
                )

            low, high = (MEAN[r, d] - 8 * SD[r, d]).min(), (MEAN[r, d] + 8 * SD[r, d]).max()
            places = np.sort(np.concatenate([MEAN[r, d] + k * SD[r, d] for k in (-2, 0, 2)]))
            whole, _ = integrate.quad(here, low, high, points=places, limit=400, epsabs=1e-11)
            expected[a] += WEIGHT[r, d] * whole
    best = POSTERIOR.prob_best(np.ones((R, A), bool))[r]
    np.testing.assert_allclose(best, expected, atol=5e-7)
    assert best.sum() == pytest.approx(1, abs=1e-12)


def test_the_best_of_two_is_the_better_one_and_arms_left_out_get_nothing():
    among = np.array([[True, True, False]] * R)
    best = POSTERIOR.prob_best(among)
    assert (best[:, 2] == 0).all()
    np.testing.assert_allclose(best[:, 1], POSTERIOR.prob_better(0)[:, 1], atol=5e-7)
    alone = np.array([[False, True, False]] * R)
    np.testing.assert_allclose(POSTERIOR.prob_best(alone), alone.astype(float), atol=1e-15)


def test_a_difference_of_skew_densities_is_right():
    """Log gamma variables: the difference of two is a logistic transform of a Beta variable."""
    posterior = log_gamma(np.array([2.5, 6.0]))
    for by in (-0.5, 0.0, 0.8):
        expected = stats.beta.sf(1 / (1 + np.exp(-by)), 6.0, 2.5)  # G1 / (G0 + G1) with G1 > e^by G0
        assert posterior.prob_better(0, by)[0, 1] == pytest.approx(expected, abs=3e-7)


def log_gamma(shape):
    """Arms whose exponential has a gamma distribution of unit scale."""
    low, high = np.log(stats.gamma.ppf(1e-9, shape)), np.log(stats.gamma.ppf(1 - 1e-9, shape))
    step = (high - low) / (POINTS - 1)
    table = np.empty((1, 1, len(shape), POINTS, 3))
    for a, k in enumerate(shape):
        x = low[a] + step[a] * np.arange(POINTS)
        value = np.exp(k * x - np.exp(x) - (k * np.log(k) - k))
        first, second = k - np.exp(x), -np.exp(x)
        accumulate(value, first * value, (second + first**2) * value, step[a], table[0, 0, a])
    return TabulatedPosterior(
        np.ones((1, 1)), low[None, None], step[None, None], table, np.ones((1, 2)), np.full((1, 2), 10)
    )


def test_success_is_certain_where_the_answer_is_and_nothing_is_to_come():
    nothing = np.zeros((R, A), int)
    for threshold in (0.2, 0.5, 0.9):
        found = POSTERIOR.prob_success(0, 0.1, threshold, nothing)
        np.testing.assert_array_equal(found[:, 1:], POSTERIOR.prob_better(0, 0.1)[:, 1:] > threshold)
        alone = POSTERIOR.prob_success(None, 0.1, threshold, nothing)
        np.testing.assert_array_equal(alone, POSTERIOR.prob_above(0.1) > threshold)


def test_success_with_normal_arms_is_the_closed_form():
    """Equal arms, known variance, flat prior: mean of the later estimate given the present one."""
    posterior = tabulated(np.array([[[0.0, 0.5]]]), np.full((1, 1, 2), 0.4), np.ones((1, 1)))
    posterior = TabulatedPosterior(*posterior._tables, np.ones((1, 2)), np.full((1, 2), 10))
    s, later = 0.4 * np.sqrt(2), 0.4 * np.sqrt(2) * np.sqrt(10 / 25)
    expected = stats.norm.cdf((0.5 - stats.norm.ppf(0.95) * later) / np.sqrt(s**2 - later**2))
    assert posterior.prob_success(0, 0.0, 0.95, np.full((1, 2), 15))[0, 1] == pytest.approx(expected, abs=1e-7)
