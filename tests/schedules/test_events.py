"""Looks when a number of events is known."""

from types import SimpleNamespace

import numpy as np
import pytest

from sps_adaptive.contracts import Outcome
from sps_adaptive.schedules import Events
from tests.contracts.fakes import a_cohort

COHORT = a_cohort([[1, 2, 3, 4, 5], [1, 2, 3, 4, 5]])
KNOWN_AT = np.array([[14.0, 12, 13, 11, 15], [10, np.inf, 30, 20, 40]])[..., None]
GOOD = np.array([[True, False, True, True, False], [True, True, True, False, True]])[..., None]
BEFORE = np.full(2, -np.inf)


def day(n, better, good=GOOD):
    schedule = Events(kind="events", at=[n]).bind(SimpleNamespace(better=better))
    return schedule.day(0, COHORT, Outcome(good, KNOWN_AT), BEFORE).tolist()


def test_a_look_is_on_the_day_the_dth_event_becomes_known():
    assert [day(n, "higher") for n in (1, 2, 3)] == [[11, 10], [13, 30], [14, 40]]


def test_an_event_is_a_yes_also_where_it_is_bad_for_the_patient():
    """Outcomes come oriented, True is good: where lower is better, the events are those that are False."""
    assert [day(n, "lower") for n in (1, 2)] == [[12, 20], [15, np.inf]]


def test_both_ways_to_look_at_a_trial_count_the_same_events():
    for n in (1, 2, 3):
        assert day(n, "higher") == day(n, "lower", ~GOOD)


def test_a_look_never_comes_if_there_are_too_few_events():
    assert day(4, "higher") == [np.inf, np.inf]
    assert day(1, "higher", np.zeros_like(GOOD)) == [np.inf, np.inf]


def test_without_its_endpoint_the_schedule_cannot_know_what_an_event_is():
    with pytest.raises(TypeError, match="bind the schedule"):
        Events(kind="events", at=[2]).day(0, COHORT, Outcome(GOOD, KNOWN_AT), BEFORE)


def test_more_events_than_patients_are_a_problem():
    assert [path for path, _, _ in Events(kind="events", at=[3, 60]).problems(60)] == [("at", 1)]
    assert "events" in Events(kind="events", first=70).problems(60)[0][1]
    assert Events(kind="events", first=20, every=10).problems(60) == []


def test_it_says_so_in_plain_english():
    assert Events(kind="events", at=[10, 20]).words(60) == "when 10 and 20 patients with the event are known"
