"""Intervals of the difference of two Betas: the cdf of the difference at the ends, by other means."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import betainc, betaln

from sps_adaptive.posteriors import beta_difference as room
from sps_adaptive.posteriors.beta import BetaPosterior
from tests.posteriors.dense import dense_better, states

PRIORS = [(1, 1), (2, 3), (0.5, 0.5), (1.5, 0.5), (0.1, 0.1), (0.7, 0.7), (2.4, 5.7), (1.6, 1.8)]


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("n_max", [10, 200])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_the_ends_cut_off_the_tails(prior, n_max, level):
    # 1e-6 is the accuracy asked for: the tail between end - 1e-6 and end + 1e-6 must hold the wanted one.
    n, s = states(6, 3, n_max, 21)
    posterior = BetaPosterior.from_counts((prior,) * 3, n, s, n_max)
    answer = posterior.difference(1, level)
    np.testing.assert_array_equal(answer[:, 1], 0)
    np.testing.assert_allclose(answer[..., 0], posterior.mean() - posterior.mean()[:, [1]], atol=1e-15)
    for r in range(len(n)):
        for arm in (0, 2):
            for end, above in ((1, (1 + level) / 2), (2, (1 - level) / 2)):
                lower, upper = answer[r, arm, end] - 1e-6, answer[r, arm, end] + 1e-6
                if lower > -1:
                    assert dense_better(posterior.alpha[r], posterior.beta[r], 1, lower)[arm] > above - 1e-9
                if upper < 1:
                    assert dense_better(posterior.alpha[r], posterior.beta[r], 1, upper)[arm] < above + 1e-9


def test_interval_and_probability_are_consistent():
    # prob_better at the ends of the interval, from nodes the interval knows nothing of.
    n, s = np.array([[20, 25]]), np.array([[6, 14]])
    posterior = BetaPosterior.from_counts(((1, 1), (1, 1)), n, s, 60)
    _, lower, upper = posterior.difference(0, 0.95)[0, 1]
    assert posterior.prob_better(0, lower)[0, 1] == pytest.approx(0.975, abs=1e-6)
    assert posterior.prob_better(0, upper)[0, 1] == pytest.approx(0.025, abs=1e-6)


def test_two_uniforms_have_the_triangular_interval():
    posterior = BetaPosterior.from_counts(((1, 1), (1, 1)), np.zeros((1, 2), int), np.zeros((1, 2), int), 5)
    np.testing.assert_allclose(posterior.difference(0, 0.95)[0, 1], [0, -1 + 0.05**0.5, 1 - 0.05**0.5], atol=1e-8)


@pytest.mark.parametrize(
    ("alpha", "beta"), [(1, 1), (0.5, 0.5), (0.1, 0.1), (0.1, 200.1), (100.5, 0.5), (100, 100), (3000, 20), (2.4, 1)]
)
def test_the_interpolated_cdf(alpha, beta):
    # Quintic interpolation at a sixth of the standard deviation: about 1e-8.
    alphas, betas = np.array([float(alpha)]), np.array([float(beta)])
    grid, window = np.empty((1, room.GRID, 3)), np.empty((1, 6))
    room.tabulate_cdf(alphas, betas, betaln(alphas, betas), grid, window)
    x = np.concatenate([np.geomspace(1e-300, 0.4, 400), np.linspace(0.4, 1 - 1e-9, 400)])
    found = [room.interpolate_cdf(one, 1 - one, grid[0], window[0, 0], window[0, 1])[0] for one in x]
    np.testing.assert_allclose(found, betainc(alpha, beta, x), atol=3e-8, rtol=0)


def test_what_was_tabulated_before_changes_nothing(monkeypatch):
    """States may come twice in one call, in any order, and again later; forgetting them makes no difference."""
    monkeypatch.setattr(room, "_tables", room._Tables())
    rng = np.random.default_rng(7)
    monkeypatch.setattr(room._Tables, "LIMIT", 60)
    for _ in range(6):
        alpha, beta = rng.integers(1, 6, 20) + 0.5, rng.integers(1, 6, 20) + 0.0
        log_norm = betaln(alpha, beta)
        grid, window = room.tabulated(alpha, beta, log_norm)
        fresh_grid, fresh_window = np.empty_like(grid), np.empty_like(window)
        room.tabulate_cdf(alpha, beta, log_norm, fresh_grid, fresh_window)
        np.testing.assert_array_equal(grid, fresh_grid)
        np.testing.assert_array_equal(window, fresh_window)
