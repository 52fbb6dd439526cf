"""Looks for several reasons."""

from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from sps_adaptive.contracts import DAYS_PER_MONTH, Outcome
from sps_adaptive.schedules import Several
from tests.contracts.fakes import a_cohort

MONTH = DAYS_PER_MONTH
COHORT = a_cohort(np.array([[1, 2, 3, 4, 5, 6], [1, 2, 3, 9, 10, 11]]) * MONTH)
OUTCOME = Outcome(np.ones((2, 6, 1), bool), COHORT.enrolled_at[..., None] + 2 * MONTH)
ENROLLED = {"kind": "enrolled", "at": [2, 4]}
CALENDAR = {"kind": "calendar", "at_months": [3, 4]}


def several(*of, **more):
    return Several(kind="several", of=list(of), **more).bind(SimpleNamespace(better="higher"))


def months(schedule, outcome=OUTCOME):
    """When one look after the other takes place, in months."""
    found, after = [], np.full(2, -np.inf)
    for index in range(schedule.n_looks(6)):
        after = schedule.day(index, COHORT, outcome, after)
        found.append((after / MONTH).round(9).tolist())
    return found


def test_looks_come_in_the_order_of_time_and_those_of_one_day_are_one():
    never = np.inf
    assert months(several(ENROLLED, CALENDAR)) == [[2, 2], [3, 3], [4, 4], [never, 9]]
    assert months(several(CALENDAR, ENROLLED)) == months(several(ENROLLED, CALENDAR))


def test_the_number_of_looks_is_that_of_all_schedules_at_most():
    assert several(ENROLLED, CALENDAR).n_looks(6) == 4
    assert several(ENROLLED, CALENDAR, most=3).n_looks(6) == 3
    assert several(ENROLLED, CALENDAR, most=9).n_looks(6) == 4
    assert months(several(ENROLLED, CALENDAR, most=3)) == months(several(ENROLLED, CALENDAR))[:3]


def test_days_that_differ_by_rounding_are_one_day():
    third = {"kind": "calendar", "at_months": [3 + 1e-10]}
    assert months(several(ENROLLED, CALENDAR, third))[:3] == [[2, 2], [3, 3], [4, 4]]


def test_events_among_others_are_counted_on_the_scale_of_the_endpoint():
    events = {"kind": "events", "at": [1]}
    assert months(several(ENROLLED, events))[:2] == [[2, 2], [3, 3]]
    nothing_happens = Outcome(~OUTCOME.value, OUTCOME.known_at)
    assert months(several(ENROLLED, events), nothing_happens)[:2] == [[2, 2], [4, 9]]


def test_a_wait_holds_up_all_of_them():
    assert months(several(ENROLLED, CALENDAR, minimum_assessed=2)) == [[4, 4], [np.inf, 9], *[[np.inf] * 2] * 2]


@pytest.mark.parametrize("kind", ["several", "none", "sometimes"])
def test_there_is_nothing_nested(kind):
    with pytest.raises(ValidationError, match="does not match any of the expected tags"):
        several(ENROLLED, {"kind": kind})


def test_one_schedule_is_not_several():
    with pytest.raises(ValidationError, match="at least 2 items"):
        several(ENROLLED)


def test_problems_are_told_at_their_place():
    found = several(ENROLLED | {"pause": "until_assessed"}, {"kind": "assessed", "at": [3, 8]}).problems(6)
    assert [path for path, _, _ in found] == [("of", 0, "pause"), ("of", 1, "at", 1)]


def test_it_says_so_in_plain_english():
    assert several(ENROLLED, CALENDAR, most=2).words(6) == (
        "when 2 and 4 patients have been enrolled, and at months 3 and 4, 2 at most"
    )
