"""Looks at numbers of patients: which numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sps_adaptive.schedules import Assessed, Enrolled

both = pytest.mark.parametrize("kind", [Enrolled, Assessed])


def looks(kind, **given):
    return kind(kind=kind.__name__.lower(), **given)


@both
@pytest.mark.parametrize(
    "given, patients, counts",
    [
        ({"first": 24, "every": 12}, 72, [24, 36, 48, 60]),  # the last patient is the final analysis, not a look
        ({"first": 24, "every": 12}, 73, [24, 36, 48, 60, 72]),
        ({"first": 24, "every": 12, "last": 48}, 72, [24, 36, 48]),
        ({"first": 24, "every": 12, "last": 47}, 72, [24, 36]),
        ({"first": 20, "every": 10, "last": 60}, 60, [20, 30, 40, 50]),
        ({"first": 20}, 60, [20]),
        ({"first": 59}, 60, [59]),
        ({"first": 1, "every": 1}, 4, [1, 2, 3]),
        ({"at": [10, 11, 40]}, 60, [10, 11, 40]),
        ({"at": [59]}, 60, [59]),
    ],
)
def test_the_numbers_of_a_series_and_of_a_list(kind, given, patients, counts):
    schedule = looks(kind, **given)
    assert schedule.counts(patients) == counts
    assert schedule.n_looks(patients) == len(counts)
    assert schedule.problems(patients) == []


@both
@given(
    first=st.integers(1, 50), every=st.integers(1, 20), last=st.none() | st.integers(1, 70), patients=st.integers(2, 70)
)
def test_a_series_without_problems_increases_and_ends_before_the_last_patient(kind, first, every, last, patients):
    schedule = looks(kind, first=first, every=every, last=last)
    counts = schedule.counts(patients)
    assert counts == sorted(set(counts))
    if not schedule.problems(patients):
        assert counts and counts[0] == first
        assert counts[-1] < patients and (last is None or counts[-1] <= last)
        assert counts[-1] + every >= patients or (last is not None and counts[-1] + every > last)


@both
@pytest.mark.parametrize(
    "given, path",
    [
        ({"first": 60}, ("first",)),
        ({"first": 61, "every": 5}, ("first",)),
        ({"first": 20, "every": 10, "last": 61}, ("last",)),
        ({"at": [10, 60]}, ("at", 1)),
        ({"at": [61]}, ("at", 0)),
    ],
)
def test_looks_that_can_never_take_place_are_problems(kind, given, path):
    found = looks(kind, **given).problems(60)
    assert [problem[0] for problem in found] == [path]
    assert all(message and hint for _, message, hint in found)


@both
@pytest.mark.parametrize("given", [{"first": 40, "every": 10, "last": 30}, {"first": 40, "last": 30}])
def test_a_series_that_ends_before_it_begins_is_a_problem(kind, given):
    """As it is for months: otherwise a typing mistake makes a trial without a look, or with one after `last`."""
    assert ("last",) in [path for path, _, _ in looks(kind, **given).problems(60)]


@both
@pytest.mark.parametrize(
    "given, words",
    [
        ({}, "give either first"),
        ({"every": 10}, "give either first"),
        ({"first": 10, "at": [10]}, "give either first"),
        ({"at": [10], "every": 5}, "belong to first"),
        ({"at": [10], "last": 50}, "belong to first"),
        ({"at": [20, 10]}, "must increase"),
        ({"at": [10, 10]}, "must increase"),
        ({"first": 0}, "greater than or equal to 1"),
        ({"first": 10, "every": 0}, "greater than or equal to 1"),
    ],
)
def test_what_contradicts_itself_does_not_parse(kind, given, words):
    with pytest.raises(ValidationError, match=words):
        looks(kind, **given)
