"""The projection onto floors and ceilings, against its numpy twin and an optimiser that does not know the formula."""

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


def test_what_lies_in_memory_does_not_matter_and_is_left_alone():
    """The arguments may have any layout and may be read-only."""
    rng = np.random.default_rng(3)
    weights, lower, upper = rng.random((40, 3)), np.full((40, 3), 0.1), np.full((40, 3), 0.6)
    expected = project(weights, lower, upper, np.ones(40))
    before = weights.copy()
    for part in (weights, lower, upper):
        part.setflags(write=False)
    np.testing.assert_array_equal(project(weights, lower, upper, np.ones(40)), expected)
    layout = np.asfortranarray(np.repeat(weights, 2, axis=0))[::2]
    bounds = (np.broadcast_to(bound, (40, 3)) for bound in (0.1, 0.6))
    np.testing.assert_array_equal(project(layout, *bounds, np.broadcast_to(1, 40)), expected)
    is_open = np.asfortranarray(np.ones((40, 3), bool))
    np.testing.assert_array_equal(control_first(layout, is_open, 0, None, 0.1, 0.6), expected)
    np.testing.assert_array_equal(weights, before)


# -------------------------------------------------------------------------------------------- the twins


def project_twin(weights, lower, upper, total):
    """The formula in numpy: all corners are sorted, and the sum is computed at each."""
    weights = np.where(upper > 0, weights, 0.0)
    weights = weights / np.maximum(weights.max(axis=1, keepdims=True), 1e-300)
    weights = np.where(upper > 0, np.maximum(weights, 1e-12), 0.0)
    share = weights * (total / np.maximum(weights.sum(axis=1), 1e-300))[:, None]
    outside = ((share < lower) | (share > upper)).any(axis=1)
    weights, lower, upper, total = weights[outside], lower[outside], upper[outside], total[outside]
    weights = np.where(upper > 0, weights, 1.0)
    corners = np.sort(np.concatenate([lower / weights, upper / weights], axis=1), axis=1)
    reached = np.clip(corners[:, :, None] * weights[:, None, :], lower[:, None, :], upper[:, None, :]).sum(axis=2)
    after = np.clip((reached < total[:, None] - 1e-15).sum(axis=1), 1, corners.shape[1] - 1)
    row = np.arange(len(weights))
    low, high = corners[row, after - 1], corners[row, after]
    below, above = reached[row, after - 1], reached[row, after]
    rise = np.where(above > below, above - below, 1.0)
    scale = low + (high - low) * np.clip((total - below) / rise, 0.0, 1.0)
    share[outside] = np.clip(scale[:, None] * weights, lower, upper)
    return share


def control_first_twin(weights, is_open, control, share, floor, ceiling):
    rivals = is_open.copy()
    given = np.zeros(len(is_open))
    if share is not None:
        rivals[:, control] = False
        given = np.where(rivals.any(axis=1), np.where(is_open[:, control], share, 0.0), 1.0)
    left = 1.0 - given
    equal = (left / np.maximum(rivals.sum(axis=1), 1))[:, None]
    upper = np.where(rivals, np.maximum(ceiling, equal), 0.0)
    lower = np.where(rivals, np.minimum(floor, equal), 0.0)
    probabilities = project_twin(np.where(rivals, np.maximum(weights, 1e-300), 0.0), lower, upper, left)
    if share is not None:
        probabilities[:, control] = given
    return probabilities


def drawn_weights(rng, rows, arms):
    """Weights with zeros, ties and next to nothing among them."""
    weights = rng.random((rows, arms)) ** rng.choice([0.5, 1, 8], (rows, 1))
    coarse = rng.random((rows, 1)) < 0.3
    weights = np.where(coarse, np.round(4 * weights) / 4, weights)
    return np.where(rng.random((rows, arms)) < 0.1, rng.choice([0.0, 1e-300, 1e-14], (rows, arms)), weights)


def drawn(seed, rows, arms):
    """Feasible weights, floors, ceilings and totals."""
    rng = np.random.default_rng(seed)
    is_open = rng.random((rows, arms)) < 0.8
    lower = np.where(is_open, rng.choice([0.0, 0.1, 1.0], (rows, 1)) * rng.random((rows, arms)) / arms, 0.0)
    upper = np.where(is_open, lower + rng.choice([0.2, 1.0], (rows, 1)) * rng.random((rows, arms)), 0.0)
    part = rng.random(rows)
    total = part * lower.sum(axis=1) + (1 - part) * upper.sum(axis=1)
    return drawn_weights(rng, rows, arms), lower, upper, total


