"""Time: dealing arms, picking outcomes, cutting at a day. The calendar of a trial is in these functions.

A patient is a row of dates and of uniforms, a look is a comparison with a date, and adapting is
re-dealing those who are not yet enrolled. There is no patient object and no event queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive import kernels
from sps_adaptive.contracts import Cohort, Outcome, Potential, Snapshot, Spans

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
    left_at = None if potential.left_at is None else _pick(potential.left_at[..., None], arm)[..., 0]
    return Outcome(_pick(potential.value, arm), _pick(potential.known_at, arm), left_at)


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
    pending, enrolled, assessed = np.zeros((3, replicates, n_arms), np.int64)
    total = np.zeros((replicates, n_arms))
    kernels.cut(
        day, cohort.enrolled_at, outcome.leaves_at(cohort), arm, outcome.value, outcome.known_at,
        last_enrolled, seen_arm, known, seen, pending, enrolled, assessed, total,
    )  # fmt: skip
    n_pending = pending.sum(axis=1)
    return Snapshot(
        day, seen_arm, known, seen, cohort.covariates, n_pending, pending, enrolled, assessed, total, spans,
        cohort.strata,
    )  # fmt: skip


def followed(day: Float[Array, " R"], cohort: Cohort, arm: Int[Array, "R N"], outcome: Outcome) -> Float[Array, "R N"]:
    """Return how many days each patient has been on study by a day.

    Until that day, dropout or the last assessment, whichever comes first; 0 for patients not enrolled (`arm` -1). What
    is not known until later, such as a dropout to come, does not enter.
    """
    end = np.minimum(np.minimum(day[:, None], outcome.leaves_at(cohort)), outcome.known_at[..., -1])
    return np.where(arm >= 0, np.maximum(end - cohort.enrolled_at, 0.0), 0.0)


def n_enrolled_by(day: Float[Array, " R"], cohort: Cohort) -> Int[Array, " R"]:
    """Return how many patients are enrolled by the end of a day."""
    return (cohort.enrolled_at <= day[:, None]).sum(axis=1)


def last_day(cohort: Cohort, outcome: Outcome, last_enrolled: Int[Array, " R"]) -> Float[Array, " R"]:
    """Return the day on which the first `last_enrolled` have all been assessed or have dropped out."""
    day = np.full(len(last_enrolled), -np.inf)
    kernels.last_settled(outcome.known_at, outcome.leaves_at(cohort), last_enrolled, day)
    return day
