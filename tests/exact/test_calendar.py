"""When the looks are, in patients: against the simulation's own calendar; and what is left to chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.exact.calendar import Course, course, dropout_rate, missing_probability, reasons_against
from sps_adaptive.exact.recursion import path_of
from sps_adaptive.scenario import Scenario
from sps_adaptive.trial import run
from tests.exact.helpers import scenario

EQUAL = {"kind": "equal"}
STEADY = {"kind": "steady", "patients_per_month": 1}
POISSON = {"kind": "poisson", "patients_per_month": 2}
SITES = {"kind": "sites", "sites": 3, "patients_per_site_month": 0.5, "one_opens_every_months": 2}
ENROLLED = {"kind": "enrolled", "first": 5, "every": 3}
ASSESSED = {"kind": "assessed", "first": 4, "every": 3}
CALENDAR = {"kind": "calendar", "first_month": 0.5, "every_months": 2.5, "last_month": 40}
NONE = {"kind": "none"}


def trial(looks, patients: int = 16, **more) -> Scenario:
    return scenario(patients, [0.3, 0.5], looks, EQUAL, **more)


SEVERAL = {"kind": "several", "of": [ENROLLED, {"kind": "calendar", "at_months": [3, 5, 9.5, 18]}]}


def closing(case: Scenario, month: float) -> Scenario:
    population = case.population.model_copy(update={"closes_at_month": month})
    return case.model_copy(update={"population": population}).checked()


def monthly(patients: float) -> dict:
    return {"kind": "steady", "patients_per_month": patients}


# ----------------------------------------------------------------------------- against the simulation

EXACT = {
    "enrolled, at once": trial(ENROLLED),
    "enrolled, whole patients pending": trial(ENROLLED, month=4),
    "enrolled, half a patient more": trial(ENROLLED, month=4.5),
    "enrolled, three a month": trial(ENROLLED, month=1, accrual=monthly(3)),
    "enrolled, 0.7 a month": trial(ENROLLED, month=10 / 0.7, accrual=monthly(0.7)),
    "enrolled, everybody pending": trial(ENROLLED, month=30),
    "enrolled, Poisson, at once": trial(ENROLLED, accrual=POISSON),
    "enrolled, sites, at once": trial(ENROLLED, accrual=SITES),
    "assessed, at once": trial(ASSESSED),
    "assessed, Poisson, at once": trial(ASSESSED, accrual=POISSON),
    "assessed, pending": trial(ASSESSED, month=3),
    "assessed, long after the last patient": trial(ASSESSED, month=14.5),
    "calendar, at once": trial(CALENDAR),
    "calendar, pending": trial(CALENDAR, month=3),
    "calendar, seven a month": trial(CALENDAR, month=3.3, accrual=monthly(7)),
    "calendar, windows that decide nothing": trial(
        {"kind": "calendar", "at_months": [4.5, 9.5, 15.5, 17.5]}, month=3, window=0.4
    ),
    "enrolled, windows that decide nothing": trial(ENROLLED, month=3.5, window=0.45),
    "no look": trial(NONE, month=3, lost=0.2),
    "several, at once": trial(SEVERAL),
    "several, pending": trial(SEVERAL, month=3),
    "several, the first three": trial(SEVERAL | {"most": 3}, month=2.5),
    "several, assessed and enrolled, sites, at once": trial(
        {"kind": "several", "of": [ENROLLED, ASSESSED], "minimum_assessed": 6}, accrual=SITES),
    "held up by outcomes": trial(ENROLLED | {"minimum_assessed": 6}, month=4.5),
    "held up by the calendar": trial(ASSESSED | {"minimum_months": 9.2}, month=3),
    "held up by the calendar, dropouts are not asked": trial(ENROLLED | {"minimum_months": 7.5}, month=3),
    "pauses of two months": trial(ENROLLED | {"pause": {"months": 2}}, month=3),
    "pauses of half a month, by the calendar": trial(CALENDAR | {"pause": {"months": 0.5}}, month=3),
    "pauses of half a month, at once": trial(SEVERAL | {"pause": {"months": 0.5}}),
    "pauses until everybody is assessed": trial(ENROLLED | {"pause": "until_assessed"}, month=3),
    "pauses by the calendar": trial(CALENDAR | {"pause": "until_assessed", "minimum_assessed": 3}, month=3),
    "pauses, Poisson": trial(ENROLLED | {"pause": "until_assessed"}, month=3, accrual=POISSON),
    "pauses, Poisson, windows": trial(ENROLLED | {"pause": "until_assessed"}, month=3, window=1, accrual=POISSON),
    "pauses, sites, the first two": trial(
        {"kind": "several", "of": [ENROLLED, {"kind": "enrolled", "at": [6, 8, 14]}], "most": 2,
         "pause": "until_assessed"}, month=3, accrual=SITES),
    "pauses, windows": trial(ENROLLED | {"pause": "until_assessed"}, month=3, window=1),
    "enrolment closes after the last patient": closing(trial(ENROLLED, month=3), 16),
    "enrolment closes after the last patient, no look": closing(trial(NONE, month=3, lost=0.2), 16.5),
}  # fmt: skip


@pytest.mark.parametrize("case", EXACT.values(), ids=EXACT)
def test_every_simulated_trial_has_the_looks_of_the_course(case):
    assert reasons_against(case) == []
    design, when = case.designs()["adaptive"], course(case)
    cohort = case.population.draw(3, 2, 40, case.endpoints)
    potential = design.endpoint.potential(cohort, "y", design.arms, case.truth("truth").of("y"))
    record = run(design, cohort, potential)
    held = {look.k: look for look in when.looks}
    for k, look in enumerate(record.looks[:-1]):
        assert (look.took_place == (k in held)).all()
        if k in held:
            assert (look.n_enrolled == held[k].enrolled).all()
            assert (look.n_known == held[k].settled).all()
            if held[k].month is not None:
                np.testing.assert_allclose(look.day / DAYS_PER_MONTH, held[k].month, rtol=1e-12)
    assert when.patients == case.population.patients
    assert when.n_looks == len(held)
    if when.enrolled_month is not None:
        np.testing.assert_allclose(record.cohort.enrolled_at / DAYS_PER_MONTH, [when.enrolled_month] * 40, rtol=1e-12)
    else:
        assert case.population.accrual.kind != "steady" or (case.looks.pause and case.endpoint.window_months)
        assert when.enrolled_month is None and all(look.month is None for look in when.looks)


def test_looks_by_hand():
    """A patient a month, the outcome after two: at the look in month n the first n - 2 are known."""
    assert [look[:3] for look in course(trial(ENROLLED, 11, month=2)).looks] == [(0, 5, 3), (1, 8, 6)]
    looks = {"kind": "calendar", "at_months": [0.5, 3, 11, 12.5, 13, 14]}
    found = course(trial(looks, 11, month=2)).looks
    assert [look[:3] for look in found] == [(0, 0, 0), (1, 3, 1), (2, 11, 9), (3, 11, 10)]  # follow-up ends in 13
    assert [look[:3] for look in course(trial(ASSESSED, 11, month=2)).looks] == [(0, 6, 4), (1, 9, 7), (2, 11, 10)]


def test_the_benchmark_has_no_looks():
    case = trial(ENROLLED, month=2)
    assert course(case, case.designs()["fixed"]).looks == ()
    assert course(case, case.designs()["fixed"]).enrolled_month == course(case).enrolled_month


@pytest.mark.parametrize("name", EXACT)
def test_patients_pending_are_settled_once_and_in_order(name):
    """Whoever is enrolled by a point is settled by then, or waits for one later stage."""
    when: Course = course(EXACT[name])
    path = path_of(when)
    assert path[0] == (0, 0, ()) and path[-1] == (when.patients, when.patients, ())
    for k, point in enumerate(path):
        assert point.enrolled == point.settled + sum(point.waiting)
        assert not point.waiting or point.waiting[-1] > 0
        for later, waiting in enumerate(point.waiting, k + 1):
            due = {n for n in range(path[later - 1].settled, path[later].settled) if point.settled <= n}
            assert waiting == len(due & set(range(point.enrolled)))


# ------------------------------------------------------------------------------------------- dropouts


@pytest.mark.parametrize(
    ("month", "window", "lost"), [(6, 0, 0.2), (6, 2, 0.2), (2, 2, 0.6), (12, 0.25, 0.05), (3, 0, 0)]
)
def test_how_many_are_lost(month, window, lost):
    case = trial(NONE, 40, month=month, window=window, lost=lost)
    rate = dropout_rate(case)
    assert np.exp(-rate * month) == pytest.approx(1 - lost, rel=1e-12)
    missing = missing_probability(case)
    if window:
        stay = quad(lambda t: np.exp(-rate * t) / (2 * window), month - window, month + window)[0]
        assert missing == pytest.approx(1 - stay, rel=1e-10)
    else:
        assert missing == pytest.approx(lost, rel=1e-12)
    cohort = case.population.draw(1, 0, 4000, case.endpoints)
    share = np.isinf(case.endpoint.known_at(cohort)).mean()
    assert abs(share - missing) <= 4 * np.sqrt(missing * (1 - missing) / cohort.u_arm.size)
    assert course(case).missing == missing


def test_nobody_is_lost_before_an_outcome_that_comes_at_once():
    case = trial(ENROLLED)
    population = case.population.model_copy(update={"dropout": trial(NONE, month=2, lost=0.4).population.dropout})
    case = case.model_copy(update={"population": population})
    assert dropout_rate(case) > 0
    assert missing_probability(case) == 0
    assert reasons_against(case) == []


@pytest.mark.parametrize("looks", [ENROLLED, {"kind": "calendar", "at_months": [2, 8, 15.9]}])
def test_with_dropouts_the_looks_take_place_all_the_same(looks):
    case = trial(looks, month=5, lost=0.5)
    assert reasons_against(case) == []
    design, when = case.designs()["adaptive"], course(case)
    cohort = case.population.draw(3, 0, 500, case.endpoints)
    record = run(design, cohort, design.endpoint.potential(cohort, "y", design.arms, case.truth("truth").of("y")))
    assert when.looks == course(trial(looks, month=5)).looks
    for held in when.looks:
        look = record.looks[held.k]
        assert look.took_place.all()
        assert (look.n_enrolled == held.enrolled).all()
        assert (look.n_known <= held.settled).all()
        error = np.sqrt(held.settled * 0.25 / 500)
        assert abs(look.n_known.mean() - held.settled * 0.5) <= 4 * error


# -------------------------------------------------------------------------------------------- reasons


def changed(case: Scenario, **parts) -> Scenario:
    return case.model_copy(update=parts)


CONTINUOUS = {
    "endpoints": {"y": {"kind": "continuous", "better": "higher", "assessed_at_month": 0, "sd": 1}},
    "analysis": {"y": {"kind": "normal", "variance": "known", "sd": 1}},
}
MANY = scenario(12, [0.5] * 5, ENROLLED, EQUAL)
DRIFTING = {"truth": {"y": {"arm 0": {0: 0.3, 6: 0.5}, "arm 1": 0.5}}}


def remade(case: Scenario, **sections) -> Scenario:
    return Scenario.model_validate(case.model_dump(exclude_none=True) | sections).checked()


AGAINST = {
    "continuous": (remade(trial(ENROLLED), **CONTINUOUS), "its endpoint is continuous"),
    "five arms": (MANY, "it has 5 arms"),
    "drift": (remade(trial(ENROLLED), truths=DRIFTING), "'truth' change with the month of enrolment"),
    "drift, no look": (remade(trial(NONE), truths=DRIFTING), "'truth' change with the month of enrolment"),
    "Poisson, calendar": (trial(CALENDAR, accrual=POISSON), "with poisson accrual the number of patients at a look"),
    "sites, calendar, later": (trial(CALENDAR, accrual=SITES, month=2), "with sites accrual the number of patients"),
    "Poisson, enrolled, later": (trial(ENROLLED, accrual=POISSON, month=2), "outcomes that come 2 months later"),
    "sites, assessed, later": (trial(ASSESSED, accrual=SITES, month=1.5), "outcomes that come 1.5 months later"),
    "dropouts, assessed": (trial(ASSESSED, month=2, lost=0.1), "how many are enrolled at the look at the n-th outcome"),
    "windows": (trial(ENROLLED, month=3, window=0.6), "as their visit window falls"),
    "windows, assessed": (trial(ASSESSED, month=3, window=0.1), "as their visit window falls"),
    "windows at the end": (trial({"kind": "calendar", "at_months": [19.05]}, month=3, window=0.1),
                           "as their visit window falls"),
    "dropouts, after the last patient": (trial(CALENDAR, month=6, lost=0.1),
                                         "a look after the last patient may or may not take place"),
    "events": (trial({"kind": "events", "at": [3]}), "at the n-th event is random"),
    "events among others": (trial({"kind": "several", "of": [ENROLLED, {"kind": "events", "at": [3]}]}, month=3),
                            "at the n-th event is random"),
    "several, Poisson": (trial(SEVERAL, accrual=POISSON), "with poisson accrual the number of patients at a look by"),
    "several, dropouts": (trial({"kind": "several", "of": [ENROLLED, ASSESSED]}, month=2, lost=0.1),
                          "how many are enrolled at the look at the n-th outcome"),
    "held up, dropouts": (trial(ENROLLED | {"minimum_assessed": 4}, month=2, lost=0.1),
                          "how many are enrolled at the look at the n-th outcome"),
    "held up, Poisson": (trial(ENROLLED | {"minimum_months": 4}, accrual=POISSON),
                         "with poisson accrual the number of patients at a look by the calendar is random"),
    "pauses, held up, Poisson": (trial(ENROLLED | {"minimum_assessed": 4, "pause": "until_assessed"}, month=2,
                                       accrual=POISSON), "how many are known at a look is random"),
    "pauses by the calendar, dropouts": (trial(CALENDAR | {"pause": "until_assessed"}, month=2, lost=0.1),
                                         "how long enrolment pauses is random"),
    "pauses by the calendar, windows": (trial(CALENDAR | {"pause": "until_assessed"}, month=2, window=0.1),
                                        "how long enrolment pauses is random"),
    "closes, sites": (closing(trial(NONE, accrual=SITES), 60), "by the time enrolment closes in month 60 is random"),
    "closes early": (closing(trial(NONE), 11.5), "when 11 of 16 patients have come (with patients: 11 it can be"),
    "closes, pauses": (closing(trial(ENROLLED | {"pause": {"months": 2}}), 18), "pauses may keep patients from coming"),
    "dropouts, on the day of the last patient": (
        trial({"kind": "calendar", "at_months": [16]}, month=6, lost=0.1), "a look after the last patient may or may"),
}  # fmt: skip


@pytest.mark.parametrize(("case", "reason"), AGAINST.values(), ids=AGAINST)
def test_each_reason_against(case, reason):
    (said,) = reasons_against(case)
    assert reason in said
    assert not said.endswith(".")


def test_several_reasons_at_once():
    case = remade(MANY, truths={"truth": {"y": {f"arm {a}": {0: 0.1, 3: 0.2} for a in range(5)}}})
    assert len(reasons_against(case)) == 2


@pytest.mark.parametrize("case", [
    trial(NONE, accrual=POISSON, month=6, window=2, lost=0.3), trial(NONE, accrual=SITES, month=6),
    trial(ENROLLED, accrual=SITES), scenario(12, [0.5] * 4, ENROLLED, EQUAL),
    trial({"kind": "calendar", "at_months": [15.9]}, month=6, lost=0.1), trial(CALENDAR, month=6),
])  # fmt: skip
def test_no_reason_against(case):
    assert reasons_against(case) == []


def test_a_look_that_only_some_simulated_trials_hold_is_refused_for_good_reason():
    """The same looks without dropouts take place in every trial."""
    case = trial({"kind": "calendar", "at_months": [20]}, month=6, lost=0.9)
    assert reasons_against(case)
    design = case.designs()["adaptive"]
    cohort = case.population.draw(3, 0, 500, case.endpoints)
    record = run(design, cohort, design.endpoint.potential(cohort, "y", design.arms, case.truth("truth").of("y")))
    assert 0 < record.looks[0].took_place.mean() < 1
