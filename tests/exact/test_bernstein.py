"""The certified supremum against closed forms, dense grids, brute force under conditions, and rational numbers."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import product
from math import comb, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from sps_adaptive.exact import bernstein
from sps_adaptive.exact.bernstein import coefficients, elevate, supremum, value

EXAMPLES = settings(max_examples=25, deadline=None)
WIDTH = 1e-4
ROUNDING = 1e-14
"""Of the values on a grid, beside a bound that was cut at 1."""

shapes = st.one_of(
    st.tuples(st.integers(1, 40)),
    st.tuples(st.integers(1, 14), st.integers(1, 14)),
    st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 7)),
)
chances = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))
tensors = shapes.flatmap(lambda shape: arrays.arrays(float, shape, elements=chances))


@cache
def grid(axes: int, points: int) -> np.ndarray:
    return np.array(list(product(np.linspace(0, 1, points), repeat=axes)))


def exactly(weights: np.ndarray, p: tuple[Fraction, ...]) -> Fraction:
    """T in rational arithmetic."""
    total = Fraction(0)
    for index in np.ndindex(weights.shape):
        powers = (p_d**s * (1 - p_d) ** (size - 1 - s) for p_d, s, size in zip(p, index, weights.shape, strict=True))
        total += Fraction(float(weights[index])) * prod(powers)
    return total


def peak(powers: tuple[tuple[int, int], ...]) -> Fraction:
    """The largest probability of a successes and b failures, for each axis."""
    return prod(comb(a + b, a) * Fraction(a, a + b) ** a * Fraction(b, a + b) ** b for a, b in powers)


def binomials(shape: tuple[int, ...]) -> np.ndarray:
    return np.array([prod(comb(n - 1, k) for n, k in zip(shape, index, strict=True)) for index in np.ndindex(shape)])


# ------------------------------------------------------------------------------------------ polynomials


@given(tensors, st.integers(0, 5), st.data())
@EXAMPLES
def test_an_elevated_polynomial_is_the_same_function(weights, by, data):
    axis = data.draw(st.integers(-weights.ndim, weights.ndim - 1))
    elevated = elevate(weights, by, axis)
    assert elevated.shape[axis] == weights.shape[axis] + by
    p = grid(weights.ndim, 5)
    before, after = (value(coefficients(each), p) for each in (weights, elevated))
    np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-300)


def test_elevation_is_exact_for_whole_weights():
    weights = np.array([[3.0, 0.0, 7.0], [1.0, 2.0, 0.0]])
    p = (Fraction(2, 7), Fraction(5, 9))
    assert exactly(elevate(elevate(weights, 4, 0), 3, 1), p) == exactly(weights, p)


@given(tensors)
@EXAMPLES
def test_a_value_is_an_average_over_binomial_distributions(numbers):
    p = grid(numbers.ndim, 4)
    probability = [
        stats.binom.pmf(np.arange(size), size - 1, p[:, [d]]).reshape(
            -1, *(size if a == d else 1 for a in range(numbers.ndim))
        )
        for d, size in enumerate(numbers.shape)
    ]
    expected = (prod(probability) * numbers).reshape(len(p), -1).sum(axis=1)
    np.testing.assert_allclose(value(numbers, p), expected, atol=1e-12)


def test_values_at_one_and_at_many_points():
    numbers = np.array([0.0, 0.5, 1.0])
    assert value(numbers, 0.3) == pytest.approx(0.3)
    assert value(numbers, [0.3]) == pytest.approx(0.3)
    assert value(numbers, [0.3, 0.4]) == pytest.approx([0.3, 0.4])
    assert value(np.add.outer(numbers, numbers) / 2, [0.2, 0.6]) == pytest.approx(0.4)
    assert value(np.add.outer(numbers, numbers) / 2, np.full((2, 3, 2), 0.7)) == pytest.approx(np.full((2, 3), 0.7))


def test_a_large_degree_loses_nothing():
    numbers = (np.arange(1001) > 520).astype(float)
    p = np.array([1e-12, 0.1, 0.5, 0.52, 0.9, 1.0])
    np.testing.assert_allclose(value(numbers, p), stats.binom.sf(520, 1000, p), rtol=1e-10, atol=1e-50)
    found = supremum(numbers * (np.arange(1001) < 600), width=1e-5)
    assert found.upper - found.lower <= 1e-5
    assert found.at[0] == pytest.approx(0.56, abs=2e-3)


# ---------------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize(
    "powers", [((3, 7),), ((1, 59),), ((180, 20),), ((2, 6), (5, 3)), ((30, 30), (55, 5)), ((4, 4), (1, 7), (20, 3))]
)
def test_a_monomial_is_largest_at_the_share_of_successes(powers):
    numbers = np.zeros([a + b + 1 for a, b in powers])
    numbers[tuple(a for a, _ in powers)] = 1.0
    largest = float(peak(powers))
    found = supremum(numbers, WIDTH)
    assert found.lower <= largest <= found.upper <= found.lower + WIDTH
    assert found.at == pytest.approx([a / (a + b) for a, b in powers], abs=1e-6)
    assert found.lower == pytest.approx(largest, rel=1e-9)
    assert found.boxes < 150


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_constant_needs_no_search(axes, level):
    found = supremum(np.full([5] * axes, level))
    assert found.boxes == 1
    assert found.lower <= level <= found.upper
    assert found.upper - found.lower <= 1e-9


def test_the_largest_value_at_a_corner():
    found = supremum(np.add.outer(np.arange(5), np.arange(4)[::-1]) / 14)
    assert (found.at, found.boxes) == ((1.0, 0.0), 1)
    assert found.upper == pytest.approx(0.5)


def test_two_maxima_are_told_apart():
    """The highest coefficient is not where the maximum is: a search from it alone would end in the lower one."""
    numbers = np.zeros(61)
    numbers[5], numbers[40:44] = 1.0, 0.5
    found = supremum(numbers)
    p = np.linspace(0, 1, 20_001)
    best = value(numbers, p)
    assert found.at[0] == pytest.approx(p[best.argmax()], abs=1e-4)
    assert found.lower == pytest.approx(best.max(), abs=1e-7)
    assert found.upper <= found.lower + WIDTH


# ----------------------------------------------------------------------------------------------- grids


@given(tensors, st.sampled_from([1e-2, 1e-4, 1e-6]))
@EXAMPLES
def test_no_value_is_above_the_bound(numbers, width):
    found = supremum(numbers, width)
    values = value(numbers, grid(numbers.ndim, {1: 501, 2: 41, 3: 13}[numbers.ndim]))
    assert values.max() <= found.upper + ROUNDING
    assert 0 <= found.lower <= found.upper <= 1
    assert found.upper - found.lower <= width
    assert value(numbers, np.array(found.at)) == pytest.approx(found.lower, rel=2e-10, abs=1e-29)


@given(
    st.one_of(
        arrays.arrays(float, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=chances),
        arrays.arrays(float, st.tuples(*[st.integers(1, 6)] * 3), elements=chances),
    ),
    st.sampled_from([0.0, 0.1, 0.5, 0.93, 1.0, 2.0, -0.1, -0.5, -0.93]),
    st.data(),
)
@EXAMPLES
def test_under_a_condition_no_value_inside_is_above_the_bound(numbers, margin, data):
    i, j = data.draw(st.permutations(range(numbers.ndim)))[:2]
    found = supremum(numbers, 1e-3, below=(i, j), margin=margin)
    points = grid(numbers.ndim, {2: 61, 3: 16}[numbers.ndim]).copy()
    points[:, i] *= np.minimum(points[:, j] + margin, 1.0)
    inside = points[(points[:, i] >= 0) & (points[:, j] + margin >= 0)]
    values = value(numbers, inside)
    assert values.max() <= found.upper + ROUNDING
    assert found.upper - found.lower <= 1e-3
    assert value(numbers, np.array(found.at)) == pytest.approx(found.lower, rel=2e-10, abs=1e-29)
    assert found.at[i] <= found.at[j] + margin + 1e-15
    assert all(0 <= rate <= 1 for rate in found.at)


@given(arrays.arrays(float, st.tuples(*[st.integers(1, 6)] * 3), elements=chances), st.permutations(range(3)))
@EXAMPLES
def test_two_conditions_at_once(numbers, order):
    a, b, c = order
    points = grid(3, 13)
    values = value(numbers, points)
    for below, inside in (
        (((a, c), (b, c)), (points[:, a] <= points[:, c]) & (points[:, b] <= points[:, c])),
        (((a, b), (b, c)), (points[:, a] <= points[:, b]) & (points[:, b] <= points[:, c])),
    ):
        found = supremum(numbers, 1e-3, below=below)
        assert values[inside].max() <= found.upper + ROUNDING
        assert found.upper <= found.lower + 1e-3
        assert all(found.at[i] <= found.at[j] for i, j in below)


def test_a_slope_across_the_border_takes_few_boxes():
    """T = p_0 (1 - p_1): without the border 1 at a corner, with it 1/4 on the diagonal."""
    numbers = np.outer(np.arange(61), np.arange(61)[::-1]) / 3600
    assert supremum(numbers).upper == 1
    found = supremum(numbers, 1e-6, below=(0, 1))
    assert found.lower <= 0.25 <= found.upper <= found.lower + 1e-6
    assert found.at == pytest.approx((0.5, 0.5), abs=1e-6)
    assert found.boxes < 50
    shifted = supremum(numbers, 1e-6, below=(0, 1), margin=0.2)
    assert shifted.lower <= 0.36 <= shifted.upper <= shifted.lower + 1e-6
    assert shifted.at == pytest.approx((0.6, 0.4), abs=1e-6)
    shifted = supremum(numbers, 1e-6, below=(0, 1), margin=-0.2)
    assert shifted.lower <= 0.16 <= shifted.upper <= shifted.lower + 1e-6
    assert shifted.at == pytest.approx((0.4, 0.6), abs=1e-6)


@given(st.integers(0, 8), st.integers(0, 8), st.integers(0, 4), st.integers(0, 2**32 - 1))
@EXAMPLES
def test_the_change_of_variables_changes_the_variables_only(n, m, k, seed):
    rng = np.random.default_rng(seed)
    numbers = rng.random((n + 1, k + 1, m + 1))
    for margin in (0.0, 0.3, -0.3):
        for patch in bernstein._patches(numbers, ((0, 2),), margin):
            places = rng.random((20, 3))
            rates = np.array([patch.rates(place) for place in places])
            np.testing.assert_allclose(value(patch.coefficients, places), value(numbers, rates), rtol=1e-12)


# -------------------------------------------------------------------------------- an adaptive design


def thompson(patients: int, burn_in: int, floor: float, threshold: float) -> dict[int, np.ndarray]:
    """Weights of a claim, by patients on the control: states (successes on either arm), patient after patient.

    Arms alternate in the burn-in; then the experimental arm gets its probability of being better, within bounds.
    """
    node, weight = np.polynomial.legendre.leggauss(patients + 2)
    x, w = (1 + node) / 2, weight / 2

    def better(n_0: int, n_1: int) -> np.ndarray:
        cdf = [stats.beta.cdf(x, 1 + s, 1 + n_0 - s) for s in range(n_0 + 1)]
        density = [w * stats.beta.pdf(x, 1 + s, 1 + n_1 - s) for s in range(n_1 + 1)]
        return np.array(cdf) @ np.array(density).T

    layer = {0: np.ones((1, 1))}
    for t in range(patients):
        after: dict[int, np.ndarray] = {}
        for n_0, paths in layer.items():
            n_1 = t - n_0
            share = np.clip(better(n_0, n_1), floor, 1 - floor) if t >= burn_in else np.full(paths.shape, float(t % 2))
            for arm, moved in enumerate((paths * (1 - share), paths * share)):
                if moved.any():
                    n = n_0 + (arm == 0)
                    new = after.setdefault(n, np.zeros((n + 1, t + 2 - n)))
                    for success in (0, 1):
                        rows, columns = (success, 0) if arm == 0 else (0, success)
                        new[rows : rows + n_0 + 1, columns : columns + n_1 + 1] += moved
        layer = after
    return {n_0: paths * (better(n_0, patients - n_0) > threshold) for n_0, paths in layer.items()}


def test_the_worst_response_rate_of_thompson_sampling():
    """24 patients, floor 0.1, threshold 0.975: a type I error of 0.0260096, at a response rate of 0.839."""
    weights = thompson(24, 12, 0.1, 0.975)
    alike, apart = np.zeros(25), np.zeros((25, 25))
    for n_0, each in weights.items():
        for s_0 in range(n_0 + 1):
            alike[s_0 : s_0 + 25 - n_0] += each[s_0]
        apart += elevate(elevate(each, 24 - n_0, 0), n_0, 1)
    null = supremum(coefficients(alike), 1e-7)
    assert null.lower <= 0.0260095902 <= null.upper
    assert null.at[0] == pytest.approx(0.8393, abs=1e-4)
    composite = supremum(coefficients(apart), 1e-7, below=(1, 0))
    assert composite.lower == pytest.approx(null.lower, abs=1e-10)
    assert composite.at == pytest.approx([null.at[0]] * 2, abs=1e-5)
    assert composite.boxes < 100


# ------------------------------------------------------------------------------------ rounding outwards


@given(shapes, st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_halving_errs_by_less_than_the_roundings_that_are_counted(shape, seed):
    """Against de Casteljau's algorithm in rational numbers, after several halvings."""
    rng = np.random.default_rng(seed)
    numbers = rng.random(shape)
    box = bernstein._whole(bernstein.Patch(numbers, np.array, 0))
    low, high = np.zeros(len(shape)), np.ones(len(shape))
    for _ in range(4):
        box = bernstein._halved(box)[int(rng.integers(2))]
    low, high = box.low, box.low + box.size
    exact = np.vectorize(Fraction, otypes=[object])(numbers)
    for axis in range(len(shape)):
        exact = np.moveaxis(exact, axis, 0)
        exact = part(exact, Fraction(float(low[axis])), Fraction(float(high[axis])))
        exact = np.moveaxis(exact, 0, axis)
    for found, expected in zip(box.coefficients.ravel(), exact.ravel(), strict=True):
        assert abs(Fraction(float(found)) - expected) <= expected * Fraction(box.roundings, 2**53)


