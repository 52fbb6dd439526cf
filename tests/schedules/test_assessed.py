"""Looks when a number of patients has been assessed."""

import numpy as np

from sps_adaptive.contracts import Outcome
from sps_adaptive.schedules import Assessed
from tests.contracts.fakes import a_cohort

COHORT = a_cohort([[1, 2, 3, 4], [1, 2, 3, 4]])
KNOWN_AT = np.array([[14.0, 12, 13, 11], [10, np.inf, np.inf, 20]])[..., None]
BEFORE = np.full(len(COHORT.site), -np.inf)


def day(n, known_at=KNOWN_AT):
    return (
        Assessed(kind="assessed", at=[n]).day(0, COHORT, Outcome(np.zeros(known_at.shape), known_at), BEFORE).tolist()
    )


def test_a_look_is_on_the_day_the_nth_outcome_becomes_known_whoever_it_is():
    assert [day(n) for n in (1, 2)] == [[11, 10], [12, 20]]


def test_a_look_never_comes_if_dropouts_leave_too_few():
    assert day(3) == [13, np.inf]
    assert day(3, np.full((2, 4, 1), np.inf)) == [np.inf, np.inf]


def test_of_several_visits_the_last_counts():
    early = np.concatenate([np.zeros((2, 4, 1)), KNOWN_AT], axis=2)
    assert day(2, early) == day(2)


def test_several_on_one_day_make_one_day():
    assert day(1, np.full((2, 4, 1), 9.0)) == day(3, np.full((2, 4, 1), 9.0)) == [9, 9]
