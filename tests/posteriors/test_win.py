"""Win probabilities of Dirichlet arms, against closed forms and plain Monte Carlo."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from sps_adaptive.posteriors.win import POINTS, WinPosterior, fill_parts, gamma_points, placements

COUNTS = np.array(
    [
        [[4, 3, 3, 2], [1, 3, 3, 5], [2, 2, 4, 4]],
        [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
        [[12, 0, 0, 0], [0, 0, 0, 12], [12, 0, 0, 0]],
        [[6, 6, 6, 6], [3, 4, 7, 10], [0, 9, 0, 9]],
    ]
)


def posterior(counts=COUNTS, prior=0.25, control=0):
    others = iter(range(counts.shape[1]))
    places = tuple(0 if arm == control else next(others) for arm in range(counts.shape[1]))
    return WinPosterior(counts, prior, control, places)


def monte_carlo(counts, prior, control, draws=400_000, seed=3):
    """Win probabilities of independent draws: [S, A]."""
    rng = np.random.default_rng(seed)
    share = rng.gamma(counts + prior, size=(draws, *counts.shape)) + 1e-250
    share /= share.sum(axis=2, keepdims=True)
    worth = share[:, control].cumsum(axis=1) - share[:, control] / 2
    win = np.einsum("sac,sc->sa", share, worth)
    win[:, control] = 0.5
    return win


def test_two_categories_are_the_difference_of_two_beta_distributions():
    """P(B_1 - B_0 > d) by quadrature; the fixed points are good to 0.0005 in two dimensions."""
    counts = np.array([[[8, 4], [4, 8]], [[20, 10], [15, 15]], [[12, 0], [9, 3]]])
    for by in (0.0, 0.05, -0.1):
        found = posterior(counts, 0.5).prob_better(0, by)
        for r, (control, arm) in enumerate(counts + 0.5):
            base, other = beta(control[1], control[0]), beta(arm[1], arm[0])
            expected = quad(lambda p, b=base, o=other, d=by: b.pdf(p) * o.sf(p + 2 * d), 0, 1, points=[1e-3], limit=200)
            assert found[r, 1] == pytest.approx(expected[0], abs=5e-4)


@pytest.mark.parametrize("control", [0, 2])
def test_mean_and_standard_deviation_are_exact(control):
    """5 SEs of 400,000 draws."""
    found = posterior(control=control)
    for r, counts in enumerate(COUNTS):
        win = monte_carlo(counts, 0.25, control)
        assert (np.abs(found.mean()[r] - win.mean(axis=0)) < 5 * win.std(axis=0) / np.sqrt(len(win)) + 1e-12).all()
        np.testing.assert_allclose(found.sd()[r], win.std(axis=0), rtol=0.01)


@pytest.mark.parametrize("control", [0, 2])
def test_probabilities_agree_with_plain_monte_carlo(control):
    """The fixed points are good to 0.003, and 4 SEs of 400,000 draws are at most 0.0032."""
    found = posterior(control=control)
    for r, counts in enumerate(COUNTS):
        win = monte_carlo(counts, 0.25, control)
        for than, by in ((control, 0.0), (control, 0.1), (1, 0.0), (1, -0.05)):
            gap = win - win[:, [than]]
            expected = (gap > by).mean(axis=0)
            expected[than] = 1.0 if by < 0 else 0.0
            np.testing.assert_allclose(found.prob_better(than, by)[r], expected, atol=0.006)
        best = (win == win.max(axis=1, keepdims=True)).mean(axis=0)
        np.testing.assert_allclose(found.prob_best(np.ones((4, 3), bool))[r], best, atol=0.008)
        ends = np.quantile(win, [0.05, 0.95], axis=0).T
        np.testing.assert_allclose(found.interval(0.9)[r], ends, atol=0.01)
        gap = np.quantile(win - win[:, [1]], [0.05, 0.95], axis=0).T
        np.testing.assert_allclose(found.difference(1, 0.9)[r, :, 1:], gap, atol=0.02)


def test_the_kernel_agrees_with_numpy():
    given = posterior()
    gammas = gamma_points(0.25, 12, int(COUNTS.max()))
    parts = np.full((3, 4, 3, POINTS), 0.5)
    fill_parts(COUNTS, given.divide, np.array([0, 1, 2]), 0, gammas, *parts)
    for r in range(4):
        drawn = np.stack([gammas[COUNTS[r, a], :, 4 * a + np.arange(4)].T for a in range(3)])
        worth = placements(drawn[0] / drawn[0].sum(axis=1, keepdims=True))
        for a in (1, 2):
            lower = np.arange(4) < given.divide[r, a]
            for part, chosen in zip(parts, (lower | True, ~lower, lower), strict=True):
                own = drawn[a] * chosen
                expected = (own * worth).sum(axis=1) / own.sum(axis=1)
                np.testing.assert_allclose(part[r, a], expected, rtol=1e-12)


def test_arms_alike_are_answered_alike():
    counts = COUNTS[:, [0, 1, 1]]
    found = posterior(counts)
    np.testing.assert_array_equal(found.prob_better(0)[:, 1], found.prob_better(0)[:, 2])
    two_ways = posterior(counts).prob_best(np.ones((4, 3), bool))
    np.testing.assert_allclose(two_ways[:, 1], two_ways[:, 2], atol=0.005)


def test_nothing_known_is_even():
    found = posterior()
    assert found.mean()[1] == pytest.approx([0.5] * 3)
    np.testing.assert_allclose(found.prob_better(0)[1], [0, 0.5, 0.5], atol=0.005)


def test_the_best_of_two_is_the_better():
    counts, both = COUNTS[:, :2], np.ones((4, 2), bool)
    found = posterior(counts)
    np.testing.assert_array_equal(found.prob_best(both)[:, 1], found.prob_better(0)[:, 1])
    np.testing.assert_array_equal(found.prob_best(both & [True, False]), [[1, 0]] * 4)
    np.testing.assert_array_equal(found.prob_best(both & [False, True]), [[0, 1]] * 4)
