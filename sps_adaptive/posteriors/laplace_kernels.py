"""The small linear algebra of Laplace's method, compiled: one data set or one walker after the other.

Walkers keep vectors in `point`: the candidate to be evaluated next, the best point at the present node, the direction
from it, the optimum at the last node and the tangent of the path there, and the same at the node before; and numbers
in `number_of`, by the names below.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

CANDIDATE, DONE, LOST = 0, 1, 2
"""States of a search: there is a point to evaluate; finished; no way on."""

SIDE_NODES = 32
"""Nodes on either side of the mode, at most."""

STEP = 0.7
"""Distance of neighbouring nodes in standard deviations, to begin with."""

FALL = 16.0
"""A side ends where the log density has fallen by so much from the mode."""

STEEP = 8.0
"""A step over which it falls by more than this is halved."""

FLAT = 1.0
"""Where it falls by less over a step, from the third on, the next one is longer."""

MOST_TRIES = 100
"""Evaluations at one node, at most."""

MODE_TOLERANCE = 1e-9
"""The squared length of the last Newton step to the mode, in units of the curvature."""

NODE_TOLERANCE = 1e-7
"""The same for the optimum at a node: the last step is not evaluated, but taken into account to second order."""

SHORTEST = 1e-7
"""Steps are not halved beyond this length."""

BEST, LENGTH, NODES, PLACE, ASIDE, REACHED, ORIGIN, TRIED, BEHIND = range(9)
"""Numbers of a walker: value at the best point of the present node (NaN before there is one), length of the present
step, nodes recorded, place of the last one, distance from it to the present one, height of the last one, what heights
are measured from, evaluations at the present node, distance between the last two."""


@compiled
def cholesky(matrix: Float[Array, "P P"], first: int, lower: Float[Array, "P P"], ridge: float) -> bool:
    """Decompose the matrix from row and column `first` on, plus a ridge; return whether it is positive definite."""
    n = len(matrix)
    for i in range(first, n):
        for j in range(first, i + 1):
            total = matrix[i, j]
            if i == j:
                total += ridge
            for k in range(first, j):
                total -= lower[i, k] * lower[j, k]
            if i == j:
                if not total > 1e-13 * abs(matrix[i, i]):
                    return False
                lower[i, i] = math.sqrt(total)
            else:
                lower[i, j] = total / lower[j, j]
    return True


@compiled
def decompose(matrix: Float[Array, "P P"], first: int, lower: Float[Array, "P P"]) -> bool:
    """Decompose with the ridge that is needed, if any; return whether none was."""
    if cholesky(matrix, first, lower, 0.0):
        return True
    n = len(matrix)
    largest = 1e-8
    for i in range(first, n):
        for j in range(first, n):
            if not math.isfinite(matrix[i, j]):
                for k in range(first, n):
                    for m in range(first, n):
                        lower[k, m] = 1.0 if k == m else 0.0
                return False
            largest = max(largest, abs(matrix[i, j]))
    ridge = 1e-3 * largest
    while not cholesky(matrix, first, lower, ridge):
        ridge *= 4.0
    return False


@compiled
def solve(lower: Float[Array, "P P"], first: int, vector: Float[Array, " P"], answer: Float[Array, " P"]) -> float:
    """Solve (lower lower') answer = vector from `first` on; return vector' answer."""
    n = len(lower)
    size = 0.0
    for i in range(first, n):
        total = vector[i]
        for k in range(first, i):
            total -= lower[i, k] * answer[k]
        answer[i] = total / lower[i, i]
        size += answer[i] * answer[i]
    for i in range(n - 1, first - 1, -1):
        total = answer[i]
        for k in range(i + 1, n):
            total -= lower[k, i] * answer[k]
        answer[i] = total / lower[i, i]
    return size


@compiled
def climb(
    rows: Int[Array, " M"],
    value: Float[Array, " M"],
    gradient: Float[Array, "M P"],
    hessian: Float[Array, "M P P"],
    found: Float[Array, "R P"],
    base: Float[Array, "R P"],
    direction: Float[Array, "R P"],
    best: Float[Array, " R"],
    length: Float[Array, " R"],
    curvature: Float[Array, "R P P"],
    state: Int[Array, " R"],
) -> None:
    """Take one step towards the mode of each data set of `rows`, in place; `found` was evaluated, and is moved."""
    n = found.shape[1]
    lower, step = np.zeros((n, n)), np.zeros(n)
    for m in range(len(rows)):
        r = rows[m]
        if value[m] >= best[r] - 1e-12 * abs(best[r]) and math.isfinite(value[m]):
            best[r] = value[m]
            for i in range(n):
                base[r, i] = found[r, i]
                for j in range(n):
                    curvature[r, i, j] = -hessian[m, i, j]
            proper = decompose(curvature[r], 0, lower)
            size = solve(lower, 0, gradient[m], step)
            if not math.isfinite(size):
                state[r] = LOST
                continue
            for i in range(n):
                direction[r, i] = step[i]
                found[r, i] = base[r, i] + step[i]
            length[r] = 1.0
            if proper and size < MODE_TOLERANCE:
                best[r] += size / 2.0
                state[r] = DONE
        else:
            length[r] /= 2.0
            if length[r] < SHORTEST or not math.isfinite(best[r]):
                state[r] = LOST
                continue
            for i in range(n):
                found[r, i] = base[r, i] + length[r] * direction[r, i]


@compiled
def covariances(curvature: Float[Array, "R P P"], failed: Bool[Array, " R"], covariance: Float[Array, "R P P"]) -> None:
    """Invert the curvatures, in place; where no mode was found, they are made positive definite first."""
    n = curvature.shape[1]
    lower, unit, column = np.zeros((n, n)), np.zeros(n), np.zeros(n)
    for r in range(len(curvature)):
        if failed[r] and not decompose(curvature[r], 0, lower):
            for i in range(n):
                for j in range(n):
                    curvature[r, i, j] = 0.0
                    for k in range(min(i, j) + 1):
                        curvature[r, i, j] += lower[i, k] * lower[j, k]
        decompose(curvature[r], 0, lower)
        for j in range(n):
            for i in range(n):
                unit[i] = 1.0 if i == j else 0.0
            solve(lower, 0, unit, column)
            for i in range(n):
                covariance[r, i, j] = column[i]


@compiled
def fill_correlations(
    functionals: Float[Array, "F P"], covariance: Float[Array, "R P P"], answer: Float[Array, "R F F"]
) -> None:
    """Fill the correlations of functionals, in place; they come as 0."""
    number, n = functionals.shape
    for r in range(len(covariance)):
        for f in range(number):
            for g in range(number):
                for i in range(n):
                    for j in range(n):
                        answer[r, f, g] += functionals[f, i] * covariance[r, i, j] * functionals[g, j]
        for f in range(number):
            for g in range(number):
                if f != g:
                    answer[r, f, g] /= math.sqrt(answer[r, f, f] * answer[r, g, g])
        for f in range(number):
            answer[r, f, f] = 1.0


@compiled
def rotate(matrix: Float[Array, "P P"], axis: Float[Array, " P"], turned: Float[Array, "P P"]) -> None:
    """Return H matrix H in place, with the reflection H = 1 - 2 u u' / u'u that takes w / |w| to ± the first axis."""
    n = len(axis)
    across = np.zeros(n)
    mean = 0.0
    for i in range(n):
        for j in range(n):
            across[i] += matrix[i, j] * axis[j]
        mean += across[i] * axis[i]
    for i in range(n):
        for j in range(n):
            turned[i, j] = matrix[i, j] - across[i] * axis[j] - axis[i] * across[j] + mean * axis[i] * axis[j]


@compiled
def reflect(vector: Float[Array, " P"], axis: Float[Array, " P"], turned: Float[Array, " P"]) -> None:
    """Return H vector, in place."""
    along = 0.0
    for i in range(len(axis)):
        along += axis[i] * vector[i]
    for i in range(len(axis)):
        turned[i] = vector[i] - along * axis[i]


@compiled
def reflection(w: Float[Array, " P"], axis: Float[Array, " P"]) -> tuple[float, float]:
    """Return |w| and the sign s of H w / |w| = s e_1; `axis` becomes u √2 / |u|."""
    n = len(w)
    norm = 0.0
    for i in range(n):
        norm += w[i] * w[i]
    norm = math.sqrt(norm)
    sign = 1.0 if w[0] >= 0.0 else -1.0
    size = 0.0
    for i in range(n):
        axis[i] = w[i] / norm + (sign if i == 0 else 0.0)
        size += axis[i] * axis[i]
    for i in range(n):
        axis[i] *= math.sqrt(2.0 / size)
    return norm, -sign


@compiled
def tangent_of(
    turned: Float[Array, "P P"],
    lower: Float[Array, "P P"],
    axis: Float[Array, " P"],
    norm: float,
    sign: float,
    tangent: Float[Array, " P"],
) -> None:
    """Return how the constrained optimum moves with the functional, in place, in the directions of the parameters."""
    n = len(axis)
    column, answer = np.zeros(n), np.zeros(n)
    for i in range(1, n):
        column[i] = -turned[i, 0] * sign / norm
    solve(lower, 1, column, answer)
    answer[0] = sign / norm
    reflect(answer, axis, tangent)


@compiled
def half_log_determinant(lower: Float[Array, "P P"], first: int) -> float:
    """Return half the log determinant of a matrix that is decomposed, from `first` on."""
    total = 0.0
    for i in range(first, len(lower)):
        total += math.log(lower[i, i])
    return total


@compiled
def normal_side(
    r: int,
    f: int,
    side: int,
    place: Float[Array, "R F K"],
    height: Float[Array, "R F K"],
    first: Int[Array, "R F"],
    last: Int[Array, "R F"],
) -> None:
    """Take one side of a marginal density from the normal distribution, in place."""
    nodes = math.ceil(math.sqrt(2.0 * FALL) / STEP)
    for k in range(1, nodes + 1):
        at = SIDE_NODES + side * k
        place[r, f, at] = side * k * STEP
        height[r, f, at] = -((k * STEP) ** 2) / 2.0
    if side > 0:
        last[r, f] = SIDE_NODES + nodes
    else:
        first[r, f] = SIDE_NODES - nodes


@compiled
def set_out(
    at: Float[Array, "R P"],
    value: Float[Array, " R"],
    curvature: Float[Array, "R P P"],
    covariance: Float[Array, "R P P"],
    mode_failed: Bool[Array, " R"],
    functionals: Float[Array, "F P"],
    mode: Float[Array, "R F"],
    unit: Float[Array, "R F"],
    place: Float[Array, "R F K"],
    height: Float[Array, "R F K"],
    first: Int[Array, "R F"],
    last: Int[Array, "R F"],
    failed: Bool[Array, "R F"],
    point: Float[Array, "7 W P"],
    number_of: Float[Array, "9 W"],
    state: Int[Array, " W"],
) -> None:
    """Put the walkers on their way to the first node, in place."""
    replicates, n = at.shape
    axis, turned, lower, tangent = np.zeros(n), np.zeros((n, n)), np.zeros((n, n)), np.zeros(n)
    for f in range(len(functionals)):
        norm, sign = reflection(functionals[f], axis)
        for r in range(replicates):
            variance = 0.0
            for i in range(n):
                mode[r, f] += functionals[f, i] * at[r, i]
                for j in range(n):
                    variance += functionals[f, i] * covariance[r, i, j] * functionals[f, j]
            unit[r, f] = math.sqrt(variance)
            rotate(curvature[r], axis, turned)
            proper = not mode_failed[r] and decompose(turned, 1, lower)
            if proper:
                tangent_of(turned, lower, axis, norm, sign, tangent)
            for s in range(2):
                walker = (r * len(functionals) + f) * 2 + s
                side = 2 * s - 1
                if not proper:
                    normal_side(r, f, side, place, height, first, last)
                    failed[r, f] = True
                    state[walker] = LOST
                    continue
                number_of[ORIGIN, walker] = value[r] - half_log_determinant(lower, 1)
                number_of[ASIDE, walker] = STEP
                number_of[BEST, walker] = math.nan
                for i in range(n):
                    point[3, walker, i] = at[r, i]
                    point[4, walker, i] = tangent[i]
                set_off(walker, functionals[f], mode[r, f], side * unit[r, f], point, number_of)


@compiled
def set_off(
    walker: int,
    w: Float[Array, " P"],
    mode: float,
    unit: float,
    point: Float[Array, "7 W P"],
    number_of: Float[Array, "9 W"],
) -> None:
    """Make the candidate of the next node, in place: on the cubic through the last two nodes and their tangents.

    At the mode there is only one: then the candidate is on the tangent. What rounding errors, which grow along the
    way, do to the functional itself is put right.
    """
    behind, ahead = number_of[BEHIND, walker], number_of[ASIDE, walker]
    if behind == 0.0:
        start, start_slope, end, end_slope = 0.0, 0.0, 1.0, ahead
    else:
        s = 1.0 + ahead / behind
        start, start_slope = (2.0 * s - 3.0) * s * s + 1.0, ((s - 2.0) * s + 1.0) * s * behind
        end, end_slope = 1.0 - start, (s - 1.0) * s * s * behind
    missing, size = mode + unit * (number_of[PLACE, walker] + ahead), 0.0
    for i in range(len(w)):
        along = start_slope * point[6, walker, i] + end_slope * point[4, walker, i]
        point[0, walker, i] = start * point[5, walker, i] + end * point[3, walker, i] + unit * along
        missing -= w[i] * point[0, walker, i]
        size += w[i] * w[i]
    for i in range(len(w)):
        point[0, walker, i] += missing * w[i] / size
    number_of[BEST, walker] = math.nan


@compiled
def step_on(
    walking: Int[Array, " M"],
    value: Float[Array, " M"],
    gradient: Float[Array, "M P"],
    hessian: Float[Array, "M P P"],
    functionals: Float[Array, "F P"],
    mode: Float[Array, "R F"],
    unit: Float[Array, "R F"],
    place: Float[Array, "R F K"],
    height: Float[Array, "R F K"],
    first: Int[Array, "R F"],
    last: Int[Array, "R F"],
    failed: Bool[Array, "R F"],
    point: Float[Array, "7 W P"],
    number_of: Float[Array, "9 W"],
    state: Int[Array, " W"],
) -> None:
    """Judge the candidate of each walker of `walking` and make the next one, in place."""
    n = point.shape[2]
    axes, norms, signs = np.zeros((len(functionals), n)), np.zeros(len(functionals)), np.zeros(len(functionals))
    for f in range(len(functionals)):
        norms[f], signs[f] = reflection(functionals[f], axes[f])
    turned, lower, tangent = np.zeros((n, n)), np.zeros((n, n)), np.zeros(n)
    slope, across, step, curvature = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros((n, n))
    for m in range(len(walking)):
        walker = walking[m]
        side = 2 * (walker % 2) - 1
        r, f = walker // 2 // len(functionals), walker // 2 % len(functionals)
        axis, here = axes[f], number_of[:, walker]
        here[TRIED] += 1.0
        lost = here[TRIED] > MOST_TRIES
        fresh = math.isnan(here[BEST])
        if not math.isfinite(value[m]) and fresh:
            here[ASIDE] /= 2.0
            lost = lost or here[ASIDE] < SHORTEST
            set_off(walker, functionals[f], mode[r, f], side * unit[r, f], point, number_of)
        elif fresh or value[m] >= here[BEST] - 1e-12 * abs(here[BEST]):
            for i in range(n):
                point[1, walker, i] = point[0, walker, i]
                for j in range(n):
                    curvature[i, j] = -hessian[m, i, j]
            rotate(curvature, axis, turned)
            reflect(gradient[m], axis, slope)
            proper = decompose(turned, 1, lower)
            size = solve(lower, 1, slope, across)
            lost = lost or not math.isfinite(size)
            across[0] = 0.0
            reflect(across, axis, step)
            here[BEST] = value[m]
            here[LENGTH] = 1.0
            for i in range(n):
                point[2, walker, i] = step[i]
                point[0, walker, i] = point[1, walker, i] + step[i]
            if proper and size < NODE_TOLERANCE and not lost:
                level = value[m] + size / 2.0 - half_log_determinant(lower, 1) - here[ORIGIN]
                fall = here[REACHED] - level
                if fall > STEEP and here[ASIDE] > 1e-3 * STEP:
                    here[ASIDE] /= 2.0
                    set_off(walker, functionals[f], mode[r, f], side * unit[r, f], point, number_of)
                    continue
                here[NODES] += 1.0
                here[PLACE] += here[ASIDE]
                here[REACHED] = level
                here[TRIED] = 0.0
                at = SIDE_NODES + side * int(here[NODES])
                place[r, f, at] = side * here[PLACE]
                height[r, f, at] = level
                if side > 0:
                    last[r, f] = at
                else:
                    first[r, f] = at
                if level < -FALL or here[NODES] >= SIDE_NODES:
                    state[walker] = DONE
                    continue
                tangent_of(turned, lower, axis, norms[f], signs[f], tangent)
                here[BEHIND] = here[ASIDE]
                for i in range(n):
                    point[5, walker, i], point[6, walker, i] = point[3, walker, i], point[4, walker, i]
                    point[3, walker, i], point[4, walker, i] = point[0, walker, i], tangent[i]
                if fall < FLAT and here[NODES] >= 3.0:
                    here[ASIDE] *= 1.3
                set_off(walker, functionals[f], mode[r, f], side * unit[r, f], point, number_of)
        else:
            here[LENGTH] /= 2.0
            lost = lost or here[LENGTH] < SHORTEST
            for i in range(n):
                point[0, walker, i] = point[1, walker, i] + here[LENGTH] * point[2, walker, i]
        if lost:
            normal_side(r, f, side, place, height, first, last)
            failed[r, f] = True
            state[walker] = LOST
