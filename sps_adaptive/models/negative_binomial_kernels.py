"""The posterior of rates given the dispersion, compiled: given it, and without covariates, the arms are independent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled
from sps_adaptive.posteriors.tabulated_kernels import accumulate

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

DROP = 18.0
"""A density ends where its logarithm is this much below that of the mode: at 6 standard deviations, if normal."""


@compiled
def rising(count: float, dispersion: float) -> float:
    r"""Return the sum over j < count of log(1 + j φ): log Γ(y + 1/φ) - log Γ(1/φ) + y log φ, without cancellation."""
    if count < 2.0 or dispersion == 0.0:
        return 0.0
    if count < 12.0:
        total = 0.0
        for j in range(1, int(count)):
            total += math.log1p(j * dispersion)
        return total
    size = 1 / dispersion
    if size < 20.0:
        return math.lgamma(count + size) - math.lgamma(size) + count * math.log(dispersion)
    # Stirling's series of both, the leading terms taken together.
    end = count + size
    tail = 0.0
    for z, sign in ((end, 1.0), (size, -1.0)):
        inverse = 1 / (z * z)
        tail += sign / z * (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680)))
    return (end - 0.5) * math.log1p(count * dispersion) - count + tail


@compiled
def group(
    arm: Int[Array, " N"],
    known: Bool[Array, " N"],
    weeks: Float[Array, " N"],
    count: Float[Array, " N"],
    number: Int[Array, " A"],
    of_weeks: Float[Array, "A N"],
    of_patients: Float[Array, "A N"],
    of_events: Float[Array, "A N"],
) -> None:
    """Gather patients, events and weeks of each arm by how long the diary was kept, in place."""
    number[:] = 0
    for i in range(len(arm)):
        if not known[i]:
            continue
        a = arm[i]
        g = 0
        while g < number[a] and of_weeks[a, g] != weeks[i]:
            g += 1
        if g == number[a]:
            number[a] += 1
            of_weeks[a, g], of_patients[a, g], of_events[a, g] = weeks[i], 0.0, 0.0
        of_patients[a, g] += 1
        of_events[a, g] += count[i]


@compiled
def log_density(
    rate: float,
    dispersion: float,
    number: int,
    of_weeks: Float[Array, " N"],
    of_patients: Float[Array, " N"],
    of_events: Float[Array, " N"],
    prior_mean: float,
    prior_sd: float,
) -> tuple[float, float, float]:
    """Return log likelihood plus log prior of a log rate, but for what does not depend on it; and two derivatives."""
    z = (rate - prior_mean) / prior_sd
    value, slope, bend = -z * z / 2, -z / prior_sd, -1 / (prior_sd * prior_sd)
    one_week = math.exp(rate)
    for g in range(number):
        mean = one_week * of_weeks[g]
        more = 1 + dispersion * mean
        if dispersion > 0.0:
            value -= (of_events[g] + of_patients[g] / dispersion) * math.log1p(dispersion * mean)
        else:
            value -= of_patients[g] * mean
        value += of_events[g] * rate
        pull = (dispersion * of_events[g] + of_patients[g]) * mean / more
        slope += of_events[g] - pull
        bend -= pull / more
    return value, slope, bend


@compiled
def summit(
    start: float,
    dispersion: float,
    number: int,
    of_weeks: Float[Array, " N"],
    of_patients: Float[Array, " N"],
    of_events: Float[Array, " N"],
    prior_mean: float,
    prior_sd: float,
) -> tuple[float, float, float]:
    """Return the mode of a log rate, the log density there and its curvature, by bracketed Newton steps.

    The log density is concave, so that the sign of its slope says on which side the mode lies.
    """
    rate, lower, upper = start, -math.inf, math.inf
    value, slope, bend = 0.0, 0.0, 0.0
    for _ in range(200):
        value, slope, bend = log_density(
            rate, dispersion, number, of_weeks, of_patients, of_events, prior_mean, prior_sd
        )
        move = -slope / bend
        if abs(move) * math.sqrt(-bend) < 1e-4:
            break
        if slope > 0:
            lower = rate
        else:
            upper = rate
        move = min(max(move, -3.0), 3.0)
        if not lower < rate + move < upper:
            move = (lower + upper) / 2 - rate
        rate += move
    return rate, value - slope * slope / bend / 2, bend


@compiled
def edge(
    mode: float,
    top: float,
    step: float,
    dispersion: float,
    number: int,
    of_weeks: Float[Array, " N"],
    of_patients: Float[Array, " N"],
    of_events: Float[Array, " N"],
    prior_mean: float,
    prior_sd: float,
) -> float:
    """Return a point on the side of `step` where the log density is some 18 to 19 below its top, by Newton steps.

    Newton's steps on a concave function come from outside; the first point goes outward until it is there.
    """
    rate = mode + step
    value, slope, _ = log_density(rate, dispersion, number, of_weeks, of_patients, of_events, prior_mean, prior_sd)
    for _ in range(60):
        if top - value >= DROP:
            break
        rate += step / 2
        value, slope, _ = log_density(rate, dispersion, number, of_weeks, of_patients, of_events, prior_mean, prior_sd)
    for _ in range(60):
        if top - value <= DROP + 1:
            break
        rate -= (value - (top - DROP - 0.5)) / slope
        value, slope, _ = log_density(rate, dispersion, number, of_weeks, of_patients, of_events, prior_mean, prior_sd)
    return rate


@compiled
def evidence(
    log_dispersion: float,
    counts: Float[Array, " C"],
    number: Int[Array, " A"],
    of_weeks: Float[Array, "A N"],
    of_patients: Float[Array, "A N"],
    of_events: Float[Array, "A N"],
    prior_mean: Float[Array, " A"],
    prior_sd: Float[Array, " A"],
    dispersion_mean: float,
    dispersion_sd: float,
    mode: Float[Array, " A"],
) -> float:
    """Return the log posterior density of the log dispersion by Laplace's method: good enough to place a grid."""
    dispersion = math.exp(log_dispersion)
    z = (log_dispersion - dispersion_mean) / dispersion_sd
    total = -z * z / 2
    for one in counts:
        total += rising(one, dispersion)
    for a in range(len(number)):
        mode[a], top, bend = summit(
            mode[a], dispersion, number[a], of_weeks[a], of_patients[a], of_events[a], prior_mean[a], prior_sd[a]
        )
        total += top - math.log(-bend) / 2
    return total


