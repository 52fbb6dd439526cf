"""Looks when a number of patients has been enrolled."""

import numpy as np

from sps_adaptive.contracts import Outcome
from sps_adaptive.schedules import Enrolled
from tests.contracts.fakes import a_cohort

COHORT = a_cohort([[1, 2, 3, 4, 5], [1.5, 2.5, 2.5, 7, 30]])
NEVER = Outcome(np.zeros((2, 5, 1)), np.full((2, 5, 1), np.inf))
BEFORE = np.full(len(COHORT.site), -np.inf)


def test_a_look_is_on_the_day_the_nth_patient_is_enrolled():
    schedule = Enrolled(kind="enrolled", at=[1, 3, 4])
    days = [schedule.day(index, COHORT, NEVER, BEFORE).tolist() for index in range(schedule.n_looks(5))]
    assert days == [[1, 1.5], [3, 2.5], [4, 7]]


def test_a_series_is_the_list_of_its_numbers():
    series, listed = Enrolled(kind="enrolled", first=2, every=1), Enrolled(kind="enrolled", at=[2, 3, 4])
    for index in range(3):
        np.testing.assert_array_equal(
            series.day(index, COHORT, NEVER, BEFORE), listed.day(index, COHORT, NEVER, BEFORE)
        )


def test_what_is_known_does_not_matter():
    schedule, known = Enrolled(kind="enrolled", at=[2]), Outcome(np.ones((2, 5, 1)), np.zeros((2, 5, 1)))
    np.testing.assert_array_equal(schedule.day(0, COHORT, known, BEFORE), schedule.day(0, COHORT, NEVER, BEFORE))
