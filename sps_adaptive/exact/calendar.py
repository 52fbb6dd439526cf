"""How many patients are enrolled, and how many assessed, at each look - where that is not left to chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.contracts import DAYS_PER_MONTH, Cohort, Potential
from sps_adaptive.decisions import PredictiveSuccess
from sps_adaptive.endpoints import Binary
from sps_adaptive.pauses import undisturbed
from sps_adaptive.population.steady import Steady
from sps_adaptive.scenario import ADAPTIVE, Scenario
from sps_adaptive.schedules import Assessed, Calendar, Events, NoLooks, ScheduleKind, Several

if TYPE_CHECKING:
    from sps_adaptive.contracts import Design

MOST_ARMS = 4
"""More arms have more states than any machine can hold for a trial worth the name."""


MOST_PATIENTS = 1000
"""Weights grow to the number of ways to choose half of the patients, which then is still a floating-point number."""


class LookAt(NamedTuple):
    """A look that takes place."""

    k: int
    """Its number in the schedule, from 0."""
    enrolled: int
    settled: int
    """Of them, those whose assessment is due by then; all others are assessed later."""
    month: float | None
    """When; None where it is left to chance."""


class Course(NamedTuple):
    """The looks of a trial, counted in patients."""

    patients: int
    looks: tuple[LookAt, ...]
    missing: float
    """Probability that a patient is lost before the assessment."""
    enrolled_month: tuple[float, ...] | None
    """When each patient is enrolled; None where it is left to chance."""
    months_to_assessment: float
    window: float
    """Months by which a visit may fall earlier or later than planned."""
    dropout_rate: float
    """Dropouts a month, of those who are still there."""

    @property
    def n_looks(self) -> int:
        """Looks that take place, at most."""
        return len(self.looks)


def reasons_against(scenario: Scenario) -> list[str]:
    """Return why a scenario cannot be computed exactly; empty if it can.

    Sentences without a full stop, for a person who reads "simulated, because ...". How large the computation would
    be is another question (`budget`).
    """
    found = reasons_against_paths(scenario)
    drifting = [name for name in scenario.truths if scenario.drifts(name, scenario.endpoint_name)]
    if drifting:
        found.append(f"the response rates of the truth '{drifting[0]}' change with the month of enrolment")
    return found


def reasons_against_paths(scenario: Scenario) -> list[str]:
    """Return why the paths of a trial cannot be summed, whatever its truths; empty if they can."""
    found = []
    if scenario.analysis[scenario.endpoint_name].scale != "probability" and scenario.endpoint.kind == "binary":
        return [f"its analysis is {scenario.analysis[scenario.endpoint_name].kind}: sums over all paths need counts"]
    if any(truth.effects or any(truth.site_sd.values()) for truth in scenario.truths.values()):
        return ["covariates or sites have an effect: patients differ, and counts do not tell all"]
    if scenario.endpoint.kind != "binary":
        return [f"its endpoint is {scenario.endpoint.kind}: sums over all paths need a binary one"]
    if len(scenario.arms) > MOST_ARMS:
        found.append(f"it has {len(scenario.arms)} arms: sums over all paths are feasible for at most {MOST_ARMS}")
    if scenario.population.patients > MOST_PATIENTS:
        found.append(
            f"it has {scenario.population.patients:,} patients: weights of more than {MOST_PATIENTS:,} overflow"
        )
    if scenario.is_platform:
        found.append("arms open or close in the course of the trial by its protocol")
    if closing := _about_closing(scenario):
        found.append(closing)
    if (realisation := scenario.allocation.realisation_kind()).remembers:
        found.append(
            f"{realisation.kind} realisation looks back on {realisation.remembers}, which sums over paths do not keep"
        )
    if isinstance(scenario.looks, NoLooks) or found:
        return found
    nobody_pending = scenario.endpoint.assessed_at_month == 0 or (
        scenario.looks.pause == "until_assessed" and missing_probability(scenario) == 0
    )
    if not nobody_pending and scenario.allocation.counts_enrolled:
        found.append(
            f"{scenario.allocation.kind} allocation depends on the patients enrolled on each arm, and at a look some "
            "of them are pending"
        )
    settled = nobody_pending or scenario.looks.pause == "until_assessed"
    if not settled and any(isinstance(rule, PredictiveSuccess) and rule.counts_pending for _, rule in scenario.rules()):
        found.append("a rule on predictive success asks on which arms patients are pending at a look")
    found += _about_looks(scenario, scenario.looks)
    return found


def _about_closing(scenario: Scenario) -> str:
    """Return why it is not certain that everybody is enrolled before enrolment closes; empty if it is."""
    population = scenario.population
    if population.closes_at_month is None:
        return ""
    closes = f"enrolment closes in month {population.closes_at_month:g}"
    if not isinstance(population.accrual, Steady):
        return f"with {population.accrual.kind} accrual the number of patients by the time {closes} is random"
    fixed = int((_cohort(scenario).enrolled_at <= population.closes_at).sum())
    if fixed < population.patients:
        return (
            f"{closes}, when {fixed} of {population.patients} patients have come (with patients: {fixed} it can be "
            "computed)"
        )
    if _pauses(scenario):
        return f"{closes}, and pauses may keep patients from coming before (leave one of the two out)"
    return ""


def _about_looks(scenario: Scenario, looks: ScheduleKind) -> list[str]:
    """Return why it is left to chance how many are enrolled and assessed at each look; empty if it is certain."""
    assert not isinstance(looks, NoLooks)
    immediate, lost = scenario.endpoint.assessed_at_month == 0, missing_probability(scenario) > 0
    accrual, window = scenario.population.accrual, scenario.endpoint.window_months
    members = looks.of if isinstance(looks, Several) else [looks]
    by_calendar = looks.minimum_months is not None or any(isinstance(each, Calendar) for each in members)
    by_outcome = looks.minimum_assessed is not None or any(isinstance(each, Assessed) for each in members)
    everybody = looks.pause == "until_assessed"
    if any(isinstance(each, Events) for each in members):
        return ["how many are enrolled and known at a look at the n-th event is random"]
    if everybody and not by_calendar and not by_outcome:
        return []  # everybody enrolled is settled at each look, however long that takes
    random = not isinstance(accrual, Steady)
    if random and by_calendar:
        return [f"with {accrual.kind} accrual the number of patients at a look by the calendar is random"]
    if random and not immediate:
        return [
            f"with {accrual.kind} accrual and outcomes that come {scenario.endpoint.assessed_at_month:g} months later, "
            "how many are known at a look is random (accrual: {kind: steady} makes it certain)"
        ]
    if immediate:
        return []
    if lost and by_outcome:
        return [
            "with dropouts, how many are enrolled at the look at the n-th outcome is random (looks: {kind: enrolled} "
            "makes it certain)"
        ]
    if everybody and (lost or window):
        return ["how long enrolment pauses is random (without dropouts and with window_months: 0 it is certain)"]
    if window and (_merges(looks) or _settled(scenario, 0.0) != _settled(scenario, 1.0)):
        return [
            "patients may be seen just before or just after a look, as their visit window falls (window_months: 0, or "
            "looks at other numbers, make it certain)"
        ]
    if lost and any(enrolled == scenario.population.patients for _, enrolled, _, _ in _settled(scenario, 0.5)):
        return ["with dropouts, a look after the last patient may or may not take place"]
    return []


def _merges(looks: ScheduleKind) -> bool:
    """Return whether looks may become one: then visits at the ends of their windows do not bound what may happen."""
    return not isinstance(looks, NoLooks) and looks.merges


def _pauses(scenario: Scenario) -> bool:
    return not isinstance(scenario.looks, NoLooks) and scenario.looks.pause is not None


def missing_probability(scenario: Scenario) -> float:
    r"""Return the probability that a patient drops out before the assessment.

    With the rate :math:`\lambda`, the planned month m and a window of w months to either side, in which the visit
    falls anywhere alike, :math:`1 - e^{-\lambda m} \sinh(\lambda w) / (\lambda w)`.
    """
    rate = dropout_rate(scenario)
    month, window = scenario.endpoint.assessed_at_month, scenario.endpoint.window_months
    if rate == 0 or month == 0:
        return 0.0
    spread = np.sinh(rate * window) / (rate * window) if window else 1.0
    return float(1 - np.exp(-rate * month) * spread)


def dropout_rate(scenario: Scenario) -> float:
    """Return dropouts a month, of those who are still there."""
    dropout = scenario.population.dropout
    return float(-np.log1p(-dropout.proportion) / dropout.by_month) if dropout else 0.0


def course(scenario: Scenario, design: Design | None = None) -> Course:
    """Return the looks of a design of the scenario, by default its own.

    The scenario must have passed `reasons_against`.
    """
    design = design or scenario.designs()[ADAPTIVE]
    certain = isinstance(scenario.population.accrual, Steady)
    looks: list[tuple[int, int, int, float]] = []
    cohort = _cohort(scenario)
    if not isinstance(design.schedule, NoLooks):
        looks, cohort = _calendar(scenario, 0.5)
        certain = certain and not (_pauses(scenario) and _waits_at_random(scenario))
    enrolled = tuple((cohort.enrolled_at[0] / DAYS_PER_MONTH).tolist()) if certain else None
    return Course(
        patients=scenario.population.patients,
        looks=tuple(LookAt(*look) if certain else LookAt(*look[:3], None) for look in looks),
        missing=missing_probability(scenario),
        enrolled_month=enrolled,
        months_to_assessment=scenario.endpoint.assessed_at_month,
        window=scenario.endpoint.window_months,
        dropout_rate=dropout_rate(scenario),
    )


def _cohort(scenario: Scenario) -> Cohort:
    """Return one trial's patients, without dropouts: the calendar itself, from the code that the simulation uses."""
    endpoints = dict.fromkeys(scenario.endpoints, scenario.endpoint)
    cohort = scenario.population.draw(0, 0, 1, endpoints)
    return cohort._replace(dropout_at=np.full_like(cohort.dropout_at, np.inf))


