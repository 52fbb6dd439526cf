"""Time: dealing arms, picking outcomes, cutting at a day. The calendar of a trial is in these functions.

A patient is a row of dates and of uniforms, a look is a comparison with a date, and adapting is
re-dealing those who are not yet enrolled. There is no patient object and no event queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive import kernels
from sps_adaptive.contracts import Cohort, LookSchedule, Outcome, Potential, Snapshot, Spans

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Shaped

    from sps_adaptive.contracts import Array


def positions(cohort: Cohort, start: Int[Array, " R"], block: int) -> Float[Array, "R N"]:
    """Return where each patient from `start` on stands in [0, 1), for the inverse cdf to turn into an arm.

    Independent draws (`block` 0): the patient's own uniform. Quotas: the patients of a randomisation
    block of length b stand at (place + u) / b, in random order and with one u per block. An arm with
    probability p then gets floor(bp) or ceil(bp) of them and bp on average; where bp is a whole number
    this is the permuted block. After each look new blocks begin, as a new list would.

    Notes
    -----
    Systematic sampling (Madow 1949) applied to randomisation; the last block is as long as patients remain.
    """
    if block == 0:
        return cohort.u_arm
    place = np.zeros_like(cohort.u_arm)
    kernels.spread(place, cohort.u_arm, cohort.u_block, start, block)
    return place


def deal(
    arm: Int[Array, "R N"],
    probabilities: Float[Array, "R A"],
    position: Float[Array, "R N"],
    start: Int[Array, " R"],
) -> Int[Array, "R N"]:
    """Return the arms with everybody from `start` on dealt again by the inverse cdf; the others keep theirs."""
    dealt = arm.copy()
    kernels.deal(dealt, cumulative(probabilities), position, start)
    return dealt


def cumulative(probabilities: Float[Array, "R A"]) -> Float[Array, "R A"]:
    """Return running sums that end at exactly 1 on the last arm with a positive probability.

    Rounding could otherwise let a patient slip past the last open arm into a closed one.
    """
    total = np.cumsum(probabilities, axis=1)
    nothing_beyond = np.cumsum(probabilities[:, ::-1], axis=1)[:, ::-1] - probabilities <= 0
    return np.where(nothing_beyond, 1.0, total)


def pick(potential: Potential, arm: Int[Array, "R N"]) -> Outcome:
    """Return what happens to the patients on the arms they were dealt."""
    return Outcome(_pick(potential.value, arm), _pick(potential.known_at, arm))


def _pick(by_arm: Shaped[Array, "R N #A V"], arm: Int[Array, "R N"]) -> Float[Array, "R N V"]:
    if by_arm.shape[2] == 1:
        return by_arm[:, :, 0, :]
    picked = np.empty((*by_arm.shape[:2], by_arm.shape[3]), by_arm.dtype)
    kernels.pick(by_arm, arm, picked)
    return picked


def cut(
    day: Float[Array, " R"],
    cohort: Cohort,
    arm: Int[Array, "R N"],
    outcome: Outcome,
    n_arms: int,
    last_enrolled: Int[Array, " R"] | None = None,
    spans: Spans | None = None,
) -> Snapshot:
    """Return what can be known on a day.

    Parameters
    ----------
    day
        Calendar day of the look, one a replicate. What happens on the day itself is seen.
    last_enrolled
        Patients enrolled before enrolment was stopped; everybody, if it was not.
    spans
        Which patients each arm could be dealt to; None where all arms are there throughout.
    """
    replicates, patients = arm.shape
    if last_enrolled is None:
        last_enrolled = np.full(replicates, patients)
    seen_arm = np.full(arm.shape, -1, arm.dtype)
    known = np.zeros(outcome.value.shape, bool)
    # Yes or no needs no more than single precision, and half the memory is half the time.
    seen = np.full(outcome.value.shape, np.nan, np.float32 if outcome.value.dtype == bool else np.float64)
    pending = np.zeros(replicates, np.int64)
    enrolled, assessed = np.zeros((2, replicates, n_arms), np.int64)
    total = np.zeros((replicates, n_arms))
    kernels.cut(
        day, cohort.enrolled_at, cohort.dropout_at, arm, outcome.value, outcome.known_at,
        last_enrolled, seen_arm, known, seen, pending, enrolled, assessed, total,
    )  # fmt: skip
    return Snapshot(day, seen_arm, known, seen, cohort.covariates, pending, enrolled, assessed, total, spans)


def n_enrolled_by(day: Float[Array, " R"], cohort: Cohort) -> Int[Array, " R"]:
    """Return how many patients are enrolled by the end of a day."""
    return (cohort.enrolled_at <= day[:, None]).sum(axis=1)


def last_day(cohort: Cohort, outcome: Outcome, last_enrolled: Int[Array, " R"]) -> Float[Array, " R"]:
    """Return the day on which the first `last_enrolled` have all been assessed or have dropped out."""
    day = np.full(len(last_enrolled), -np.inf)
    kernels.last_settled(outcome.known_at, cohort.dropout_at, last_enrolled, day)
    return day


# ------------------------------------------------------------------- pauses, and the end of enrolment


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
    arm: Int[Array, "R N"],
    looked: Float[Array, " R"],
    closes_at: float = np.inf,
) -> NextLook:
    """Return when a look comes, with everybody who comes after its pause.

    Parameters
    ----------
    schedule, index
        The schedule and the number of the look, from 0.
    cohort, potential, arm
        The patients as they would come if enrolment went on.
    looked
        Day of the look before, -inf for the first.
    closes_at
        Day on which enrolment closes; patients whom a pause moves beyond it never come.
    """
    outcome = pick(potential, arm)
    due = schedule.day(index, cohort, outcome, looked)
    day = schedule.analysed(due, cohort, outcome)
    if day is due:
        return NextLook(due, cohort, potential, outcome)
    by = np.where(np.isfinite(due), day - np.where(np.isfinite(due), due, 0.0), 0.0)
    cohort, potential = closed(*postponed(cohort, potential, due, by), closes_at)
    return NextLook(day, cohort, potential, pick(potential, arm))


def postponed(
    cohort: Cohort, potential: Potential, after: Float[Array, " R"], by: Float[Array, " R"]
) -> tuple[Cohort, Potential]:
    """Return the patients with everybody who would enrol after a day coming later, by some days."""
    shift = np.where(cohort.enrolled_at > after[:, None], by[:, None], 0.0)
    moved = cohort._replace(enrolled_at=cohort.enrolled_at + shift, dropout_at=cohort.dropout_at + shift)
    return moved, potential._replace(known_at=potential.known_at + shift[:, :, None, None])


def closed(cohort: Cohort, potential: Potential, day: float) -> tuple[Cohort, Potential]:
    """Return the patients with those who would enrol after a day never coming: all their days are inf."""
    never = cohort.enrolled_at > day
    if not never.any():
        return cohort, potential
    gone = cohort._replace(
        enrolled_at=np.where(never, np.inf, cohort.enrolled_at), dropout_at=np.where(never, np.inf, cohort.dropout_at)
    )
    return gone, potential._replace(known_at=np.where(never[:, :, None, None], np.inf, potential.known_at))


def enrolment_ends(cohort: Cohort, closes_at: float) -> tuple[Int[Array, " R"], Float[Array, " R"]]:
    """Return how many patients ever come, and the day on which enrolment closed before the last one; else -inf.

    Until that day nobody can know that no more patients come, so the final analysis is not before it.
    """
    number = np.isfinite(cohort.enrolled_at).sum(axis=1)
    return number, np.where(number < cohort.enrolled_at.shape[1], closes_at, -np.inf)


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
    arm = np.zeros(cohort.enrolled_at.shape, np.int8)
    looks: list[tuple[int, float, Cohort, Outcome]] = []
    looked, outcome = np.full(1, -np.inf), pick(potential, arm)
    for index in range(schedule.n_looks(cohort.enrolled_at.shape[1])):
        coming = next_look(schedule, index, cohort, potential, arm, looked, closes_at)
        number, closed_on = enrolment_ends(coming.cohort, closes_at)
        end = np.maximum(last_day(coming.cohort, coming.outcome, number), closed_on)
        _, cohort, potential, outcome = coming
        if looked[0] < coming.day[0] < end[0]:
            looked = coming.day
            looks.append((index, float(looked[0]), cohort, outcome))
    number, closed_on = enrolment_ends(cohort, closes_at)
    return looks, NextLook(np.maximum(last_day(cohort, outcome, number), closed_on), cohort, potential, outcome)
