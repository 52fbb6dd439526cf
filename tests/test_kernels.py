"""Each kernel against its plain numpy twin: equality for assignments, 1e-12 for sums."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sps_adaptive import kernels

SIZES = {"replicates": st.integers(0, 4), "patients": st.integers(0, 9), "arms": st.integers(1, 4)}
ALMOST_ONE = 1 - 2.0**-53


# ------------------------------------------------------------------------------------------ the twins


def deal_twin(arm, cumulative, position, start):
    later = np.arange(arm.shape[1]) >= start[:, None]
    dealt = (position[:, :, None] >= cumulative[:, None, :-1]).sum(axis=2)
    return np.where(later, dealt, arm)


def spread_twin(u_arm, u_block, start, block):
    replicates, patients = u_arm.shape
    position = np.zeros(u_arm.shape)
    for r in range(replicates):
        for first in range(start[r], patients, block):
            members = range(first, min(first + block, patients))
            free = list(range(len(members)))
            for n in members:  # by the patient's own uniform, one of the places that are left
                place = free.pop(int(u_arm[r, n] * len(free)))
                position[r, n] = min((place + u_block[r, first]) / len(members), ALMOST_ONE)
    return position


def cut_twin(day, enrolled_at, dropout_at, arm, value, known_at, last_enrolled, arms):
    number = np.arange(arm.shape[1])
    enrolled = (enrolled_at <= day[:, None]) & (number < last_enrolled[:, None])
    known = enrolled[:, :, None] & (known_at <= day[:, None, None])
    done = known[:, :, -1]
    on = arm[:, :, None] == np.arange(arms)
    pending = (on & (enrolled & ~done & (dropout_at > day[:, None]))[:, :, None]).sum(axis=1)
    enrolled_on, done_on = on & enrolled[:, :, None], on & done[:, :, None]
    total = np.where(done_on, value[:, :, -1:], 0.0).sum(axis=1)
    seen = np.where(known, value, np.nan)
    return np.where(enrolled, arm, -1), known, seen, pending, enrolled_on.sum(axis=1), done_on.sum(axis=1), total


def last_settled_twin(known_at, dropout_at, last_enrolled):
    settled = np.where(np.isinf(known_at[:, :, -1]), dropout_at, known_at[:, :, -1])
    counts = np.arange(settled.shape[1]) < last_enrolled[:, None]
    return np.where(counts, settled, -np.inf).max(axis=1, initial=-np.inf)


def exact_products(x, y):
    """Count, means and centred sums in exact arithmetic, rounded once."""
    if not len(x):
        return 0, 0.0, 0.0, 0.0, 0.0, 0.0
    x, y, n = [Fraction(v) for v in x], [Fraction(v) for v in y], len(x)
    mx, my = sum(x) / n, sum(y) / n
    xx = sum((a - mx) ** 2 for a in x)
    xy = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    yy = sum((b - my) ** 2 for b in y)
    return n, float(mx), float(my), float(xx), float(xy), float(yy)


def zeros(replicates, arms):
    return tuple(np.zeros((replicates, arms)) for _ in range(6))


# -------------------------------------------------------------------------------------------- drawing


@st.composite
def tables(draw):
    """Small batches with many ties: numbers come from a short list as often as not."""
    replicates, patients, arms = (draw(SIZES[name]) for name in ("replicates", "patients", "arms"))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    coarse = draw(st.booleans())

    def uniform(*shape):
        return rng.integers(0, 4, shape) / 4 if coarse else rng.random(shape)

    return rng, replicates, patients, arms, uniform


def probabilities(rng, uniform, replicates, arms):
    weight = uniform(replicates, arms)
    weight[np.arange(replicates), rng.integers(0, arms, replicates)] += 0.1  # somebody is open
    return weight / weight.sum(axis=1, keepdims=True)


@given(tables())
def test_deal_repeats_its_twin(drawn):
    rng, replicates, patients, arms, uniform = drawn
    cumulative = np.cumsum(probabilities(rng, uniform, replicates, arms), axis=1)
    position = uniform(replicates, patients)
    arm = rng.integers(0, arms, (replicates, patients))
    start = rng.integers(0, patients + 1, replicates)
    expected = deal_twin(arm, cumulative, position, start)
    kernels.deal(arm, cumulative, position, start)
    np.testing.assert_array_equal(arm, expected)


def test_deal_takes_a_position_on_a_corner_to_the_next_arm():
    arm = np.full((1, 4), -1)
    kernels.deal(arm, np.array([[0.25, 0.5, 1.0]]), np.array([[0.0, 0.25, 0.5, ALMOST_ONE]]), np.array([0]))
    assert arm.tolist() == [[0, 1, 2, 2]]


@pytest.mark.parametrize("only", range(4))
def test_deal_with_everything_closed_but_one(only):
    probability = np.eye(4)[[only]]
    position = np.array([[0.0, 0.5, ALMOST_ONE]])
    arm = np.full((1, 3), -1)
    kernels.deal(arm, np.cumsum(probability, axis=1), position, np.array([0]))
    assert (arm == only).all()


def test_deal_leaves_those_before_the_start_alone():
    arm = np.array([[7, 7, 7], [7, 7, 7]])
    kernels.deal(arm, np.ones((2, 1)), np.zeros((2, 3)), np.array([1, 3]))
    assert arm.tolist() == [[7, 0, 0], [7, 7, 7]]


@given(tables(), st.integers(1, 12))
def test_spread_repeats_its_twin(drawn, block):
    rng, replicates, patients, _, uniform = drawn
    u_arm, u_block = uniform(replicates, patients), uniform(replicates, patients)
    start = rng.integers(0, patients + 1, replicates)
    position = np.zeros((replicates, patients))
    kernels.spread(position, u_arm, u_block, start, block)
    np.testing.assert_array_equal(position, spread_twin(u_arm, u_block, start, block))


@given(st.integers(1, 40), st.sampled_from([0.0, 2.0**-53, 0.5, ALMOST_ONE]))
def test_spread_places_one_patient_in_each_part_of_the_block_and_nobody_at_one(size, u):
    position = np.zeros((1, size))
    u_arm = np.random.default_rng(size).random((1, size))
    kernels.spread(position, u_arm, np.full((1, size), u), np.array([0]), size)
    assert position.max() < 1
    np.testing.assert_allclose(np.sort(position[0]), (np.arange(size) + u) / size, rtol=0, atol=1e-15)


def test_spread_takes_the_luck_of_the_first_patient_of_each_block():
    position = np.zeros((1, 5))
    u_block = np.array([[0.9, 0.5, 0.9, 0.25, 0.9]])
    kernels.spread(position, np.zeros((1, 5)), u_block, np.array([1]), 2)  # blocks: 1-2 and 3-4
    np.testing.assert_array_equal(position, [[0.0, 0.25, 0.75, 0.125, 0.625]])


@given(tables(), st.integers(1, 3))
def test_pick_repeats_its_twin(drawn, visits):
    rng, replicates, patients, arms, uniform = drawn
    by_arm = uniform(replicates, patients, arms, visits)
    arm = rng.integers(0, arms, (replicates, patients))
    picked = np.empty((replicates, patients, visits))
    kernels.pick(by_arm, arm, picked)
    np.testing.assert_array_equal(picked, np.take_along_axis(by_arm, arm[:, :, None, None], axis=2)[:, :, 0])


@given(tables(), st.integers(1, 2), st.booleans())
def test_cut_repeats_its_twin(drawn, visits, yes_or_no):
    rng, replicates, patients, arms, uniform = drawn
    day = rng.choice([-np.inf, 0.0, 1.0, 2.5, np.inf], replicates)
    enrolled_at = np.sort(4 * uniform(replicates, patients), axis=1)
    dropout_at = np.where(uniform(replicates, patients) < 0.5, np.inf, enrolled_at + 2 * uniform(replicates, patients))
    known_at = enrolled_at[:, :, None] + np.cumsum(uniform(replicates, patients, visits), axis=2)
    known_at = np.where(known_at <= dropout_at[:, :, None], known_at, np.inf)
    value, arm = uniform(replicates, patients, visits), rng.integers(0, arms, (replicates, patients))
    last_enrolled = rng.integers(0, patients + 1, replicates)
    if yes_or_no:
        value = value < 0.5
    seen_arm, known, seen = np.full(arm.shape, -1), np.zeros(value.shape, bool), np.full(value.shape, np.nan)
    pending, enrolled, done = np.zeros((3, replicates, arms), np.int64)
    total = np.zeros((replicates, arms))
    kernels.cut(
        day, enrolled_at, dropout_at, arm, value, known_at, last_enrolled,
        seen_arm, known, seen, pending, enrolled, done, total,
    )  # fmt: skip
    *exact, sums = cut_twin(day, enrolled_at, dropout_at, arm, value, known_at, last_enrolled, arms)
    for found, right in zip((seen_arm, known, seen, pending, enrolled, done), exact, strict=True):
        np.testing.assert_array_equal(found, right)
    np.testing.assert_allclose(total, sums, rtol=1e-12, atol=1e-12)


@given(tables(), st.integers(1, 2))
def test_last_settled_repeats_its_twin(drawn, visits):
    rng, replicates, patients, _, uniform = drawn
    known_at = np.where(uniform(replicates, patients, visits) < 0.4, np.inf, uniform(replicates, patients, visits))
    dropout_at = np.where(np.isinf(known_at[:, :, -1]), uniform(replicates, patients), np.inf)
    last_enrolled = rng.integers(0, patients + 1, replicates)
    day = np.full(replicates, -np.inf)
    kernels.last_settled(known_at, dropout_at, last_enrolled, day)
    np.testing.assert_array_equal(day, last_settled_twin(known_at, dropout_at, last_enrolled))


@given(tables(), st.sampled_from([0.0, 1e3]))
def test_arm_products_repeats_its_twin(drawn, offset):
    rng, replicates, patients, arms, _ = drawn
    arm = rng.integers(0, arms, (replicates, patients))
    known = rng.random(arm.shape) < 0.7
    x = np.where(known, offset + rng.normal(size=arm.shape), np.nan)
    y = np.where(known, rng.normal(size=arm.shape) - offset, np.nan)
    sums = zeros(replicates, arms)
    kernels.arm_products(arm, known, x, y, *sums)
    for r in range(replicates):
        for a in range(arms):
            here = known[r] & (arm[r] == a)
            exact = exact_products(x[r, here], y[r, here])
            # Rounding of a centred sum is relative to the deviations and, once, to the size of the numbers.
            atol = 1e-12 * (1 + offset)
            np.testing.assert_allclose([part[r, a] for part in sums], exact, rtol=1e-12, atol=atol)


def test_arm_products_keep_a_small_spread_on_a_large_mean():
    rng = np.random.default_rng(1)
    x, y = 1e8 + rng.normal(size=(1, 200)), 1e8 + rng.normal(size=(1, 200))
    sums = zeros(1, 1)
    kernels.arm_products(np.zeros((1, 200), np.int64), np.ones((1, 200), bool), x, y, *sums)
    exact = exact_products(x[0], y[0])
    # A running mean near 1e8 is rounded to 1e-8 at each of 200 steps; a textbook sum of squares would lose everything:
    # 200 * 1e16 is known to about 256.
    np.testing.assert_allclose([part[0, 0] for part in sums], exact, rtol=1e-12, atol=200 * 1.5e-8)


def test_one_patient_has_a_mean_and_no_spread():
    sums = zeros(1, 2)
    kernels.arm_products(np.array([[1]]), np.array([[True]]), np.array([[3.5]]), np.array([[-2.0]]), *sums)
    assert [part[0].tolist() for part in sums] == [[0, 1], [0, 3.5], [0, -2.0], [0, 0], [0, 0], [0, 0]]


@pytest.mark.parametrize("replicates, patients", [(0, 5), (3, 0)])
def test_nothing_comes_of_nothing(replicates, patients):
    arm, known = np.zeros((replicates, patients), np.int64), np.zeros((replicates, patients), bool)
    value, start = np.zeros((replicates, patients)), np.zeros(replicates, np.int64)
    kernels.deal(arm, np.ones((replicates, 2)), value, start)
    kernels.spread(value, value.copy(), value.copy(), start, 4)
    kernels.pick(value[:, :, None, None], arm, value[:, :, None].copy())
    day = np.full(replicates, -np.inf)
    kernels.last_settled(value[:, :, None], value, np.full(replicates, patients), day)
    assert np.isneginf(day).all()
    sums = zeros(replicates, 2)
    kernels.arm_products(arm, known, value, value, *sums)
    assert not any(part.any() for part in sums)


def test_the_layout_of_the_arrays_in_memory_does_not_matter():
    rng = np.random.default_rng(2)
    value, known = rng.random((3, 8, 2)), rng.random((3, 8, 2)) < 0.5
    arm = rng.integers(0, 2, (3, 8))
    answers = []
    for layout in (np.ascontiguousarray, np.asfortranarray, lambda part: part):
        sums = zeros(3, 2)
        kernels.arm_products(arm, layout(known[..., -1]), layout(value[..., 0]), layout(value[..., -1]), *sums)
        answers.append([part.tolist() for part in sums])
    assert answers[0] == answers[1] == answers[2]