@pytest.mark.parametrize("rows", [0, 1, 127, 128, 129, 2000])  # the kernel takes 128 rows at a time
@pytest.mark.parametrize("arms", range(1, 8))
def test_the_kernel_repeats_its_twin_to_the_last_bit(rows, arms):
    case = drawn(rows + arms, rows, arms)
    np.testing.assert_array_equal(project(*case), project_twin(*case))


@pytest.mark.parametrize("arms", [8, 20, 50])
def test_with_many_arms_only_the_order_of_addition_differs(arms):
    """From 8 numbers on numpy adds in pairs; 1e-15 of the total, which may all fall on one arm, for each 10 arms."""
    weights, lower, upper, total = drawn(arms, 500, arms)
    found, expected = project(weights, lower, upper, total), project_twin(weights, lower, upper, total)
    assert (np.abs(found - expected) <= arms * 1e-16 * total[:, None]).all()


@given(feasible(smallest=0.0))
def test_the_kernel_repeats_its_twin_wherever_the_bounds_lie(case):
    weights, lower, upper, total = (np.array([part]) for part in case)
    np.testing.assert_array_equal(project(weights, lower, upper, total), project_twin(weights, lower, upper, total))


@pytest.mark.parametrize("total", [0.3, 0.67, 1.0])
@pytest.mark.parametrize("arms", range(2, 8))
def test_bounds_that_leave_no_choice(arms, total):
    """All floors, or all ceilings, are the total, to rounding error: 1e-15."""
    rng, rows = np.random.default_rng(arms), 300
    weights, parts = drawn_weights(rng, rows, arms), rng.dirichlet(np.ones(arms), rows) * total
    parts[: rows // 2] = total / arms
    nothing, everything, totals = np.zeros((rows, arms)), np.ones((rows, arms)), np.full(rows, total)
    for lower, upper in ((parts, everything), (nothing, parts), (parts, parts)):
        found = project(weights, lower, upper, totals)
        np.testing.assert_allclose(found, parts, rtol=0, atol=1e-15)
        np.testing.assert_allclose(found, project_twin(weights, lower, upper, totals), rtol=0, atol=1e-15)


@pytest.mark.parametrize("arms", range(2, 6))
@pytest.mark.parametrize("floor, ceiling", [(0, 1), (0.1, 1), (0, 0.55), (0.15, 0.6), (0.5, 0.1)])
@pytest.mark.parametrize("share", [None, 0.33, "by row"])
def test_control_first_repeats_its_twin_to_the_last_bit(arms, floor, ceiling, share):
    rng, rows = np.random.default_rng(arms), 700
    weights, is_open = drawn_weights(rng, rows, arms), rng.random((rows, arms)) < 0.7  # in some rows nobody
    given_share = None if share is None else rng.random(rows) if share == "by row" else np.full(rows, share)
    for control in range(arms):
        case = weights, is_open, control, given_share, floor, ceiling
        np.testing.assert_array_equal(control_first(*case), control_first_twin(*case))


def test_a_row_does_not_depend_on_the_other_rows():
    weights, lower, upper, total = drawn(5, 300, 3)
    together = project(weights, lower, upper, total)
    order = np.random.default_rng(6).permutation(300)
    np.testing.assert_array_equal(project(weights[order], lower[order], upper[order], total[order]), together[order])
    for r in range(0, 300, 29):
        alone = project(weights[[r]], lower[[r]], upper[[r]], total[[r]])
        np.testing.assert_array_equal(alone[0], together[r])


def test_a_weight_that_is_no_number_is_not_hidden():
    weights = np.full((200, 3), [0.01, 0.04, 0.95])
    weights[[3, 150], 1] = np.nan
    found = project(weights, np.full((200, 3), 0.1), np.full((200, 3), 0.7), np.ones(200))
    assert np.isnan(found[[3, 150]]).all()
    np.testing.assert_allclose(np.delete(found, [3, 150], axis=0), np.full((198, 3), [0.1, 0.2, 0.7]), atol=1e-12)