@compiled
def highest_between(
    low: float,
    high: float,
    counts: Float[Array, " C"],
    number: Int[Array, " A"],
    of_weeks: Float[Array, "A N"],
    of_patients: Float[Array, "A N"],
    of_events: Float[Array, "A N"],
    prior_mean: Float[Array, " A"],
    prior_sd: Float[Array, " A"],
    dispersion_mean: float,
    dispersion_sd: float,
    mode: Float[Array, " A"],
) -> tuple[float, float]:
    """Return where between two log dispersions the evidence is highest, and how high, by golden sections."""
    data = (counts, number, of_weeks, of_patients, of_events, prior_mean, prior_sd, dispersion_mean, dispersion_sd)
    golden = (math.sqrt(5.0) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = evidence(left, *data, mode), evidence(right, *data, mode)
    for _ in range(9):
        if at_left > at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = evidence(left, *data, mode)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = evidence(right, *data, mode)
    return (left, at_left) if at_left > at_right else (right, at_right)


@compiled
def ends(
    counts: Float[Array, " C"],
    number: Int[Array, " A"],
    of_weeks: Float[Array, "A N"],
    of_patients: Float[Array, "A N"],
    of_events: Float[Array, "A N"],
    prior_mean: Float[Array, " A"],
    prior_sd: Float[Array, " A"],
    dispersion_mean: float,
    dispersion_sd: float,
    mode: Float[Array, " A"],
) -> tuple[float, float]:
    """Return the log dispersions between which the posterior lies: it has fallen by e^-18 at both, or the prior has.

    A coarse grid over six prior standard deviations, golden sections around its highest point, bisection at the ends.
    """
    data = (counts, number, of_weeks, of_patients, of_events, prior_mean, prior_sd, dispersion_mean, dispersion_sd)
    points = 17
    gap = 12 * dispersion_sd / (points - 1)
    first = dispersion_mean - 6 * dispersion_sd
    at = np.empty(points)
    highest = 0
    for i in range(points):
        at[i] = evidence(first + i * gap, *data, mode)
        if at[i] > at[highest]:
            highest = i
    low, high = first + (highest - 1) * gap, first + (highest + 1) * gap
    middle, top = highest_between(low, high, *data, mode)
    begin, end = 0, points - 1
    while begin < points and at[begin] <= top - DROP and first + begin * gap < middle:
        begin += 1
    while end >= 0 and at[end] <= top - DROP and first + end * gap > middle:
        end -= 1
    found = np.array([first, first + (points - 1) * gap])
    for side, place in ((0, begin), (1, end)):
        if place > 0 if side == 0 else place < points - 1:
            inside = first + place * gap
            outside = inside - gap if side == 0 else inside + gap
            if (side == 0 and inside > middle) or (side == 1 and inside < middle):
                inside = middle
            for _ in range(5):
                between = (inside + outside) / 2
                if evidence(between, *data, mode) > top - DROP:
                    inside = between
                else:
                    outside = between
            found[side] = outside
    return found[0], found[1]


@compiled
def tabulate(
    dispersion: float,
    number: int,
    of_weeks: Float[Array, " N"],
    of_patients: Float[Array, " N"],
    of_events: Float[Array, " N"],
    prior_mean: float,
    prior_sd: float,
    sign: float,
    guess: float,
    work: Float[Array, "3 G"],
    table: Float[Array, "G 3"],
) -> tuple[float, float, float, float]:
    """Fill the table of one arm's oriented log rate; return mode, start, step and log integral."""
    of_arm = (dispersion, number, of_weeks, of_patients, of_events, prior_mean, prior_sd)
    points = table.shape[0]
    mode, top, curve = summit(guess, *of_arm)
    reach = 6.5 / math.sqrt(-curve)
    lower, upper = edge(mode, top, -reach, *of_arm), edge(mode, top, reach, *of_arm)
    step = (upper - lower) / (points - 1)
    for j in range(points):
        value, slope, bend = log_density(lower + j * step if sign > 0 else upper - j * step, *of_arm)
        work[0, j] = math.exp(value - top)
        work[1, j] = sign * slope * work[0, j]
        work[2, j] = (bend + slope * slope) * work[0, j]
    whole = accumulate(work[0], work[1], work[2], step, table)
    return mode, (lower if sign > 0 else -upper), step, top + math.log(whole)


@compiled
def fill_posterior(
    arm: Int[Array, "R N"],
    known: Bool[Array, "R N"],
    weeks: Float[Array, "R N"],
    count: Float[Array, "R N"],
    prior_mean: Float[Array, " A"],
    prior_sd: Float[Array, " A"],
    dispersion_mean: float,
    dispersion_sd: float,
    sign: float,
    log_dispersion: Float[Array, "R D"],
    weight: Float[Array, "R D"],
    start: Float[Array, "R D A"],
    step: Float[Array, "R D A"],
    table: Float[Array, "R D A G 3"],
) -> None:
    """Fill the posterior of oriented log rates on a grid of log dispersions, in place.

    With a single point (D = 1) the counts are Poisson. The grid of log dispersions reaches as far as their posterior
    does in each replicate.
    """
    replicates, nodes, arms, points, _ = table.shape
    patients = arm.shape[1]
    number = np.empty(arms, np.int64)
    of_weeks, of_patients, of_events = (
        np.empty((arms, patients)),
        np.empty((arms, patients)),
        np.empty((arms, patients)),
    )
    all_counts, mode, work = np.empty(patients), np.empty(arms), np.empty((3, points))
    for r in range(replicates):
        group(arm[r], known[r], weeks[r], count[r], number, of_weeks, of_patients, of_events)
        several = 0
        for i in range(patients):
            if known[r, i] and count[r, i] > 1.0:  # fewer than two say nothing of the dispersion by themselves
                all_counts[several] = count[r, i]
                several += 1
        counts = all_counts[:several]
        for a in range(arms):
            events, kept = 0.5, 0.5 * math.exp(-prior_mean[a])
            for g in range(number[a]):
                events += of_events[a, g]
                kept += of_weeks[a, g] * of_patients[a, g]
            mode[a] = math.log(events / kept)
        low, high = 0.0, 0.0
        if nodes > 1:
            low, high = ends(
                counts, number, of_weeks, of_patients, of_events, prior_mean, prior_sd, dispersion_mean,
                dispersion_sd, mode,
            )  # fmt: skip
        for d in range(nodes):
            dispersion, total = 0.0, 0.0
            if nodes > 1:
                log_dispersion[r, d] = low + (high - low) * d / (nodes - 1)
                dispersion = math.exp(log_dispersion[r, d])
                z = (log_dispersion[r, d] - dispersion_mean) / dispersion_sd
                total = -z * z / 2
                for one in counts:
                    total += rising(one, dispersion)
            for a in range(arms):
                mode[a], start[r, d, a], step[r, d, a], whole = tabulate(
                    dispersion, number[a], of_weeks[a], of_patients[a], of_events[a], prior_mean[a], prior_sd[a],
                    sign, mode[a], work, table[r, d, a],
                )  # fmt: skip
                total += whole
            weight[r, d] = total
        largest = weight[r].max()
        for d in range(nodes):
            weight[r, d] = math.exp(weight[r, d] - largest)
        weight[r] /= weight[r].sum()
