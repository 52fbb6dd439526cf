"""Pauses of enrolment, and its end: who comes later, and who never comes.

A pause is a shift of dates: whoever would be enrolled after a look was due comes later by the length of the pause, with
all their days. When enrolment closes, the days of those who would come later are inf. (Apart from `timeline` because
the synopsis of a scenario needs it, and no compiled loop.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.contracts import Cohort, LookSchedule, Outcome, Potential

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array


class NextLook(NamedTuple):
    """When a look comes, and the calendar of the patients by then."""

    day: Float[Array, " R"]
    """Day of its analysis; inf where it never comes."""
    cohort: Cohort
    potential: Potential
    outcome: Outcome


def next_look(
    schedule: LookSchedule,
    index: int,
    cohort: Cohort,
    potential: Potential,
    outcome: Outcome,
    looked: Float[Array, " R"],
    closes_at: float = np.inf,
) -> NextLook:
    """Return when a look comes, with everybody who comes after its pause.

    Parameters
    ----------
    schedule, index
        The schedule and the number of the look, from 0.
    cohort, potential, outcome
        The patients as they would come if enrolment went on, and what happens to them on the arms they were dealt.
    looked
        Day of the look before, -inf for the first.
    closes_at
        Day on which enrolment closes; patients whom a pause moves beyond it never come.
    """
    due = schedule.day(index, cohort, outcome, looked)
    day = schedule.analysed(due, cohort, outcome)
    if day is due:
        return NextLook(due, cohort, potential, outcome)
    comes = np.isfinite(due)
    by = np.where(comes, day, 0.0) - np.where(comes, due, 0.0)
    wait = np.where(cohort.enrolled_at > due[:, None], by[:, None], 0.0)
    wait = np.where(cohort.enrolled_at + wait > closes_at, np.inf, wait)
    moved, then = later(cohort, potential, wait)
    left_at = None if outcome.left_at is None else outcome.left_at + wait
    return NextLook(day, moved, then, outcome._replace(known_at=outcome.known_at + wait[..., None], left_at=left_at))


def later(cohort: Cohort, potential: Potential, wait: Float[Array, "R N"]) -> tuple[Cohort, Potential]:
    """Return the patients with all their days later, each by some days of their own; inf for never."""
    moved = cohort._replace(enrolled_at=cohort.enrolled_at + wait, dropout_at=cohort.dropout_at + wait)
    return moved, _moved(potential, wait)


def with_them(others: Mapping[str, Potential], before: Cohort, after: Cohort) -> Mapping[str, Potential]:
    """Return what would happen on other endpoints, moved as the patients have been moved."""
    if after is before or not others:
        return others
    came = np.where(np.isfinite(before.enrolled_at), before.enrolled_at, 0.0)
    wait = np.where(np.isfinite(after.enrolled_at), after.enrolled_at - came, np.inf)
    return {name: _moved(potential, wait) for name, potential in others.items()}


def _moved(potential: Potential, wait: Float[Array, "R N"]) -> Potential:
    left_at = None if potential.left_at is None else potential.left_at + wait[:, :, None]
    return potential._replace(known_at=potential.known_at + wait[:, :, None, None], left_at=left_at)


def closed(cohort: Cohort, potential: Potential, day: float) -> tuple[Cohort, Potential]:
    """Return the patients with those who would enrol after a day never coming."""
    never = cohort.enrolled_at > day
    return later(cohort, potential, np.where(never, np.inf, 0.0)) if never.any() else (cohort, potential)


def enrolment_ends(cohort: Cohort, closes_at: float) -> tuple[Int[Array, " R"], Float[Array, " R"]]:
    """Return how many patients ever come, and the day on which enrolment closed before the last one; else -inf.

    Until that day nobody can know that no more patients come, so the final analysis is not before it.
    """
    number = np.isfinite(cohort.enrolled_at).sum(axis=1)
    return number, np.where(number < cohort.enrolled_at.shape[1], closes_at, -np.inf)


def all_settled(day: Float[Array, " R"], cohort: Cohort, outcome: Outcome) -> Float[Array, " R"]:
    """Return the day, if not before `day`, on which all enrolled by then have been assessed or have dropped out."""
    known_at = outcome.known_at[..., -1]
    settled = np.where(np.isfinite(known_at), known_at, outcome.leaves_at(cohort))
    enrolled = cohort.enrolled_at <= day[:, None]
    return np.maximum(day, np.where(enrolled, settled, -np.inf).max(axis=1))


def undisturbed(
    schedule: LookSchedule, cohort: Cohort, potential: Potential, closes_at: float = np.inf
) -> tuple[list[tuple[int, float, Cohort, Outcome]], NextLook]:
    """Return the looks of one trial that goes to the end, where outcomes do not depend on the arm.

    Returns
    -------
    list
        For each look that takes place: its number from 0, its day, and the patients and their outcomes by then.
    NextLook
        The patients as they came in the end, and the last day of their follow-up.
    """
    cohort, potential = closed(cohort, potential, closes_at)
    left_at = None if potential.left_at is None else potential.left_at[:, :, 0]
    outcome = Outcome(potential.value[:, :, 0], potential.known_at[:, :, 0], left_at)
    looks: list[tuple[int, float, Cohort, Outcome]] = []
    looked, end = np.full(1, -np.inf), _end(cohort, outcome, closes_at)
    for index in range(schedule.n_looks(cohort.enrolled_at.shape[1])):
        day, cohort, potential, outcome = next_look(schedule, index, cohort, potential, outcome, looked, closes_at)
        end = _end(cohort, outcome, closes_at)
        if looked[0] < day[0] < end[0]:
            looked = day
            looks.append((index, float(day[0]), cohort, outcome))
    return looks, NextLook(end, cohort, potential, outcome)


def _end(cohort: Cohort, outcome: Outcome, closes_at: float) -> Float[Array, " R"]:
    last = np.where(np.isfinite(cohort.enrolled_at), cohort.enrolled_at, -np.inf).max(axis=1)
    return np.maximum(all_settled(last, cohort, outcome), enrolment_ends(cohort, closes_at)[1])
