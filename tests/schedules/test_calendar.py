"""Looks at stated months."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sps_adaptive.contracts import DAYS_PER_MONTH, Outcome
from sps_adaptive.schedules import Calendar
from tests.contracts.fakes import a_cohort

COHORT = a_cohort([[1, 2], [3, 4], [5, 6]])
OUTCOME = Outcome(np.zeros((3, 2, 1)), np.full((3, 2, 1), np.inf))
BEFORE = np.full(len(COHORT.site), -np.inf)


def calendar(**given):
    return Calendar(kind="calendar", **given)


@pytest.mark.parametrize(
    "given, months",
    [
        ({"first_month": 12, "every_months": 6, "last_month": 30}, [12, 18, 24, 30]),
        ({"first_month": 12, "every_months": 6, "last_month": 29.9}, [12, 18, 24]),
        ({"first_month": 6, "every_months": 6, "last_month": 6}, [6]),
        ({"first_month": 0.1, "every_months": 0.1, "last_month": 0.7}, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        ({"at_months": [3, 4.5, 20]}, [3, 4.5, 20]),
    ],
)
def test_the_months_of_a_series_and_of_a_list(given, months):
    schedule = calendar(**given)
    assert schedule.months() == pytest.approx(months)
    assert schedule.n_looks(10) == schedule.n_looks(10_000) == len(months)
    for index, month in enumerate(months):
        np.testing.assert_allclose(schedule.day(index, COHORT, OUTCOME, BEFORE), np.full(3, month * DAYS_PER_MONTH))
    assert schedule.problems(10) == []


@given(st.integers(1, 500), st.integers(1, 100), st.integers(0, 300))
def test_a_series_never_loses_its_last_look_to_rounding(first, every, number):
    """In hundredths of a month, which no binary fraction holds exactly."""
    first, every = first / 100, every / 100
    months = (
        calendar(first_month=first, every_months=every, last_month=first + number * every).months()
        if (first + number * every) / every <= 1000
        else [0] * (number + 1)
    )
    assert len(months) == number + 1


@pytest.mark.parametrize(
    "given, words",
    [
        ({}, "or the list at_months"),
        ({"first_month": 6, "every_months": 6}, "or the list at_months"),
        ({"at_months": [6], "last_month": 12}, "not both"),
        ({"at_months": [6, 6]}, "must increase"),
        ({"at_months": [12, 6]}, "must increase"),
        ({"first_month": 0.001, "every_months": 0.001, "last_month": 10}, "more than 1000 looks"),
        ({"at_months": [0]}, "greater than 0"),
    ],
)
def test_what_contradicts_itself_does_not_parse(given, words):
    with pytest.raises(ValidationError, match=words):
        calendar(**given)


def test_a_series_that_ends_before_it_begins_is_a_problem():
    found = calendar(first_month=12, every_months=6, last_month=6).problems(60)
    assert [path for path, _, _ in found] == [("last_month",)]
