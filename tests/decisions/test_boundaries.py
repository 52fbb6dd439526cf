"""Group-sequential boundaries against closed forms, multivariate normal probabilities and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal

from sps_adaptive.decisions.boundaries import (
    crossing_probabilities,
    increasing,
    shape_threshold,
    spending_boundary,
    wang_tsiatis_constant,
)

UNEVEN = np.array([0.11, 0.3, 0.42, 0.9, 1.0])


def correlation(fractions: np.ndarray) -> np.ndarray:
    return np.sqrt(np.minimum.outer(fractions, fractions) / np.maximum.outer(fractions, fractions))


# ------------------------------------------------------------------------------------------------ thresholds


def test_every_shape_ends_at_its_constant():
    for delta in (0, 0.1, 0.25, 0.5):
        assert shape_threshold(ndtri(0.98), delta, 1.0) == pytest.approx(0.98, abs=1e-15)


def test_shapes_are_those_of_obrien_and_fleming_and_of_pocock():
    fractions = np.array([0.25, 0.5, 1.0])
    assert shape_threshold(2.0, 0, fractions) == pytest.approx(ndtr([4, 2 * np.sqrt(2), 2]), abs=1e-15)
    assert (shape_threshold(2.0, 0.5, fractions) == ndtr(2)).all()
    assert shape_threshold(2.0, 0.25, fractions) == pytest.approx(ndtr(2 / fractions**0.25), abs=1e-15)


@pytest.mark.parametrize("delta", [-1, 0, 0.25, 0.4])
def test_without_information_no_probability_exceeds_the_threshold(delta):
    assert (shape_threshold(2.0, delta, np.array([0.0, 5e-324, 1e-300])) == 1).all()
    assert shape_threshold(2.0, 0.5, 0.0) == ndtr(2)


@pytest.mark.parametrize("delta", [0, 0.25])
def test_thresholds_never_rise_with_information(delta):
    thresholds = shape_threshold(1.9, delta, np.linspace(0, 1.5, 1000))
    assert (np.diff(thresholds) <= 0).all()


def test_thresholds_keep_the_shape_of_the_fractions():
    assert shape_threshold(2.0, 0, np.ones((3, 2))).shape == (3, 2)


@pytest.mark.parametrize("constant, fraction", [(0, 1), (-1, 1), (np.inf, 1), (np.nan, 1), (2, -0.1), (2, np.nan)])
def test_what_is_no_threshold_is_refused(constant, fraction):
    with pytest.raises(ValueError, match=r"above 0|0 or more"):
        shape_threshold(constant, 0, fraction)


# ------------------------------------------------------------------------------------------------- crossings


@pytest.mark.parametrize("drift", [-1.5, 0, 2])
def test_one_look_is_a_fixed_test(drift):
    crossed = crossing_probabilities(1.3, -0.4, [0.64], drift)
    assert crossed.upper == pytest.approx([ndtr(0.8 * drift - 1.3)], abs=1e-15)
    assert crossed.lower == pytest.approx([ndtr(-0.4 - 0.8 * drift)], abs=1e-15)


@pytest.mark.parametrize("first", [0.005, 0.3, 0.7, 0.998])
def test_two_looks_at_a_boundary_of_zero_are_an_angle(first):
    crossed = crossing_probabilities(0, -np.inf, [first, 1])
    assert 1 - crossed.upper.sum() == pytest.approx(0.25 + np.arcsin(np.sqrt(first)) / (2 * np.pi), abs=1e-11)


@pytest.mark.parametrize("fractions", [[0.2, 0.5, 1], [0.01, 0.5, 0.52], [1, 2, 30]])
def test_three_looks_at_a_boundary_of_zero_are_three_angles(fractions):
    angles = np.arcsin(correlation(np.array(fractions))[np.triu_indices(3, 1)])
    crossed = crossing_probabilities(0, -np.inf, fractions)
    assert 1 - crossed.upper.sum() == pytest.approx(1 / 8 + angles.sum() / (4 * np.pi), abs=1e-11)


@pytest.mark.parametrize("drift", [0, 1.7])
@pytest.mark.parametrize("looks", [2, 3, 5])
def test_nobody_crosses_with_the_multivariate_normal_probability(looks, drift):
    fractions = UNEVEN[:looks]
    upper, lower = np.linspace(2.6, 1.8, looks), np.linspace(-2.2, 0.4, looks)
    mean = drift * np.sqrt(fractions)
    for below in (lower, np.full(looks, -np.inf)):
        # scipy's own answers vary with the seed, and say so how good their mean is.
        answers = [
            multivariate_normal(mean, correlation(fractions), maxpts=50_000, abseps=1e-9, releps=0, seed=seed).cdf(
                upper, lower_limit=below
            )
            for seed in range(16)
        ]
        crossed = crossing_probabilities(upper, below, fractions, drift)
        going_on = 1 - crossed.upper.sum() - crossed.lower.sum()
        assert abs(going_on - np.mean(answers)) < 5 * np.std(answers) / np.sqrt(15) + 1e-10
        assert np.std(answers) < 1e-5


@pytest.mark.parametrize("drift", [0, 2.5])
def test_crossings_by_look_are_those_of_simulated_trials(drift):
    trials, upper, lower = 400_000, np.array([2.9, 2.5, 2.3, 2.1, 2.0]), np.array([-0.8, -0.2, 0.3, 0.9, 2.0])
    steps = np.diff(UNEVEN, prepend=0)
    increments = np.random.default_rng(5).standard_normal((trials, 5)) * np.sqrt(steps) + drift * steps
    z = increments.cumsum(axis=1) / np.sqrt(UNEVEN)
    out = (z > upper) | (z < lower)
    assert out.any(axis=1).all()  # the last lower boundary is the upper one
    first = out.argmax(axis=1)
    high = z[np.arange(trials), first] > upper[first]
    crossed = crossing_probabilities(upper, lower, UNEVEN, drift)
    for k in range(5):
        for found, exact in ((high, crossed.upper[k]), (~high, crossed.lower[k])):
            standard_error = np.sqrt(exact * (1 - exact) / trials)
            assert abs(((first == k) & found).mean() - exact) < 4 * standard_error


@pytest.mark.parametrize("looks", [50, 400])
def test_many_looks_approach_brownian_motion(looks):
    # Siegmund (1985): looks at distance h miss what passes between, as if the boundary were 0.5826 sqrt(h) higher;
    # what is left is of the order of h.
    fractions = np.arange(1, looks + 1) / looks
    crossed = crossing_probabilities(2.0 / np.sqrt(fractions), -np.inf, fractions)
    assert crossed.upper.sum() == pytest.approx(2 * ndtr(-(2.0 + 0.5826 / np.sqrt(looks))), rel=1 / looks)


numbers = st.floats(-4, 4)


@given(
    steps=st.lists(st.floats(0.05, 1), min_size=1, max_size=6),
    edges=st.lists(st.tuples(numbers, numbers), min_size=6, max_size=6),
    drift=st.floats(-3, 3),
    scale=st.floats(0.01, 100),
)
@settings(max_examples=60, deadline=None)
def test_trials_cross_end_and_mirror(steps, edges, drift, scale):
    fractions = np.cumsum(steps)
    low, high = np.sort(edges[: len(steps)], axis=1).T
    low[-1] = high[-1]  # so that everybody ends somewhere
    crossed = crossing_probabilities(high, low, fractions, drift)
    assert crossed.upper.sum() + crossed.lower.sum() == pytest.approx(1, abs=1e-10)
    assert (np.array(crossed) >= 0).all()
    mirror = crossing_probabilities(-low, -high, fractions, -drift)
    assert mirror.upper == pytest.approx(crossed.lower, abs=1e-12)
    other_units = crossing_probabilities(high, low, scale * fractions, drift / np.sqrt(scale))
    assert other_units.upper == pytest.approx(crossed.upper, abs=1e-10)


def test_a_look_that_nobody_can_pass_ends_the_trial():
    crossed = crossing_probabilities([1.0, 1.0, 1.0], [0.0, 1.0, 0.0], [0.3, 0.6, 1.0])
    assert crossed.upper[2] == crossed.lower[2] == 0
    assert np.sum(crossed) == pytest.approx(1, abs=1e-12)
    certain = crossing_probabilities([-np.inf, 1.0], -np.inf, [0.5, 1.0])
    assert certain.upper.tolist() == [1, 0]


def test_a_look_without_boundaries_is_no_look():
    with_it = crossing_probabilities([2.2, np.inf, 2.0], [0.1, -np.inf, 1.0], [0.3, 0.6, 1.0], 1.0)
    without = crossing_probabilities([2.2, 2.0], [0.1, 1.0], [0.3, 1.0], 1.0)
    assert with_it.upper[[0, 2]] == pytest.approx(without.upper, abs=1e-11)
    assert with_it.lower[[0, 2]] == pytest.approx(without.lower, abs=1e-11)
    assert with_it.upper[1] == with_it.lower[1] == 0


def test_small_probabilities_keep_their_digits():
    crossed = crossing_probabilities([6.0, 6.0], -np.inf, [0.5, 1])
    assert crossed.upper[0] == pytest.approx(ndtr(-6), rel=1e-13)
    assert ndtr(-6) < crossed.upper.sum() < 2 * ndtr(-6)


@pytest.mark.parametrize("fractions", [[], [[0.5, 1]], [0, 1], [-1, 1], [0.5, 0.5], [1, 0.5], [0.9999, 1], [1, np.inf]])
def test_fractions_that_are_none_are_refused(fractions):
    with pytest.raises(ValueError, match="information fraction"):
        increasing(fractions)


def test_boundaries_in_the_wrong_order_are_refused():
    for upper, lower in (([1, 2], [0, 2.1]), ([1, np.nan], 0)):
        with pytest.raises(ValueError, match="lower boundary"):
            crossing_probabilities(upper, lower, [0.5, 1])


# ------------------------------------------------------------------------------------------------- constants


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("delta", [-0.2, 0, 0.25, 0.5, 0.7])
@pytest.mark.parametrize("error", [1e-6, 0.025, 0.3])
def test_a_trial_with_the_constant_errs_as_often_as_asked(delta, error, sides):
    boundary = wang_tsiatis_constant(delta, UNEVEN, error, sides) * UNEVEN ** (delta - 0.5)
    crossed = crossing_probabilities(boundary, -boundary if sides == 2 else -np.inf, UNEVEN)
    assert np.sum(crossed) == pytest.approx(error, rel=1e-11)


def test_the_threshold_of_a_constant_is_where_the_posterior_probability_must_be():
    # One comparison, normal outcomes, a flat prior: the posterior probability of being better is Phi(z).
    trials, fractions = 400_000, np.array([0.4, 0.7, 1.0])
    thresholds = shape_threshold(wang_tsiatis_constant(0.25, fractions, 0.05), 0.25, fractions)
    score = (np.random.default_rng(8).standard_normal((trials, 3)) * np.sqrt(np.diff(fractions, prepend=0))).cumsum(1)
    errors = (ndtr(score / np.sqrt(fractions)) > thresholds).any(axis=1).mean()
    assert abs(errors - 0.05) < 4 * np.sqrt(0.05 * 0.95 / trials)


def test_without_looks_the_constant_is_the_normal_quantile():
    assert wang_tsiatis_constant(0, [1.0], 0.025) == pytest.approx(ndtri(0.975), abs=1e-12)
    assert wang_tsiatis_constant(0.5, [1.0], 0.05, 2) == pytest.approx(ndtri(0.975), abs=1e-12)


def test_a_repeated_fraction_counts_once():
    assert wang_tsiatis_constant(0, [0.5, 0.5, 1.0], 0.025) == wang_tsiatis_constant(0, [0.5, 1.0], 0.025)


@pytest.mark.parametrize("error, sides", [(0, 1), (0.5, 1), (1, 2), (-0.1, 1), (np.nan, 1)])
def test_errors_without_a_threshold_are_refused(error, sides):
    with pytest.raises(ValueError, match="type I error"):
        wang_tsiatis_constant(0, [0.5, 1], error, sides)


# -------------------------------------------------------------------------------------------------- spending


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("rho", [0.5, 1, 3])
def test_a_spending_boundary_spends_as_planned(rho, sides):
    spent = 0.05 * UNEVEN**rho
    boundary = spending_boundary(spent, UNEVEN, sides)
    crossed = crossing_probabilities(boundary, -boundary if sides == 2 else -np.inf, UNEVEN)
    assert (crossed.upper + crossed.lower).cumsum() == pytest.approx(spent, abs=1e-12)


def test_a_look_at_which_nothing_is_spent_has_no_boundary():
    boundary = spending_boundary([0, 0.01, 0.01, 0.025], [0.25, 0.5, 0.75, 1])
    assert np.isinf(boundary).tolist() == [True, False, True, False]
    assert boundary[[1, 3]] == pytest.approx(spending_boundary([0.01, 0.025], [0.5, 1]), abs=1e-9)


def test_much_may_be_spent():
    boundary = spending_boundary([0.2, 0.9], [0.5, 1])
    assert crossing_probabilities(boundary, -np.inf, [0.5, 1]).upper == pytest.approx([0.2, 0.7], abs=1e-11)


@pytest.mark.parametrize("spent", [[0.02, 0.01], [-0.01, 0.02], [0.5, 1], [0.01], [0.01, np.nan]])
def test_what_cannot_be_spent_is_refused(spent):
    with pytest.raises(ValueError, match="error spent"):
        spending_boundary(spent, [0.5, 1])
