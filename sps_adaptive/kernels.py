"""Loops over patients, compiled with numba because they were measured to matter.

Each kernel is a dozen lines that a reader of Python can check, and has a plain numpy twin in the tests.
No kernel draws random numbers, uses fast-math, or runs threads: results must not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile with numba, keeping the machine code on disk where a writable cache folder exists."""
    try:
        return cast(F, njit(cache=True)(function))
    except RuntimeError:  # numba finds no folder for its cache: compile in every process instead
        return cast(F, njit(function))


@compiled
def deal(
    arm: Int[Array, "R N"],
    cumulative: Float[Array, "R A"],
    position: Float[Array, "R N"],
    start: Int[Array, " R"],
) -> None:
    """Deal arms, in place, to every patient from `start` on: the inverse cdf of `position`."""
    replicates, patients = arm.shape
    last = cumulative.shape[1] - 1
    for r in range(replicates):
        for n in range(start[r], patients):
            a = 0
            for k in range(last):  # counted rather than searched: no branch to mispredict
                a += position[r, n] >= cumulative[r, k]
            arm[r, n] = a


@compiled
def spread(
    position: Float[Array, "R N"],
    u_arm: Float[Array, "R N"],
    u_block: Float[Array, "R N"],
    start: Int[Array, " R"],
    block: int,
) -> None:
    """Place the patients of each randomisation block at systematic points, in random order, in place.

    Each patient draws one of the places that are left in the block, with luck that nobody else uses: when a look
    cuts a block short, the luck of those who come later is still fresh.
    """
    replicates, patients = position.shape
    free = np.empty(block, np.int64)
    for r in range(replicates):
        for first in range(start[r], patients, block):
            size = min(block, patients - first)
            for place in range(size):
                free[place] = place
            for taken in range(size):
                left = size - taken
                drawn = int(u_arm[r, first + taken] * left)
                place = free[drawn]
                for later in range(drawn, left - 1):
                    free[later] = free[later + 1]
                position[r, first + taken] = min((place + u_block[r, first]) / size, 1 - 2.0**-53)


@compiled
def pick(by_arm: Float[Array, "R N A V"], arm: Int[Array, "R N"], picked: Float[Array, "R N V"]) -> None:
    """Pick each patient's entry for the arm they were dealt, in place."""
    replicates, patients, _, visits = by_arm.shape
    for r in range(replicates):
        for n in range(patients):
            for v in range(visits):
                picked[r, n, v] = by_arm[r, n, arm[r, n], v]


@compiled
def cut(
    day: Float[Array, " R"],
    enrolled_at: Float[Array, "R N"],
    dropout_at: Float[Array, "R N"],
    arm: Int[Array, "R N"],
    value: Float[Array, "R N V"],
    known_at: Float[Array, "R N V"],
    last_enrolled: Int[Array, " R"],
    seen_arm: Int[Array, "R N"],
    known: Bool[Array, "R N V"],
    seen: Float[Array, "R N V"],
    arm_pending: Int[Array, "R A"],
    arm_enrolled: Int[Array, "R A"],
    arm_known: Int[Array, "R A"],
    arm_total: Float[Array, "R A"],
) -> None:
    """Fill what can be known on `day`; `seen_arm` comes as -1, `known` as False, `seen` as NaN, the counts as 0.

    Counts and totals are those of the last visit.
    """
    replicates, _, visits = value.shape
    for r in range(replicates):
        for n in range(last_enrolled[r]):
            if enrolled_at[r, n] > day[r]:
                break
            a = arm[r, n]
            seen_arm[r, n] = a
            arm_enrolled[r, a] += 1
            for v in range(visits):
                if known_at[r, n, v] <= day[r]:
                    known[r, n, v] = True
                    seen[r, n, v] = value[r, n, v]
            if known[r, n, visits - 1]:
                arm_known[r, a] += 1
                arm_total[r, a] += seen[r, n, visits - 1]
            elif dropout_at[r, n] > day[r]:
                arm_pending[r, a] += 1


@compiled
def last_settled(
    known_at: Float[Array, "R N V"],
    dropout_at: Float[Array, "R N"],
    last_enrolled: Int[Array, " R"],
    day: Float[Array, " R"],
) -> None:
    """Find the day by which the first `last_enrolled` have been assessed or have dropped out; `day` comes as -inf."""
    replicates, _, visits = known_at.shape
    for r in range(replicates):
        for n in range(last_enrolled[r]):
            settled = known_at[r, n, visits - 1]
            if settled == np.inf:
                settled = dropout_at[r, n]
            if settled > day[r]:
                day[r] = settled


@compiled
def arm_products(
    arm: Int[Array, "R N"],
    known: Bool[Array, "R N"],
    x: Float[Array, "R N"],
    y: Float[Array, "R N"],
    count: Int[Array, "R A"],
    mean_x: Float[Array, "R A"],
    mean_y: Float[Array, "R A"],
    xx: Float[Array, "R A"],
    xy: Float[Array, "R A"],
    yy: Float[Array, "R A"],
) -> None:
    """Means and centred sums of products of (x, y) by arm, in place, by Welford's updates.

    Never sums of squares: they cancel when the mean is large against the spread.
    """
    replicates, patients = arm.shape
    for r in range(replicates):
        for n in range(patients):
            if known[r, n]:
                a = arm[r, n]
                count[r, a] += 1
                before_x = x[r, n] - mean_x[r, a]
                before_y = y[r, n] - mean_y[r, a]
                mean_x[r, a] += before_x / count[r, a]
                mean_y[r, a] += before_y / count[r, a]
                after_x = x[r, n] - mean_x[r, a]
                after_y = y[r, n] - mean_y[r, a]
                xx[r, a] += before_x * after_x
                xy[r, a] += before_x * after_y
                yy[r, a] += before_y * after_y


def empty_sums(replicates: int, arms: int, number: int) -> tuple[Float[Array, "R A"], ...]:
    """Return `number` zeroed arrays for the sums above."""
    return tuple(np.zeros((replicates, arms)) for _ in range(number))
