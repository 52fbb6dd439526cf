"""The small mathematics that several rooms share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sps_adaptive.arrays import TIE, above, below, normal_quantile, nth_day


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.5, 0.985, 1.0])
def test_a_probability_within_rounding_error_of_a_threshold_is_neither_above_nor_below(threshold):
    near = threshold + np.array([-0.9, -0.1, 0.0, 0.1, 0.9]) * TIE
    assert not above(near, threshold).any()
    assert not below(near, threshold).any()


def test_a_probability_farther_away_is():
    assert above(np.array([0.985 + 3e-12]), 0.985).all() and below(np.array([0.985 - 3e-12]), 0.985).all()
    assert not above(np.array([0.985 - 3e-12]), 0.985).any() and not below(np.array([0.985 + 3e-12]), 0.985).any()


@given(st.floats(0, 1), st.floats(0, 1))
def test_never_above_and_below_at_once(probability, threshold):
    p = np.array([probability])
    assert not (above(p, threshold) & below(p, threshold)).any()
    assert bool(above(p, threshold)[0]) == bool(below(np.array([threshold]), probability)[0])


def test_the_tie_is_narrow():
    assert TIE == 1e-12


def test_normal_quantiles_are_those_of_scipy_and_finite_on_the_whole_range_of_a_stream():
    u = np.concatenate([[0.0, 2.0**-53, 1 - 2.0**-53], np.linspace(0.001, 0.999, 500)])
    z = normal_quantile(u)
    assert np.isfinite(z).all()
    np.testing.assert_allclose(z[1:], stats.norm.ppf(u[1:]), rtol=1e-12)
    assert z[0] < z[1]
    assert (np.diff(z[3:]) > 0).all()


def test_normal_quantiles_keep_their_argument():
    u = np.zeros(3)
    normal_quantile(u)
    assert not u.any()


DAYS = st.lists(st.sampled_from([0.0, 1.0, 2.0, 2.5, np.inf]), min_size=1, max_size=8)


@given(DAYS, st.data())
def test_the_nth_day_is_the_nth_of_the_sorted_days(days, data):
    n = data.draw(st.integers(1, len(days)))
    day = np.array([days, days[::-1]])
    before = day.copy()
    np.testing.assert_array_equal(nth_day(day, n), [sorted(days)[n - 1]] * 2)
    np.testing.assert_array_equal(day, before)


def test_the_nth_day_never_comes_if_too_few_events_do():
    assert nth_day(np.array([[1.0, np.inf, 0.5]]), 3).tolist() == [np.inf]
