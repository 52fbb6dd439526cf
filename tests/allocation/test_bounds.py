"""The projection onto floors and ceilings, against an optimiser that knows nothing of its formula."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize

from sps_adaptive.allocation.bounds import control_first, project, share_equally


def projected(weights, lower, upper, total=1.0):
    weights = np.array([weights], float)
    lower, upper = (np.broadcast_to(np.asarray(bound, float), weights.shape) for bound in (lower, upper))
    return project(weights, lower, upper, np.array([total]))[0]


@pytest.mark.parametrize(
    "weights, floor, ceiling, expected",
    [
        ([0.01, 0.04, 0.95], 0.1, 0.7, [0.1, 0.2, 0.7]),
        ([0.02, 0.18, 0.80], 0.15, 0.6, [0.15, 0.25, 0.6]),
        ([0.2, 0.3, 0.5], 0.1, 0.7, [0.2, 0.3, 0.5]),
        ([2, 3, 5], 0, 1, [0.2, 0.3, 0.5]),
        ([0, 0, 1], 0.15, 1, [0.15, 0.15, 0.7]),
        ([0, 0, 1], 0, 0.5, [0.25, 0.25, 0.5]),  # those with nothing share what the ceiling leaves
        ([0, 1], 0.1, 0.6, [0.4, 0.6]),
        ([1, 1, 1], 1 / 3, 1 / 3, [1 / 3, 1 / 3, 1 / 3]),
        ([0.9, 0.05, 0.05], 1 / 3, 1, [1 / 3, 1 / 3, 1 / 3]),
        ([0.9, 0.1, 0.0], 0, 1 / 3, [1 / 3, 1 / 3, 1 / 3]),
        ([1], 0, 1, [1]),
    ],
)
def test_values_by_hand(weights, floor, ceiling, expected):
    np.testing.assert_allclose(projected(weights, floor, ceiling), expected, rtol=0, atol=1e-11)


@st.composite
def feasible(draw, smallest=1e-4):
    """Weights, floors and ceilings by arm, and a total between the sums of the bounds."""
    arms = draw(st.integers(2, 6))
    some = st.lists(st.floats(0, 1), min_size=arms, max_size=arms)
    weights = np.array([max(w, smallest) for w in draw(some)])
    lower = np.array(draw(some)) / arms
    upper = lower + np.array(draw(some)) * (1 - lower)
    total = draw(st.floats(0.2, 1))
    assume(lower.sum() < total - 0.01 and upper.sum() > total + 0.01)
    return weights, lower, upper, total


@given(feasible())
def test_it_minimises_the_kullback_leibler_divergence(case):
    """Against SLSQP started from its own idea: nothing feasible is closer; 1e-8 in the divergence, 1e-4 in the place.

    The divergence is flat at its minimum, so an optimiser finds the place only to the square root of its tolerance;
    the next test holds the place to 1e-8.
    """
    weights, lower, upper, total = case
    share = weights / weights.sum() * total

    def divergence(p):
        p = np.maximum(p, 1e-300)
        return float(np.sum(p * np.log(p / share) - p + share))

    found = minimize(
        divergence,
        np.clip(share, lower, upper),
        jac=lambda p: np.log(np.maximum(p, 1e-300) / share),
        method="SLSQP",
        bounds=list(zip(lower, upper, strict=True)),
        constraints={"type": "eq", "fun": lambda p: p.sum() - total, "jac": np.ones_like},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    ours = projected(weights, lower, upper, total)
    feasible_point = abs(found.x.sum() - total) < 1e-9
    if feasible_point:
        assert divergence(ours) <= divergence(found.x) + 1e-8
    if found.success:
        np.testing.assert_allclose(ours, found.x, atol=1e-4)


@given(feasible(smallest=0.0))
def test_it_is_a_clipped_multiple_of_the_weights_that_sums_to_the_total(case):
    """The conditions of optimality, solved by Brent's method in the logarithm of the multiple, to 1e-8."""
    weights, lower, upper, total = case
    assume(weights.max() > 1e-3)
    held = np.maximum(weights / weights.max(), 1e-12)  # as documented: nothing counts as next to nothing

    def excess(log_scale):
        return np.clip(np.exp(log_scale) * held, lower, upper).sum() - total

    scale = np.exp(brentq(excess, -40, 40, xtol=1e-14, rtol=1e-15, maxiter=500))
    np.testing.assert_allclose(projected(weights, lower, upper, total), np.clip(scale * held, lower, upper), atol=1e-8)


@given(feasible(smallest=0.0))
def test_the_sum_is_right_and_the_bounds_are_kept(case):
    weights, lower, upper, total = case
    ours = projected(weights, lower, upper, total)
    assert abs(ours.sum() - total) < 1e-12
    assert (ours >= lower - 1e-15).all() and (ours <= upper + 1e-15).all()


