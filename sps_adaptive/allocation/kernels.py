"""Allocation row by row, compiled with numba: an engine that visits every state of a trial asks for millions of rows.

Rows are taken in lots. Within a lot the loop over arms is outside and the loop over rows inside, without branches (and
with `np.divide`, which does not ask whether the divisor is 0), so that the compiler computes several rows at once.
What a row gets does not depend on the other rows: each is computed by the same operations in the same order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array

LOT = 128
"""Rows in a lot: their numbers stay in the cache nearest to the processor."""
SMALLEST = 1e-12
"""What a weight of 0 counts as, beside a largest weight of 1."""


@compiled
def reach(
    scale: Float[Array, " L"],
    weight: Float[Array, "A L"],
    lower: Float[Array, "A L"],
    upper: Float[Array, "A L"],
    reached: Float[Array, " L"],
) -> None:
    """Fill what the arms get together when each gets `scale` times its weight, within its bounds."""
    arms, rows = weight.shape
    for i in range(rows):
        reached[i] = min(max(scale[i] * weight[0, i], lower[0, i]), upper[0, i])
    for a in range(1, arms):
        for i in range(rows):
            reached[i] += min(max(scale[i] * weight[a, i], lower[a, i]), upper[a, i])


@compiled
def find_scale(
    weight: Float[Array, "A L"],
    lower: Float[Array, "A L"],
    upper: Float[Array, "A L"],
    total: Float[Array, " L"],
    scale: Float[Array, " L"],
) -> None:
    """Fill the scale at which `reach` is the total: on the line between the two corners on either side of it."""
    arms, rows = weight.shape
    room = np.empty((5, rows))
    low, high, corner, below, above = room[0], room[1], room[2], room[3], room[4]
    for i in range(rows):
        low[i] = -1.0
        high[i] = np.inf
    for a in range(arms):
        for bound in (lower, upper):
            edge = bound[a]
            for i in range(rows):
                corner[i] = np.divide(edge[i], max(weight[a, i], SMALLEST))
            reach(corner, weight, lower, upper, below)
            for i in range(rows):
                short = below[i] < total[i] - 1e-15
                low[i] = max(low[i], corner[i] if short else -1.0)
                high[i] = min(high[i], np.inf if short else corner[i])
    for i in range(rows):  # a total of all the floors, or of all the ceilings, has corners on one side only
        first, last = low[i], high[i]
        low[i] = last if first < 0.0 else first
        high[i] = first if last == np.inf else last
    reach(low, weight, lower, upper, below)
    reach(high, weight, lower, upper, above)
    for i in range(rows):
        rise = above[i] - below[i]
        rise = rise if rise > 0.0 else 1.0
        scale[i] = low[i] + (high[i] - low[i]) * min(max(np.divide(total[i] - below[i], rise), 0.0), 1.0)


@compiled
def project_lot(
    weight: Float[Array, "A L"],
    lower: Float[Array, "A L"],
    upper: Float[Array, "A L"],
    total: Float[Array, " L"],
) -> None:
    """Replace the weights of a lot by their projections, in place; the formula is in `bounds.project`."""
    arms, rows = weight.shape
    room = np.empty((5, rows))
    largest, whole, outside, proportional, exact = room[0], room[1], room[2], room[3], room[4]
    for i in range(rows):
        largest[i] = 1e-300
        whole[i] = 0.0
        outside[i] = 0.0
    for a in range(arms):
        for i in range(rows):
            some = weight[a, i] if upper[a, i] > 0.0 else 0.0
            weight[a, i] = some
            largest[i] = max(largest[i], some)
    for a in range(arms):
        for i in range(rows):
            held = max(np.divide(weight[a, i], largest[i]), SMALLEST)
            held = held if upper[a, i] > 0.0 else 0.0
            weight[a, i] = held
            whole[i] += held
    for i in range(rows):
        proportional[i] = np.divide(total[i], max(whole[i], 1e-300))
    for a in range(arms):
        for i in range(rows):
            share = weight[a, i] * proportional[i]
            outside[i] += 1.0 if (share < lower[a, i]) | (share > upper[a, i]) else 0.0
    if outside.max() == 0.0:  # inside the bounds the proportional share is the projection
        for a in range(arms):
            for i in range(rows):
                weight[a, i] *= proportional[i]
        return
    find_scale(weight, lower, upper, total, exact)
    for a in range(arms):
        for i in range(rows):
            share = weight[a, i] * proportional[i]
            within = min(max(weight[a, i] * exact[i], lower[a, i]), upper[a, i])
            weight[a, i] = within if outside[i] > 0.0 else share


@compiled
def project_rows(
    weights: Float[Array, "R A"],
    lower: Float[Array, "R A"],
    upper: Float[Array, "R A"],
    total: Float[Array, " R"],
    projected: Float[Array, "R A"],
) -> None:
    """Fill the projections of all rows; see `bounds.project`."""
    replicates, arms = weights.shape
    weight, low, high = np.zeros((arms, LOT)), np.zeros((arms, LOT)), np.zeros((arms, LOT))
    sums = np.zeros(LOT)
    for first in range(0, replicates, LOT):
        size = min(LOT, replicates - first)  # what an earlier lot has left behind it does no harm
        for a in range(arms):
            for i in range(size):
                weight[a, i] = weights[first + i, a]
                low[a, i] = lower[first + i, a]
                high[a, i] = upper[first + i, a]
        for i in range(size):
            sums[i] = total[first + i]
        project_lot(weight, low, high, sums)
        for a in range(arms):
            for i in range(size):
                projected[first + i, a] = weight[a, i]


@compiled
def share_rows(
    weights: Float[Array, "R A"],
    is_open: Bool[Array, "R A"],
    control: int,
    share: Float[Array, " R"],
    floor: float,
    ceiling: float,
    shared: Float[Array, "R A"],
) -> None:
    """Fill the probabilities of all rows; see `bounds.control_first`.

    `control` is -1, and `share` unread, where the control competes with the other arms.
    """
    replicates, arms = weights.shape
    weight, lower, upper = np.zeros((arms, LOT)), np.zeros((arms, LOT)), np.zeros((arms, LOT))
    is_rival = np.zeros((arms, LOT))
    rivals, given, left, low, high = np.zeros(LOT), np.zeros(LOT), np.zeros(LOT), np.zeros(LOT), np.zeros(LOT)
    for first in range(0, replicates, LOT):
        size = min(LOT, replicates - first)  # what an earlier lot has left behind it does no harm
        own, is_there, answer = weights[first:], is_open[first:], shared[first:]
        rivals[:] = 0.0
        for a in range(arms):
            counts = 0.0 if a == control else 1.0
            for i in range(size):
                weight[a, i] = max(own[i, a], 1e-300)  # rivals of which none has any weight share equally
                rival = counts if is_there[i, a] else 0.0
                is_rival[a, i] = rival
                rivals[i] += rival
        if control >= 0:
            for i in range(size):
                beside = share[first + i] if is_there[i, control] else 0.0
                given[i] = beside if rivals[i] > 0.0 else 1.0
        for i in range(size):
            left[i] = 1.0 - given[i]
            # When arms have closed a ceiling may leave no place for everybody: then it is the equal share.
            equal = np.divide(left[i], max(rivals[i], 1.0))
            low[i] = min(equal, floor)
            high[i] = max(equal, ceiling)
        for a in range(arms):
            for i in range(size):
                lower[a, i] = low[i] * is_rival[a, i]
                upper[a, i] = high[i] * is_rival[a, i]
        project_lot(weight, lower, upper, left)
        for a in range(arms):
            for i in range(size):
                answer[i, a] = weight[a, i]
        if control >= 0:
            for i in range(size):
                answer[i, control] = given[i]


@compiled
def match_rows(best: Float[Array, "R A"], control: int, matched: Float[Array, "R A"]) -> None:
    """Fill `best` with the control's entry set to that of the best other arm, if that is not 0, rows scaled to 1."""
    replicates, arms = best.shape
    for r in range(replicates):
        rival = 0.0
        for a in range(arms):
            rival = max(rival, best[r, a] if a != control else 0.0)
        whole = 0.0
        for a in range(arms):
            matched[r, a] = rival if (a == control) & (rival > 0.0) else best[r, a]
            whole += matched[r, a]
        for a in range(arms):
            matched[r, a] = np.divide(matched[r, a], whole)
