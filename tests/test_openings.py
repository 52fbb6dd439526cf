"""Arms that open late and close early: who can be dealt them, by hand."""

import numpy as np
import pytest

from sps_adaptive.contracts import Span, Spans
from sps_adaptive.openings import changes, concurrent, has_opened, is_coming, spans, takes
from tests.contracts.fakes import a_cohort

DAYS = [[0.0, 10, 20, 30, 40, 50], [0.0, 5, 5, 30, 80, 90]]
COHORT = a_cohort(DAYS)
NOBODY = np.full((2, 3), 6)
ALL = np.ones((2, 3), bool)


def test_an_arm_of_which_nothing_is_said_takes_everybody():
    found = spans((Span(), Span(), Span()), COHORT, NOBODY)
    assert (found.begin == 0).all() and (found.end == 6).all()
    assert changes(found, np.zeros(2, int), ALL, 6).size == 0


def test_by_patient_by_day_and_after_another_arm():
    protocol = (Span(), Span(opens_with=2, closes_on=30.0), Span(opens_after=1, closes_with=5))
    dropped = np.array([[6, 3, 6], [6, 6, 6]])
    found = spans(protocol, COHORT, dropped)
    np.testing.assert_array_equal(found.begin, [[0, 2, 3], [0, 2, 6]])
    np.testing.assert_array_equal(found.end, [[6, 3, 5], [6, 3, 5]])
    np.testing.assert_array_equal(takes(found, np.array([3, 3])), [[True, False, True], [True, False, False]])
    np.testing.assert_array_equal(changes(found, np.array([0, 2]), ALL, 6), [[2, 3, 5], [3, 6, 6]])


def test_an_arm_that_opens_on_a_day_takes_the_patient_of_that_day():
    found = spans((Span(), Span(opens_on=30.0), Span(opens_on=5.0)), COHORT, NOBODY)
    np.testing.assert_array_equal(found.begin, [[0, 3, 1], [0, 3, 1]])


def test_an_arm_has_opened_when_somebody_could_be_dealt_it_and_is_coming_before():
    protocol = (Span(), Span(opens_with=2), Span(opens_after=1))
    found = spans(protocol, COHORT, NOBODY)
    n, day = np.array([2, 3]), np.array([10.0, 30.0])
    np.testing.assert_array_equal(has_opened(found, protocol, n), [[True, False, False], [True, True, False]])
    enrolling = np.array([True, True])
    coming = is_coming(found, protocol, n, day, enrolling)
    np.testing.assert_array_equal(coming, [[False, True, True], [False, False, True]])
    assert not is_coming(found, protocol, n, day, ~enrolling).any()


def test_an_arm_that_the_protocol_closes_before_anybody_can_get_it_neither_opens_nor_is_coming():
    protocol = (Span(), Span(opens_with=4, closes_on=30.0), Span(opens_with=4, closes_after=1))
    dropped = np.array([[6, 3, 6], [6, 6, 6]])
    found = spans(protocol, COHORT, dropped)
    n, day, enrolling = np.array([5, 5]), np.array([40.0, 80.0]), np.array([True, True])
    np.testing.assert_array_equal(has_opened(found, protocol, n), [[True, False, False], [True, False, True]])
    assert not is_coming(found, protocol, n, day, enrolling).any()
    early = is_coming(found, protocol, np.array([3, 3]), np.array([29.0, 29.0]), enrolling)
    np.testing.assert_array_equal(early, [[False, True, False], [False, True, True]])


def test_arms_of_which_nothing_is_said_are_open_before_anybody_is_enrolled():
    protocol = (Span(), Span(opens_with=0), Span(opens_on=5.0))
    found = spans(protocol, a_cohort([[7.0, 10, 20, 30, 40, 50]]), NOBODY[:1])
    np.testing.assert_array_equal(has_opened(found, protocol, np.array([0])), [[True, True, False]])


def test_whether_an_arm_is_coming_does_not_depend_on_who_comes_later():
    """All patients may come before the month in which the arm opens; on the day of a look nobody knows."""
    protocol = (Span(), Span(opens_on=1000.0))
    found = spans(protocol, COHORT, NOBODY[:, :2])
    coming = is_coming(found, protocol, np.array([2, 3]), np.array([10.0, 10.0]), np.array([True, True]))
    np.testing.assert_array_equal(coming, [[False, True], [False, True]])


def test_an_arm_that_a_rule_has_closed_does_not_close_once_more():
    protocol = (Span(), Span(closes_with=4), Span(opens_with=5))
    found = spans(protocol, COHORT, np.array([[6, 2, 6], [6, 6, 6]]))
    is_open = np.array([[True, False, True], [True, True, True]])
    np.testing.assert_array_equal(changes(found, np.array([2, 2]), is_open, 6), [[5, 6], [4, 5]])


def test_patients_enrolled_after_a_rule_closed_an_arm_are_not_concurrent_with_it():
    found = spans((Span(), Span(), Span(opens_with=1)), COHORT, np.array([[6, 2, 6], [6, 6, 6]]))
    np.testing.assert_array_equal(concurrent(found, 0, 1, 6).sum(axis=1), [2, 6])


def test_concurrent_patients_are_those_who_could_be_given_either():
    found = Spans(np.array([[0, 2]]), np.array([[6, 5]]))
    np.testing.assert_array_equal(concurrent(found, 1, 0, 6), [[False, False, True, True, True, False]])
    np.testing.assert_array_equal(concurrent(found, 0, 1, 6), concurrent(found, 1, 0, 6))


@pytest.mark.parametrize("start", [0, 2, 5])
def test_nothing_changes_at_the_start_itself(start):
    found = Spans(np.array([[0, start]]), np.array([[6, 6]]))
    assert changes(found, np.array([start]), ALL[:1, :2], 6).size == 0
