"""Dealing arms, picking outcomes, cutting at a day."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sps_adaptive.contracts import Outcome, Potential
from sps_adaptive.schedules import Enrolled
from sps_adaptive.timeline import (
    closed,
    cumulative,
    cut,
    deal,
    enrolment_ends,
    last_day,
    n_enrolled_by,
    next_look,
    pick,
    positions,
    postponed,
    undisturbed,
)
from tests.contracts.fakes import a_cohort, copied, same

ALMOST_ONE = 1 - 2.0**-53
BLOCKS = 100_000


def blocks(size, number=BLOCKS, seed=1):
    """A cohort of `size` patients in each of `number` replicates: one block each."""
    rng = np.random.default_rng(seed)
    return a_cohort(
        np.tile(np.arange(1.0, size + 1), (number, 1)),
        u_arm=rng.random((number, size)),
        u_block=rng.random((number, size)),
    )


def everyone(replicates):
    return np.zeros(replicates, np.int64)


# --------------------------------------------------------------------------------- the inverse cdf


def test_three_thirds_reach_exactly_one():
    total = cumulative(np.full((1, 3), 1 / 3))
    assert total[0, -1] == 1
    np.testing.assert_allclose(total, [[1 / 3, 2 / 3, 1]])


@pytest.mark.parametrize(
    "probability, last_open",
    [
        ([1 / 3, 1 / 3, 1 / 3, 0.0], 2),
        ([1 / 3, 0.0, 1 / 3, 1 / 3], 3),
        ([0.1] * 10 + [0.0], 9),  # the running sum of ten tenths falls short of 1
        ([0.7, 0.2, 0.1, 0.0, 0.0], 2),
        ([1.0, 0.0], 0),
        ([0.0, 1.0], 1),
        ([0.0, 1.0, 0.0], 1),
        ([0.3 - 1e-16, 0.7 - 1e-16, 0.0], 1),  # sums to a little less than 1
        ([0.3 + 1e-16, 0.7 + 1e-16, 0.0], 1),
    ],
)
def test_the_largest_uniform_gets_the_last_open_arm(probability, last_open):
    arm = deal(np.full((1, 1), -1), np.array([probability]), np.array([[ALMOST_ONE]]), everyone(1))
    assert arm.tolist() == [[last_open]]


@given(
    st.lists(st.floats(0, 1).map(lambda w: w if w > 1e-6 else 0.0), min_size=2, max_size=6).filter(any),
    st.lists(st.floats(0, ALMOST_ONE), min_size=1, max_size=5),
)
def test_nobody_is_ever_dealt_a_closed_arm(weights, u):
    probability = np.array([weights]) / np.sum(weights)
    position = np.array([[0.0, *u, np.nextafter(ALMOST_ONE, 0), ALMOST_ONE]])
    arm = deal(np.zeros(position.shape, np.int64), probability, position, everyone(1))
    assert (probability[0, arm[0]] > 0).all()


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6))
def test_running_sums_do_not_decrease_and_stay_within_rounding_of_the_plain_ones(weights):
    probability = np.array([weights]) / np.sum(weights)
    total = cumulative(probability)
    assert (np.diff(total, axis=1) >= -1e-15).all()
    np.testing.assert_allclose(total, np.cumsum(probability, axis=1), rtol=0, atol=1e-14)


def test_deal_leaves_its_inputs_and_those_already_enrolled_alone():
    arm, probability = np.array([[1, 1, 1, 1]]), np.array([[1.0, 0.0]])
    position, start = np.full((1, 4), 0.5), np.array([2])
    given_ = copied((arm, probability, position, start))
    assert deal(arm, probability, position, start).tolist() == [[1, 1, 0, 0]]
    assert same((arm, probability, position, start), given_)


# ----------------------------------------------------------------------------------- randomisation


def test_independent_draws_are_the_patients_own_uniforms():
    cohort = blocks(7, number=3)
    assert positions(cohort, np.array([0, 3, 7]), 0) is cohort.u_arm


QUOTAS = [
    ([0.1, 0.35, 0.55], 6),
    ([1 / 3, 1 / 3, 1 / 3], 7),
    ([0.33, 0.52, 0.15], 6),
    ([0.45, 0.0, 0.55], 5),
    ([0.2, 0.8], 1),
    ([0.2512, 0.2488, 0.25, 0.25], 8),
]


@pytest.mark.parametrize("probability, size", QUOTAS)
def test_each_block_holds_a_quota_and_is_right_on_average(probability, size):
    """Counts are floor or ceiling of b p; their mean is b p within 4 Monte Carlo SEs of a rounded number."""
    cohort, p = blocks(size), np.array(probability)
    place = positions(cohort, everyone(BLOCKS), size)
    arm = deal(np.zeros(place.shape, np.int64), np.tile(p, (BLOCKS, 1)), place, everyone(BLOCKS))
    for a, wanted in enumerate(size * p):
        count = (arm == a).sum(axis=1)
        low = np.floor(wanted + 1e-9)
        assert ((count == low) | (count == np.ceil(wanted - 1e-9))).all()
        rest = abs(wanted - low)
        assert abs(count.mean() - wanted) <= 4 * np.sqrt(rest * (1 - rest) / BLOCKS) + 1e-9
        # ... and so at every place of the block, not only in total.
        se = np.sqrt(p[a] * (1 - p[a]) / BLOCKS)
        assert (abs((arm == a).mean(axis=0) - p[a]) <= 4 * se).all()


@pytest.mark.parametrize(
    "probability, size", [([0.5, 0.5], 4), ([0.25, 0.5, 0.25], 8), ([1 / 3] * 3, 6), ([0.2] * 5, 10)]
)
def test_whole_quotas_are_permuted_blocks_in_every_order_alike(probability, size):
    p, number = np.array(probability), 20_000
    cohort = blocks(3 * size, number)
    place = positions(cohort, everyone(number), size)
    arm = deal(np.zeros(place.shape, np.int64), np.tile(p, (number, 1)), place, everyone(number))
    for block in np.split(arm, 3, axis=1):
        for a, wanted in enumerate(size * p):
            assert ((block == a).sum(axis=1) == round(wanted)).all()
    # The pair at two places of a permuted block: P(both on arm a) = p (b p - 1) / (b - 1); 4 SEs.
    both = ((arm[:, 0] == 0) & (arm[:, size - 1] == 0)).mean()
    expected = p[0] * (size * p[0] - 1) / (size - 1)
    assert abs(both - expected) < 4 * np.sqrt(expected * (1 - expected) / number)
    # Blocks know nothing of each other.
    assert abs(np.corrcoef(arm[:, 0] == 0, arm[:, size] == 0)[0, 1]) < 4 / np.sqrt(number)


@pytest.mark.parametrize("size", [1, 2, 6, 7])
def test_the_position_of_every_patient_of_a_block_is_uniform(size):
    """Kolmogorov-Smirnov at the level 0.001 and the first two moments within 4 SEs, at every place."""
    place = positions(blocks(size), everyone(BLOCKS), size)
    for n in range(size):
        assert stats.kstest(place[:, n], "uniform").pvalue > 0.001
        assert abs(place[:, n].mean() - 1 / 2) < 4 * np.sqrt(1 / 12 / BLOCKS)
        assert abs((place[:, n] ** 2).mean() - 1 / 3) < 4 * np.sqrt(4 / 45 / BLOCKS)
    np.testing.assert_array_equal(np.sort((place * size).astype(int), axis=1), np.tile(np.arange(size), (BLOCKS, 1)))


def test_the_last_block_is_as_long_as_patients_remain():
    place = positions(blocks(8, number=500), everyone(500), 6)
    np.testing.assert_array_equal(np.sort((place[:, 6:] * 2).astype(int), axis=1), np.tile([0, 1], (500, 1)))


def test_after_a_look_a_new_block_begins_in_each_replicate():
    number = 500
    cohort, start = blocks(12, number), np.arange(number) % 7
    place = positions(cohort, start, 6)
    for r in range(number):
        block = place[r, start[r] : start[r] + 6]
        np.testing.assert_array_equal(np.sort((block * 6).astype(int)), np.arange(len(block)) * 6 // len(block))


@pytest.mark.parametrize("enrolled", [1, 3, 5, 6])
def test_after_a_look_chance_does_not_remember_the_block_that_was_cut_short(enrolled):
    """A new list: given what the patients before the look were dealt, the next ones get each arm with its probability.

    Otherwise the probability that a patient after the look gets an arm is not the one that the rule states.
    4 Monte Carlo SEs of a proportion, among the replicates with the same number on arm 0 before the look.
    """
    cohort, half = blocks(12), np.full((BLOCKS, 2), 0.5)
    arm = deal(np.zeros((BLOCKS, 12), np.int64), half, positions(cohort, everyone(BLOCKS), 6), everyone(BLOCKS))
    start, new = np.full(BLOCKS, enrolled), np.tile([0.8, 0.2], (BLOCKS, 1))
    after = deal(arm, new, positions(cohort, start, 6), start)
    before = (arm[:, :enrolled] == 0).sum(axis=1)
    for on_arm_0 in np.unique(before):
        these = after[before == on_arm_0, enrolled]
        assert abs((these == 0).mean() - 0.8) < 4 * np.sqrt(0.8 * 0.2 / len(these)), (on_arm_0, len(these))


def test_positions_do_not_touch_the_cohort():
    cohort = blocks(9, number=4)
    before = copied(cohort)
    positions(cohort, np.array([0, 1, 5, 9]), 4)
    assert same(cohort, before)


# ----------------------------------------------------------------------------------------- picking


def test_pick_takes_the_entry_of_the_arm_of_each_patient():
    value = np.arange(2 * 3 * 2).reshape(2, 3, 2, 1).astype(float)
    picked = pick(Potential(value, value + 100), np.array([[0, 1, 0], [1, 1, 0]]))
    assert picked.value[..., 0].tolist() == [[0, 3, 4], [7, 9, 10]]
    np.testing.assert_array_equal(picked.known_at, picked.value + 100)


def test_pick_where_the_arm_does_not_matter():
    known_at = np.arange(6.0).reshape(2, 3, 1, 1)
    picked = pick(Potential(np.zeros((2, 3, 2, 1)), known_at), np.array([[0, 1, 0], [1, 1, 0]]))
    np.testing.assert_array_equal(picked.known_at, known_at[:, :, 0])


# ----------------------------------------------------------------------------------------- cutting


def five_patients():
    """Enrolled on days 1, 2, 3, 4, 5 and due ten days later; the second and the fourth drop out on days 6 and 14."""
    cohort = a_cohort([1, 2, 3, 4, 5], dropout_at=[[np.inf, 6, np.inf, 14, np.inf]])
    known_at = np.array([[[11], [np.inf], [13], [14], [15]]])
    return cohort, np.array([[0, 1, 0, 1, 1]]), Outcome(np.array([[[0.1], [0.2], [0.3], [0.4], [0.5]]]), known_at)


@pytest.mark.parametrize(
    "day, enrolled, known, pending",
    [
        (0, 0, 0, 0),
        (0.999, 0, 0, 0),
        (1, 1, 0, 1),  # enrolled on the day itself
        (4, 4, 0, 4),
        (5.5, 5, 0, 5),
        (6, 5, 0, 4),  # dropped out on the day itself: pending no more
        (10.999, 5, 0, 4),
        (11, 5, 1, 3),  # assessed on the day itself
        (13.5, 5, 2, 2),
        (14, 5, 3, 1),  # assessed and gone on the same day: known
        (15, 5, 4, 0),
        (1e9, 5, 4, 0),
        (-np.inf, 0, 0, 0),
    ],
)
def test_what_happens_on_the_day_itself_is_seen(day, enrolled, known, pending):
    cohort, arm, outcome = five_patients()
    snapshot = cut(np.array([day], float), cohort, arm, outcome, 2)
    counts = (snapshot.n_enrolled, snapshot.n_known, snapshot.n_pending)
    assert [count.tolist() for count in counts] == [[enrolled], [known], [pending]]
    assert (snapshot.arm[0] >= 0).sum() == enrolled
    np.testing.assert_array_equal(snapshot.arm[0, :enrolled], arm[0, :enrolled])
    assert snapshot.known.sum() == known
    np.testing.assert_array_equal(np.isnan(snapshot.value), ~snapshot.known)
    np.testing.assert_array_equal(snapshot.value[snapshot.known], outcome.value[snapshot.known])
    assert snapshot.n_arms == 2
    on = [snapshot.arm[0] == a for a in range(2)]
    assert snapshot.arm_enrolled.tolist() == [[part.sum() for part in on]]
    assert snapshot.arm_known.tolist() == [[snapshot.known[0, part].sum() for part in on]]
    np.testing.assert_allclose(snapshot.arm_total[0], [np.nansum(snapshot.value[0, part]) for part in on], atol=1e-15)


def test_patients_after_the_end_of_enrolment_do_not_exist():
    cohort, arm, outcome = five_patients()
    snapshot = cut(np.array([99.0]), cohort, arm, outcome, 2, np.array([3]))
    assert snapshot.arm.tolist() == [[0, 1, 0, -1, -1]]
    assert (snapshot.n_enrolled[0], snapshot.n_known[0], snapshot.n_pending[0]) == (3, 2, 0)
    nobody = cut(np.array([99.0]), cohort, arm, outcome, 2, np.array([0]))
    assert (nobody.arm == -1).all() and not nobody.known.any() and np.isnan(nobody.value).all()


def test_of_several_visits_the_last_decides_whether_a_patient_is_known():
    cohort = a_cohort([0, 0, 0])
    known_at = np.array([[[1, 5], [1, 2], [3, 9]]], float)
    snapshot = cut(np.array([2.0]), cohort, np.zeros((1, 3), np.int64), Outcome(known_at * 10, known_at), 1)
    assert snapshot.known[0].tolist() == [[True, False], [True, True], [False, False]]
    assert (snapshot.n_known[0], snapshot.n_pending[0]) == (1, 2)
    np.testing.assert_array_equal(snapshot.value[0], [[10, np.nan], [10, 20], [np.nan, np.nan]])


@given(st.integers(0, 2**32 - 1), st.floats(0, 12))
def test_nothing_of_the_future_leaks(seed, day):
    """Two worlds that agree up to a day look the same on that day."""
    rng = np.random.default_rng(seed)
    shape = (3, 10)
    enrolled_at = np.sort(rng.uniform(0, 10, shape), axis=1)
    dropout_at = enrolled_at + rng.exponential(6, shape)
    due = enrolled_at + rng.uniform(1, 4, shape)
    known_at = np.where(due <= dropout_at, due, np.inf)
    value, arm = rng.normal(size=shape), rng.integers(0, 3, shape)
    one = a_cohort(enrolled_at, dropout_at=dropout_at), arm, Outcome(value[..., None], known_at[..., None])

    later = enrolled_at > day
    other_enrolled = np.where(later, day + np.sort(rng.uniform(1e-6, 50, shape), axis=1), enrolled_at)
    other_dropout = np.where(dropout_at > day, day + rng.exponential(5, shape) + 1e-6, dropout_at)
    still_out = known_at > day
    other_known = np.where(still_out, day + rng.choice([1e-6, 3.0, np.inf], shape), known_at)
    other_value = np.where(still_out, rng.choice([np.nan, np.inf, 99.0], shape), value)
    other_arm = np.where(later, rng.integers(0, 3, shape), arm)
    other = (
        a_cohort(other_enrolled, dropout_at=other_dropout),
        other_arm,
        Outcome(other_value[..., None], other_known[..., None]),
    )
    assert same(cut(np.full(3, day), *one, 3), cut(np.full(3, day), *other, 3))


def test_cut_does_not_touch_its_inputs():
    cohort, arm, outcome = five_patients()
    before = copied((cohort, arm, outcome))
    cut(np.array([12.0]), cohort, arm, outcome, 2, np.array([4]))
    assert same((cohort, arm, outcome), before)


# ------------------------------------------------------------------------------------- dates


def test_those_enrolled_on_a_day_count_as_enrolled_by_it():
    cohort = a_cohort([[1, 2, 2, 3], [2, 2, 2, 2]])
    assert n_enrolled_by(np.array([2.0, 1.9]), cohort).tolist() == [3, 0]
    assert n_enrolled_by(np.array([np.inf, -np.inf]), cohort).tolist() == [4, 0]


def test_the_last_day_waits_for_assessments_and_for_dropouts_but_not_for_those_who_leave_after_it():
    cohort, _, outcome = five_patients()
    assert last_day(cohort, outcome, np.array([5])).tolist() == [15]
    assert last_day(cohort, outcome, np.array([2])).tolist() == [11]
    early = outcome._replace(known_at=np.where(outcome.known_at == 11, 5.0, outcome.known_at))
    assert last_day(cohort, early, np.array([2])).tolist() == [6]
    late_leaver = cohort._replace(dropout_at=np.array([[500.0, 6, np.inf, 14, np.inf]]))
    assert last_day(late_leaver, outcome, np.array([5])).tolist() == [15]


def test_the_last_day_when_everybody_drops_out_and_when_nobody_came():
    cohort, _, outcome = five_patients()
    gone = cohort._replace(dropout_at=np.array([[7.0, 6, 9, 4, 5]]))
    lost = outcome._replace(known_at=np.full((1, 5, 1), np.inf))
    assert last_day(gone, lost, np.array([5])).tolist() == [9]
    assert last_day(gone, lost, np.array([0])).tolist() == [-np.inf]


@given(st.integers(0, 2**32 - 1))
def test_on_the_last_day_nobody_is_pending_and_a_moment_before_somebody_is(seed):
    rng = np.random.default_rng(seed)
    shape = (4, 6)
    enrolled_at = np.sort(rng.uniform(0, 10, shape), axis=1)
    dropout_at = enrolled_at + rng.exponential(4, shape)
    due = enrolled_at + rng.uniform(0.5, 4, shape)
    outcome = Outcome(np.zeros((*shape, 1)), np.where(due <= dropout_at, due, np.inf)[..., None])
    cohort, arm = a_cohort(enrolled_at, dropout_at=dropout_at), np.zeros(shape, np.int64)
    last = last_day(cohort, outcome, np.full(4, 6))
    after = cut(last, cohort, arm, outcome, 1)
    assert (after.n_enrolled == 6).all() and not after.n_pending.any()
    before = cut(np.nextafter(last, 0), cohort, arm, outcome, 1)
    assert ((before.n_pending > 0) | (before.n_enrolled < 6)).all()


# ------------------------------------------------------------------- pauses, and the end of enrolment


def a_patient_a_month():
    """Two trials of five patients; the outcome comes after two days, and the second patient leaves before."""
    enrolled_at = np.array([[1.0, 2, 3, 4, 5], [10, 20, 30, 40, 50]])
    cohort = a_cohort(enrolled_at, dropout_at=np.where(np.arange(5) == 1, enrolled_at + 1, np.inf))
    known_at = np.where(np.arange(5) == 1, np.inf, enrolled_at + 2)[:, :, None, None]
    return cohort, Potential(np.zeros((2, 5, 1, 1)), known_at)


def test_whoever_comes_later_comes_later_by_the_pause_with_all_their_days():
    cohort, potential = a_patient_a_month()
    before = copied((cohort, potential))
    moved, then = postponed(cohort, potential, np.array([3.0, 5.0]), np.array([2.5, 0.0]))
    assert same((cohort, potential), before)
    assert moved.enrolled_at.tolist() == [[1, 2, 3, 6.5, 7.5], [10, 20, 30, 40, 50]]
    assert moved.dropout_at[0].tolist() == [np.inf, 3, np.inf, np.inf, np.inf]
    assert then.known_at[0, :, 0, 0].tolist() == [3, np.inf, 5, 8.5, 9.5]
    moved, _ = postponed(cohort, potential, np.array([1.0, 100.0]), np.array([7.0, 7.0]))
    assert moved.dropout_at.tolist()[0][1] == 10 and moved.dropout_at.tolist()[1][1] == 21
    assert moved.u_arm is cohort.u_arm and then.value is potential.value


def test_a_pause_that_never_comes_moves_nobody():
    cohort, potential = a_patient_a_month()
    moved, then = postponed(cohort, potential, np.full(2, np.inf), np.zeros(2))
    assert same(moved, cohort) and same(then, potential)


def test_whoever_would_come_after_enrolment_has_closed_never_comes():
    cohort, potential = a_patient_a_month()
    gone, then = closed(cohort, potential, 3.0)
    assert gone.enrolled_at.tolist() == [[1, 2, 3, np.inf, np.inf], [np.inf] * 5]
    assert then.known_at[0, :, 0, 0].tolist() == [3, np.inf, 5, np.inf, np.inf]
    assert np.isinf(then.known_at[1]).all() and np.isinf(gone.dropout_at[1]).all()
    number, day = enrolment_ends(gone, 3.0)
    assert (number.tolist(), day.tolist()) == ([3, 0], [3, 3])


def test_where_everybody_comes_in_time_nothing_changes():
    cohort, potential = a_patient_a_month()
    for day in (50.0, np.inf):
        assert closed(cohort, potential, day) == (cohort, potential)
        number, closing = enrolment_ends(cohort, day)
        assert (number.tolist(), closing.tolist()) == ([5, 5], [-np.inf, -np.inf])


def test_a_look_without_a_pause_leaves_the_calendar_alone():
    cohort, potential = a_patient_a_month()
    schedule, arm = Enrolled(kind="enrolled", at=[3]), np.zeros((2, 5), np.int8)
    found = next_look(schedule, 0, cohort, potential, arm, np.full(2, -np.inf))
    assert found.cohort is cohort and found.potential is potential
    assert found.day.tolist() == [3, 30]


def test_a_look_with_a_pause_is_at_the_end_of_it_and_the_others_come_after_it():
    """The third patient is assessed two days after enrolment; the second has left long before."""
    cohort, potential = a_patient_a_month()
    schedule, arm = Enrolled(kind="enrolled", at=[3], pause="until_assessed"), np.zeros((2, 5), np.int8)
    found = next_look(schedule, 0, cohort, potential, arm, np.full(2, -np.inf), 43.0)
    assert found.day.tolist() == [5, 32]
    assert found.cohort.enrolled_at.tolist() == [[1, 2, 3, 6, 7], [10, 20, 30, 42, np.inf]]
    assert found.outcome.known_at[1, :, 0].tolist() == [12, np.inf, 32, 44, np.inf]
    snapshot = cut(found.day, found.cohort, arm, found.outcome, 1)
    assert snapshot.n_enrolled.tolist() == [3, 3] and not snapshot.n_pending.any()


def test_the_looks_of_a_trial_that_nothing_disturbs():
    cohort, potential = (split_first(part) for part in a_patient_a_month())
    schedule = Enrolled(kind="enrolled", at=[2, 4], pause="until_assessed")
    looks, end = undisturbed(schedule, cohort, potential)
    assert [(index, day) for index, day, _, _ in looks] == [(0, 3), (1, 7)]  # by day 3 the first two are settled
    assert end.cohort.enrolled_at.tolist() == [[1, 2, 4, 5, 8]]
    assert end.day.tolist() == [10]
    looks, end = undisturbed(schedule, cohort, potential, 6.5)
    assert [index for index, *_ in looks] == [0]  # the second is the final analysis: nobody comes after the fourth
    assert end.day.tolist() == [7]
    assert undisturbed(schedule, cohort, potential, 4.5)[1].cohort.enrolled_at.tolist() == [[1, 2, 4, np.inf, np.inf]]


def test_the_end_is_not_before_enrolment_closes():
    cohort, potential = (split_first(part) for part in a_patient_a_month())
    _, end = undisturbed(Enrolled(kind="enrolled", at=[2]), cohort, potential, 4.9)
    assert end.day.tolist() == [6]
    early = potential._replace(known_at=cohort.enrolled_at[:, :, None, None])
    _, end = undisturbed(Enrolled(kind="enrolled", at=[2]), cohort, early, 4.9)
    assert end.day.tolist() == [4.9]


def split_first(part):
    """The first trial alone."""
    rows = {name: {key: u[:1] for key, u in v.items()} if isinstance(v, dict) else v[:1] for name, v in
            part._asdict().items()}  # fmt: skip
    return type(part)(**rows)