@given(feasible(smallest=0.0))
def test_projecting_twice_is_projecting_once(case):
    weights, lower, upper, total = case
    once = projected(weights, lower, upper, total)
    np.testing.assert_allclose(projected(once, lower, upper, total), once, atol=1e-11)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6).filter(any), st.floats(0, 1), st.floats(0, 1))
def test_with_one_floor_and_one_ceiling_the_order_of_the_arms_is_preserved(weights, low, high):
    equal = 1 / len(weights)
    ours = projected(weights, low * equal, equal + high * (1 - equal))
    order = np.argsort(weights, kind="stable")
    assert (np.diff(ours[order]) >= -1e-15).all()


@given(feasible(smallest=0.0), st.randoms(use_true_random=False))
def test_the_order_in_which_arms_stand_does_not_matter(case, random):
    weights, lower, upper, total = case
    order = list(range(len(weights)))
    random.shuffle(order)
    one, other = projected(weights, lower, upper, total), projected(weights[order], lower[order], upper[order], total)
    np.testing.assert_allclose(one[order], other, atol=1e-13)


@given(feasible(smallest=0.0), st.floats(1e-6, 1e6))
def test_the_scale_of_the_weights_does_not_matter(case, scale):
    weights, lower, upper, total = case
    assume(weights.max() > 0)
    one, other = projected(weights, lower, upper, total), projected(weights * scale, lower, upper, total)
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_arms_that_take_no_patients_get_none():
    weights, lower, upper = [0.5, 0.3, 0.2], [0.0, 0.1, 0.1], [0.0, 0.6, 0.9]
    assert projected(weights, lower, upper).tolist() == pytest.approx([0, 0.6, 0.4])
    assert projected(weights, 0, 0, 0.0).tolist() == [0, 0, 0]


def test_share_equally_of_nobody_is_nothing():
    assert share_equally(np.array([[False, False], [True, True]])).tolist() == [[0, 0], [0.5, 0.5]]


def shared(weights, share=None, floor=0.0, ceiling=1.0, is_open=None, control=0):
    weights = np.array([weights], float)
    is_open = np.ones(weights.shape, bool) if is_open is None else np.array([is_open])
    given_share = None if share is None else np.array([share])
    return control_first(weights, is_open, control, given_share, floor, ceiling)[0]


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"weights": [0.1, 0.6, 0.3]}, [0.1, 0.6, 0.3]),
        ({"weights": [0.1, 0.6, 0.3], "share": 0.4}, [0.4, 0.4, 0.2]),
        ({"weights": [0.1, 0.6, 0.3], "share": 0.4, "control": 2}, [0.6 / 7, 3.6 / 7, 0.4]),
        ({"weights": [0.0, 0.95, 0.05], "share": 0.33, "floor": 0.15}, [0.33, 0.52, 0.15]),
        ({"weights": [0.0, 0.95, 0.05], "share": 0.33, "ceiling": 0.4}, [0.33, 0.4, 0.27]),
        ({"weights": [0.1, 0.6, 0.3], "share": 0.1, "floor": 0.2}, [0.1, 0.6, 0.3]),  # the control stands outside
        ({"weights": [0.1, 0.6, 0.3], "is_open": [True, True, False]}, [1 / 7, 6 / 7, 0]),
        ({"weights": [0.1, 0.6, 0.3], "is_open": [True, True, False], "ceiling": 0.4}, [0.5, 0.5, 0]),
        ({"weights": [0.1, 0.6, 0.3], "is_open": [True, True, False], "floor": 0.3}, [0.3, 0.7, 0]),
        ({"weights": [0.1, 0.6, 0.3], "is_open": [True, False, False], "ceiling": 0.4}, [1, 0, 0]),
        ({"weights": [0.1, 0.6, 0.3], "is_open": [True, False, False], "share": 0.33}, [1, 0, 0]),
        ({"weights": [0.1, 0.6, 0.3], "is_open": [True, False, True], "share": 0.33, "ceiling": 0.5}, [0.33, 0, 0.67]),
        ({"weights": [0.1, 0.6, 0.3], "is_open": [False, True, True], "share": 0.33}, [0, 2 / 3, 1 / 3]),
        ({"weights": [0.4, 0.6], "share": 0.5, "floor": 0.6}, [0.5, 0.5]),  # a floor beyond the equal share is that
    ],
)
def test_the_control_comes_first_and_the_others_share_the_rest(given, expected):
    np.testing.assert_allclose(shared(**given), expected, atol=1e-12)


def test_the_inputs_are_left_alone():
    weights, is_open = np.array([[0.1, 0.6, 0.3]]), np.array([[True, True, False]])
    control_first(weights, is_open, 0, np.array([0.3]), 0.1, 0.5)
    assert weights.tolist() == [[0.1, 0.6, 0.3]] and is_open.tolist() == [[True, True, False]]