def part(row: np.ndarray, low: Fraction, high: Fraction) -> np.ndarray:
    """Coefficients on [low, high], by blossoming."""
    new = []
    for k in range(len(row)):
        left = row
        for level in range(len(row) - 1):
            p = high if level < k else low
            left = left[:-1] * (1 - p) + left[1:] * p
        new.append(left[0])
    return np.array(new, object)


@pytest.mark.parametrize(
    "powers", [((1, 2),), ((2, 5),), ((30, 31),), ((100, 77),), ((1, 2), (2, 1)), ((3, 8), (5, 2))]
)
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("error", [0.0, 1e-10, 1e-3])
def test_the_bounds_hold_in_rational_numbers(powers, sign, error):
    """Of a monomial whose weight is as wrong as was admitted, in either direction."""
    numbers = np.zeros([a + b + 1 for a, b in powers])
    numbers[tuple(a for a, _ in powers)] = float(Fraction(3, 4) * (1 + sign * Fraction(error) * Fraction(999, 1000)))
    found = supremum(numbers, 1e-9 + 3 * error, relative_error=error + 3e-16)
    assert Fraction(found.lower) <= Fraction(3, 4) * peak(powers) <= Fraction(found.upper)


@given(arrays.arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=chances), st.booleans())
@settings(max_examples=10, deadline=None)
def test_the_lower_bound_is_attained_in_rational_numbers(numbers, ordered):
    weights = numbers * binomials(numbers.shape).reshape(numbers.shape)
    found = supremum(numbers, below=(0, 1) if ordered else None, relative_error=1e-15)
    p = tuple(Fraction(rate) for rate in found.at)
    assert Fraction(found.lower) <= exactly(weights, p) * (1 + Fraction(1, 10**15))
    for shift in (Fraction(0), Fraction(1, 1000), Fraction(-1, 1000)):
        q = tuple(min(max(rate + shift, Fraction(0)), Fraction(1)) for rate in p)
        assert exactly(weights, q) <= Fraction(found.upper) * (1 + Fraction(1, 10**14))


