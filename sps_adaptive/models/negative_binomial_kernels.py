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
    counts: Float[Array, " N"],
    n_counts: int,
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
    for i in range(n_counts):
        total += rising(counts[i], dispersion)
    for a in range(len(number)):
        mode[a], top, bend = summit(
            mode[a], dispersion, number[a], of_weeks[a], of_patients[a], of_events[a], prior_mean[a], prior_sd[a]
        )
        total += top - math.log(-bend) / 2
    return total


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
    does in each replicate: its mode is found on a coarse grid and by golden sections, its ends by bisection.
    """
    replicates, nodes, arms, points, _ = table.shape
    patients = arm.shape[1]
    number = np.empty(arms, np.int64)
    of_weeks, of_patients, of_events = np.empty((arms, patients)), np.empty((arms, patients)), np.empty((arms, patients))
    counts, mode = np.empty(patients), np.empty(arms)
    density, slope, bend = np.empty(points), np.empty(points), np.empty(points)
    coarse, golden = 17, (math.sqrt(5.0) - 1) / 2
    at = np.empty(coarse)
    for r in range(replicates):
        group(arm[r], known[r], weeks[r], count[r], number, of_weeks, of_patients, of_events)
        n_counts = 0
        for i in range(patients):
            if known[r, i] and count[r, i] > 1.0:
                counts[n_counts] = count[r, i]
                n_counts += 1
        for a in range(arms):
            events, kept = 0.5, 0.5 * math.exp(-prior_mean[a])
            for g in range(number[a]):
                events += of_events[a, g]
                kept += of_weeks[a, g] * of_patients[a, g]
            mode[a] = math.log(events / kept)

        if nodes > 1:
            data = (counts, n_counts, number, of_weeks, of_patients, of_events, prior_mean, prior_sd)
            highest = 0
            for i in range(coarse):
                x = dispersion_mean + dispersion_sd * 6 * (2 * i / (coarse - 1) - 1)
                at[i] = evidence(x, *data, dispersion_mean, dispersion_sd, mode)
                if at[i] > at[highest]:
                    highest = i
            gap = dispersion_sd * 12 / (coarse - 1)
            first = dispersion_mean - 6 * dispersion_sd
            low, high = first + (highest - 1) * gap, first + (highest + 1) * gap
            inner, outer = high - golden * (high - low), low + golden * (high - low)
            at_inner = evidence(inner, *data, dispersion_mean, dispersion_sd, mode)
            at_outer = evidence(outer, *data, dispersion_mean, dispersion_sd, mode)
            for _ in range(9):
                if at_inner > at_outer:
                    high, outer, at_outer = outer, inner, at_inner
                    inner = high - golden * (high - low)
                    at_inner = evidence(inner, *data, dispersion_mean, dispersion_sd, mode)
                else:
                    low, inner, at_inner = inner, outer, at_outer
                    outer = low + golden * (high - low)
                    at_outer = evidence(outer, *data, dispersion_mean, dispersion_sd, mode)
            summit_at = inner if at_inner > at_outer else outer
            top = max(at_inner, at_outer)
            ends = (0.0, 0.0)
            for side in range(2):
                # From the outermost coarse point that matters outward, or from the mode if none does.
                inside, outside = summit_at, first + (coarse - 1) * gap * side
                for j in range(coarse):
                    i = j if side == 1 else coarse - 1 - j
                    x = first + i * gap
                    if (x > summit_at) == (side == 1) and x != summit_at:
                        if at[i] > top - DROP:
                            inside = x
                if (inside - outside) * (2 * side - 1) < 0:
                    outside = min(max(inside + (2 * side - 1) * gap, first), first + (coarse - 1) * gap)
                    if inside == summit_at:  # the mode lies between two coarse points
                        k = math.ceil((summit_at - first) / gap) if side == 1 else math.floor((summit_at - first) / gap)
                        outside = first + k * gap
                    for _ in range(5):
                        middle = (inside + outside) / 2
                        if evidence(middle, *data, dispersion_mean, dispersion_sd, mode) > top - DROP:
                            inside = middle
                        else:
                            outside = middle
                ends = (outside, ends[1]) if side == 0 else (ends[0], outside)
            for d in range(nodes):
                log_dispersion[r, d] = ends[0] + (ends[1] - ends[0]) * d / (nodes - 1)

        largest = -math.inf
        for d in range(nodes):
            dispersion, total = 0.0, 0.0
            if nodes > 1:
                dispersion = math.exp(log_dispersion[r, d])
                z = (log_dispersion[r, d] - dispersion_mean) / dispersion_sd
                total = -z * z / 2
                for i in range(n_counts):
                    total += rising(counts[i], dispersion)
            for a in range(arms):
                of_arm = (number[a], of_weeks[a], of_patients[a], of_events[a], prior_mean[a], prior_sd[a])
                mode[a], top, curve = summit(mode[a], dispersion, *of_arm)
                reach = 6.5 / math.sqrt(-curve)
                lower = edge(mode[a], top, -reach, dispersion, *of_arm)
                upper = edge(mode[a], top, reach, dispersion, *of_arm)
                width = (upper - lower) / (points - 1)
                for j in range(points):
                    rate = lower + j * width if sign > 0 else upper - j * width
                    value, first_derivative, second = log_density(rate, dispersion, *of_arm)
                    density[j] = math.exp(value - top)
                    slope[j] = sign * first_derivative * density[j]
                    bend[j] = (second + first_derivative * first_derivative) * density[j]
                start[r, d, a] = lower if sign > 0 else -upper
                step[r, d, a] = width
                total += top + math.log(accumulate(density, slope, bend, width, table[r, d, a]))
            weight[r, d] = total
            largest = max(largest, total)
        total = 0.0
        for d in range(nodes):
            weight[r, d] = math.exp(weight[r, d] - largest)
            total += weight[r, d]
        for d in range(nodes):
            weight[r, d] /= total
