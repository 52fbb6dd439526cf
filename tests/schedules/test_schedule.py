"""What all schedules share: waiting, pauses, and how many looks there are at most."""

import numpy as np
import pytest
from pydantic import ValidationError

from sps_adaptive.contracts import DAYS_PER_MONTH, Outcome
from sps_adaptive.schedules import Assessed, Calendar, Enrolled
from tests.contracts.fakes import a_cohort

MONTH = DAYS_PER_MONTH
ENROLLED_AT = np.array([[1.0, 2, 3, 4, 5, 6], [1, 2, 3, 9, 10, 11]]) * MONTH
COHORT = a_cohort(ENROLLED_AT, dropout_at=np.where(np.arange(6) == 1, ENROLLED_AT + 1.5 * MONTH, np.inf))
OUTCOME = Outcome(
    np.zeros((2, 6, 1)), np.where(np.isinf(COHORT.dropout_at), ENROLLED_AT + 4 * MONTH, np.inf)[..., None]
)
BEFORE = np.full(2, -np.inf)
NEVER = np.inf


def enrolled(**given):
    return Enrolled(kind="enrolled", **({"at": [2, 3, 5]} | given))


def months(schedule):
    found, after = [], BEFORE
    for index in range(schedule.n_looks(6)):
        after = schedule.day(index, COHORT, OUTCOME, after)
        found.append((after / MONTH).round(9).tolist())
    return found


def test_a_look_waits_until_so_many_outcomes_are_known():
    """The second outcome is known in month 7, since the second patient drops out."""
    assert months(enrolled(minimum_assessed=1)) == [[5, 5], [NEVER, 10], [NEVER, NEVER]]
    assert months(enrolled(minimum_assessed=2)) == [[7, 7], [NEVER, 10], [NEVER, NEVER]]
    assert months(enrolled(minimum_assessed=6)) == [[NEVER, NEVER]] * 3


def test_a_look_waits_until_a_month():
    assert months(enrolled(minimum_months=2.5)) == [[2.5, 2.5], [3, 3], [5, 10]]
    assert months(enrolled(minimum_months=4)) == [[4, 4], [5, 10], [NEVER, NEVER]]


def test_a_look_waits_for_both():
    assert months(enrolled(minimum_months=6, minimum_assessed=1))[0] == [6, 6]
    assert months(enrolled(minimum_months=3, minimum_assessed=1))[0] == [5, 5]


def test_a_wait_that_is_always_over_changes_nothing():
    assert months(enrolled(minimum_months=0.5)) == months(enrolled())


def test_no_more_looks_than_at_most():
    assert enrolled(most=2).n_looks(6) == 2
    assert enrolled(most=5).n_looks(6) == 3
    assert months(enrolled(most=2)) == months(enrolled())[:2]


def test_looks_that_were_held_up_together_count_as_one():
    assert months(enrolled(minimum_months=4, most=2)) == [[4, 4], [5, 10]]


def test_without_a_pause_the_analysis_is_when_it_is_due():
    due = np.array([3.0, NEVER])
    assert enrolled().analysed(due, COHORT, OUTCOME) is due


def test_the_analysis_is_after_a_pause_of_some_months():
    schedule = enrolled(pause={"months": 2})
    assert (schedule.analysed(np.array([3.0, NEVER]) * MONTH, COHORT, OUTCOME) / MONTH).tolist() == [5, NEVER]


def test_the_analysis_is_when_all_enrolled_are_assessed_or_have_dropped_out():
    """Two have come by month 2: the first is assessed in month 5, the second drops out in month 3.5."""
    schedule = enrolled(pause="until_assessed")
    due = np.array([2.0, 9.0]) * MONTH
    np.testing.assert_allclose(schedule.analysed(due, COHORT, OUTCOME) / MONTH, [5, 13])
    everybody_is = np.array([8.0, 0.5]) * MONTH  # in the second trial nobody has come yet
    settled = Outcome(OUTCOME.value, np.minimum(OUTCOME.known_at, ENROLLED_AT[..., None]))
    np.testing.assert_array_equal(schedule.analysed(everybody_is, COHORT, settled), everybody_is)
    assert schedule.analysed(np.full(2, NEVER), COHORT, OUTCOME).tolist() == [NEVER, NEVER]


def test_what_falls_due_during_a_pause_is_no_look_of_its_own():
    """Due in months 2 and 3, the analysis of the first in month 4: the next is that of month 5."""
    schedule = enrolled(pause={"months": 2})
    np.testing.assert_allclose(schedule.day(1, COHORT, OUTCOME, np.full(2, 4 * MONTH)) / MONTH, [5, 10])


@pytest.mark.parametrize(
    "given, words",
    [
        ({"most": 0}, "greater than or equal to 1"),
        ({"minimum_assessed": 0}, "greater than or equal to 1"),
        ({"minimum_months": 0}, "greater than 0"),
        ({"pause": {"months": 0}}, "greater than 0"),
        ({"pause": "always"}, "until_assessed"),
        ({"pause": {"weeks": 6}}, "Extra inputs"),
    ],
)
def test_what_can_never_be_does_not_parse(given, words):
    with pytest.raises(ValidationError, match=words):
        enrolled(**given)


@pytest.mark.parametrize("number, found", [(59, []), (60, [("minimum_assessed",)]), (61, [("minimum_assessed",)])])
def test_waiting_for_everybody_leaves_no_look(number, found):
    assert [path for path, _, _ in enrolled(minimum_assessed=number).problems(60)] == found


@pytest.mark.parametrize(
    "schedule, words",
    [
        (enrolled(minimum_assessed=4, minimum_months=9), ", but not before 4 patients have been assessed and month 9"),
        (Assessed(kind="assessed", at=[4], most=1), ", the first of them only"),
        (
            Calendar(kind="calendar", at_months=[4, 6], pause={"months": 1.5}),
            "; enrolment pauses for 1.5 months before",
        ),
        (enrolled(pause="until_assessed"), "until all patients enrolled have been assessed or have dropped out"),
    ],
)
def test_it_says_so_in_plain_english(schedule, words):
    assert words in schedule.words(60)