def test_the_bound_of_a_certain_event_is_1():
    found = supremum(np.ones((4, 4)) * (1 + 1e-10))
    assert found.upper == 1
    assert 1 - 1e-9 < found.lower <= 1


# --------------------------------------------------------------------------------------------- refusals


def test_a_search_that_is_cut_short_says_so():
    numbers = np.random.default_rng(3).random((31, 31))
    whole, short = supremum(numbers, 1e-6), supremum(numbers, 1e-6, most_boxes=5)
    assert short.boxes <= 6
    assert short.upper - short.lower > 1e-6
    assert short.upper >= whole.upper
    assert supremum(numbers, 1e-300, most_boxes=500).upper >= whole.lower


@pytest.mark.parametrize(
    ("numbers", "changes"),
    [
        ([-0.1, 0.2], {}),
        ([np.nan, 0.2], {}),
        ([np.inf, 0.2], {}),
        ([3.0, 0.2], {}),
        (0.3, {}),
        ([], {}),
        (np.zeros((2, 0)), {}),
        (np.zeros(2000), {}),
        ([0.1, 0.2], {"width": 0}),
        ([0.1, 0.2], {"relative_error": -1e-9}),
        ([0.1, 0.2], {"relative_error": 0.7}),
        ([0.1, 0.2], {"below": (0, 1)}),
        (np.zeros((2, 2)), {"below": (1, 1)}),
        (np.zeros((2, 2)), {"below": (0, 1), "margin": -1}),
        (np.zeros((2, 2, 2)), {"below": ((0, 1), (0, 2))}),
        (np.zeros((2, 2, 2)), {"below": ((0, 1), (2, 0))}),
        (np.zeros((2, 2, 2)), {"below": ((0, 1), (2, 1)), "margin": 0.1}),
        (np.zeros((600, 600)), {"below": (0, 1)}),
    ],
)
def test_what_cannot_be_is_refused(numbers, changes):
    with pytest.raises(ValueError):
        supremum(np.array(numbers), **changes)


def test_other_refusals():
    with pytest.raises(ValueError):
        elevate(np.array([0.1, 0.2]), -1, 0)
    with pytest.raises(ValueError):
        elevate(np.array([-0.1, 0.2]), 1, 0)
    with pytest.raises(ValueError):
        coefficients(np.array([-0.1, 0.2]))
    with pytest.raises(ValueError):
        value(np.zeros((2, 2)), [0.1, 0.2, 0.3])
    with pytest.raises(ValueError):
        value(np.zeros(2), 1.1)