def _waits_at_random(scenario: Scenario) -> bool:
    """Return whether a pause lasts until the last of some patients is seen or lost, and that day is random."""
    until = not isinstance(scenario.looks, NoLooks) and scenario.looks.pause == "until_assessed"
    return until and (missing_probability(scenario) > 0 or scenario.endpoint.window_months > 0)


def _settled(scenario: Scenario, u_visit: float) -> list[tuple[int, int, int, float]]:
    """Return number, enrolled, settled and month of each look, with every visit at this place in its window."""
    return _calendar(scenario, u_visit)[0]


def _calendar(scenario: Scenario, u_visit: float) -> tuple[list[tuple[int, int, int, float]], Cohort]:
    """Return the same, and the patients on the days on which they come, where enrolment pauses."""
    cohort = _cohort(scenario)
    cohort = cohort._replace(u_visit=np.full_like(cohort.u_visit, u_visit))
    assert isinstance(scenario.endpoint, Binary)  # sums are over a binary endpoint
    known_at = scenario.endpoint.known_at(cohort)
    looks = []
    found, end = undisturbed(scenario.looks, cohort, Potential(np.zeros(known_at.shape), known_at))
    for index, day, came, outcome in found:
        enrolled, known = int((came.enrolled_at[0] <= day).sum()), int((outcome.known_at[0, :, 0] <= day).sum())
        looks.append((index, enrolled, known, day / DAYS_PER_MONTH))
    return looks, end.cohort
