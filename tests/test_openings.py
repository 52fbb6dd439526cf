"""Arms that open late and close early: who can be dealt them, by hand."""

import numpy as np
import pytest

from sps_adaptive.contracts import Span, Spans
from sps_adaptive.openings import changes, concurrent, has_opened, is_coming, spans, takes
from tests.contracts.fakes import a_cohort

DAYS = [[0.0, 10, 20, 30, 40, 50], [0.0, 5, 5, 30, 80, 90]]
COHORT = a_cohort(DAYS)
NOBODY = np.full((2, 3), 6)


def test_an_arm_of_which_nothing_is_said_takes_everybody():
    found = spans((Span(), Span(), Span()), COHORT, NOBODY)
    assert (found.begin == 0).all() and (found.end == 6).all()
    assert changes(found, np.zeros(2, int), 6).size == 0


def test_by_patient_by_day_and_after_another_arm():
    protocol = (Span(), Span(opens_with=2, closes_on=30.0), Span(opens_after=1, closes_with=5))
    dropped = np.array([[6, 3, 6], [6, 6, 6]])
    found = spans(protocol, COHORT, dropped)
    np.testing.assert_array_equal(found.begin, [[0, 2, 3], [0, 2, 6]])
    np.testing.assert_array_equal(found.end, [[6, 3, 5], [6, 3, 5]])
    np.testing.assert_array_equal(takes(found, np.array([3, 3])), [[True, False, True], [True, False, False]])
    np.testing.assert_array_equal(changes(found, np.array([0, 2]), 6), [[2, 3, 5], [3, 5, 6]])


def test_an_arm_that_opens_on_a_day_takes_the_patient_of_that_day():
    found = spans((Span(), Span(opens_on=30.0), Span(opens_on=5.0)), COHORT, NOBODY)
    np.testing.assert_array_equal(found.begin, [[0, 3, 1], [0, 3, 1]])


def test_an_arm_has_opened_when_somebody_could_be_dealt_it_and_is_coming_before():
    protocol = (Span(), Span(opens_with=2), Span(opens_after=1))
    found = spans(protocol, COHORT, NOBODY)
    n = np.array([2, 3])
    np.testing.assert_array_equal(has_opened(found, n), [[True, False, False], [True, True, False]])
    np.testing.assert_array_equal(is_coming(found, protocol, n, 6), [[False, True, True], [False, False, True]])
    assert not is_coming(found, protocol, np.array([6, 6]), 6).any()


def test_concurrent_patients_are_those_who_could_be_given_either():
    found = Spans(np.array([[0, 2]]), np.array([[6, 5]]))
    np.testing.assert_array_equal(concurrent(found, 1, 0, 6), [[False, False, True, True, True, False]])
    np.testing.assert_array_equal(concurrent(found, 0, 1, 6), concurrent(found, 1, 0, 6))


@pytest.mark.parametrize("start", [0, 2, 5])
def test_nothing_changes_at_the_start_itself(start):
    found = Spans(np.array([[0, start]]), np.array([[6, 6]]))
    assert changes(found, np.array([start]), 6).size == 0
