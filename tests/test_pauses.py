"""Pauses of enrolment, and its end: who comes later, and who never comes."""

import numpy as np

from sps_adaptive.contracts import Cohort, Potential
from sps_adaptive.pauses import all_settled, closed, enrolment_ends, later, next_look, undisturbed
from sps_adaptive.schedules import Enrolled
from sps_adaptive.timeline import cut, last_day, n_enrolled_by, pick
from tests.contracts.fakes import a_cohort, copied, same


def a_patient_a_month():
    """Two trials of five patients; the outcome comes after two days, and the second patient leaves before."""
    enrolled_at = np.array([[1.0, 2, 3, 4, 5], [10, 20, 30, 40, 50]])
    cohort = a_cohort(enrolled_at, dropout_at=np.where(np.arange(5) == 1, enrolled_at + 1, np.inf))
    known_at = np.where(np.arange(5) == 1, np.inf, enrolled_at + 2)[:, :, None, None]
    return cohort, Potential(np.zeros((2, 5, 1, 1)), known_at)


def test_whoever_comes_later_comes_later_by_the_pause_with_all_their_days():
    cohort, potential = a_patient_a_month()
    before = copied((cohort, potential))
    moved, then = later(cohort, potential, np.where(cohort.enrolled_at > [[3.0], [50.0]], 2.5, 0.0))
    assert same((cohort, potential), before)
    assert moved.enrolled_at.tolist() == [[1, 2, 3, 6.5, 7.5], [10, 20, 30, 40, 50]]
    assert moved.dropout_at[0].tolist() == [np.inf, 3, np.inf, np.inf, np.inf]
    assert then.known_at[0, :, 0, 0].tolist() == [3, np.inf, 5, 8.5, 9.5]
    moved, _ = later(cohort, potential, np.where(cohort.enrolled_at > [[1.0], [100.0]], 7.0, 0.0))
    assert moved.dropout_at.tolist()[0][1] == 10 and moved.dropout_at.tolist()[1][1] == 21
    assert moved.u_arm is cohort.u_arm and then.value is potential.value


def test_nobody_waits_where_the_look_never_comes():
    cohort, potential = a_patient_a_month()
    schedule = Enrolled(kind="enrolled", at=[5], pause={"months": 1})
    gone, then = closed(cohort, potential, 45.0)
    found = next_look(schedule, 0, gone, then, outcome_of(then), np.full(2, -np.inf), 45.0)
    assert found.day.tolist()[1] == np.inf
    np.testing.assert_array_equal(found.cohort.enrolled_at, gone.enrolled_at)
    np.testing.assert_array_equal(found.potential.known_at, then.known_at)


def test_the_day_on_which_all_enrolled_are_settled_is_the_last_of_their_days():
    rng = np.random.default_rng(3)
    enrolled_at = np.sort(rng.uniform(0, 50, (20, 12)), axis=1)
    dropout_at = enrolled_at + rng.exponential(9, enrolled_at.shape)
    due = enrolled_at + 6
    cohort = a_cohort(enrolled_at, dropout_at=dropout_at)
    potential = Potential(np.zeros((20, 12, 1, 1)), np.where(due <= dropout_at, due, np.inf)[:, :, None, None])
    day, outcome = rng.uniform(0, 60, 20), outcome_of(potential)
    expected = np.maximum(day, last_day(cohort, outcome, n_enrolled_by(day, cohort)))
    np.testing.assert_array_equal(all_settled(day, cohort, outcome), expected)


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
    schedule = Enrolled(kind="enrolled", at=[3])
    found = next_look(schedule, 0, cohort, potential, outcome_of(potential), np.full(2, -np.inf))
    assert found.cohort is cohort and found.potential is potential
    assert found.day.tolist() == [3, 30]


def test_a_look_with_a_pause_is_at_the_end_of_it_and_the_others_come_after_it():
    """The third patient is assessed two days after enrolment; the second has left long before."""
    cohort, potential = a_patient_a_month()
    schedule, arm = Enrolled(kind="enrolled", at=[3], pause="until_assessed"), np.zeros((2, 5), np.int8)
    found = next_look(schedule, 0, cohort, potential, outcome_of(potential), np.full(2, -np.inf), 43.0)
    assert same(found.outcome, pick(found.potential, arm))
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


def outcome_of(potential):
    """What happens to everybody, on the one arm."""
    return pick(potential, np.zeros(potential.known_at.shape[:2], np.int8))


def split_first(part):
    """The first trial alone."""
    if isinstance(part, Cohort):
        return part.only(slice(0, 1))
    return type(part)(*(None if values is None else values[:1] for values in part))
