r"""Comparisons of independent arms that differ in location, scale and degrees of freedom.

The integrals :math:`\int f_k(x) \prod_{j \ne k} F_j(x) dx` are taken over panels of Gauss-Legendre nodes. A panel
is as long as the nearest arm's scale and its distance allow, so that arms a million times wider than others (of
which nothing is known yet) do no harm. Cdfs and densities of the normal and Student-t come from Hermite tables.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import gammaln, log_ndtr, ndtri, stdtr, stdtrit

from sps_adaptive.kernels import compiled
from sps_adaptive.posteriors.quadrature import legendre_rule

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

GRID = 384
"""Points of a tabulated cdf."""

FAR = 9.0
"""Value of asinh z (z about 4000) from which on the tail of a Student-t is its leading power."""


NODE, _, NODE_WEIGHT = legendre_rule(8)


class Standard(NamedTuple):
    """Standard distributions, one a row, symmetric about 0."""

    tail: Float[Array, "D G 3"]
    """Upper tail probability, density and its slope at y = asinh z on an even grid from 0, all by y."""
    shape: Float[Array, "D 5"]
    """Step of the grid, degrees of freedom, the z beyond which lie 1e-9 and 3e-5, and the length of a panel."""


@lru_cache(maxsize=2048)
def standard(df: float) -> tuple[Array, Array]:
    """Return the table of one Student-t distribution, normal for infinite `df`: rows of `Standard`."""
    if np.isinf(df):
        far, low, high = -ndtri(1e-13), -ndtri(1e-9), -ndtri(3e-5)
    else:
        # Quantiles of tiny degrees of freedom overflow; beyond 1e150 nothing is ever compared.
        far, low, high = (min(float(-stdtrit(df, p)), 1e150) for p in (1e-13, 1e-9, 3e-5))
    y = np.linspace(0.0, min(float(np.arcsinh(far)), FAR), GRID)
    z = np.sinh(y)
    if np.isinf(df):
        upper, density, slope = np.exp(log_ndtr(-z)), np.exp(-z * z / 2) / np.sqrt(2 * np.pi), -z
    else:
        log_norm = gammaln((df + 1) / 2) - gammaln(df / 2) - np.log(df * np.pi) / 2
        upper = np.asarray(stdtr(df, -z))
        density = np.exp(log_norm - (df + 1) / 2 * np.log1p(z * z / df))
        slope = -(df + 1) * z / (df + z * z)
    by_y = density * np.cosh(y)
    table = np.stack([upper, by_y, by_y * (slope * np.cosh(y) + np.tanh(y))], axis=1)
    # The density of a Student-t has its singularities at z = ± i √df: a panel must not come too near them.
    return table, np.array([y[1], df, low, high, min(2.0, np.sqrt(df))])


def standards(df: Float[Array, "..."]) -> tuple[Standard, Int[Array, "..."]]:
    """Return the tables of the distinct degrees of freedom, and the row of each."""
    distinct, row = np.unique(df, return_inverse=True)
    tables = [standard(float(one)) for one in distinct]
    tails = np.stack([table for table, _ in tables]) if tables else np.empty((0, GRID, 3))
    shapes = np.stack([shape for _, shape in tables]) if tables else np.empty((0, 5))
    return Standard(tails, shapes), row.reshape(df.shape)


@compiled
def cdf_and_density(z: float, tail: Float[Array, "G 3"], shape: Float[Array, " 5"]) -> tuple[float, float]:
    """Return cdf and density of a standard distribution, by cubic Hermite interpolation in y = asinh z."""
    size = abs(z)
    root = math.sqrt(1 + size * size)
    y = math.log(size + root)
    place = y / shape[0]
    i = int(place) if place < tail.shape[0] else tail.shape[0]
    if i >= tail.shape[0] - 1:
        # A power law; for the normal distribution (df infinite) nothing.
        end = tail.shape[0] - 1
        upper, density = 0.0, 0.0
        if shape[1] < math.inf:
            fall = math.exp(-shape[1] * (y - end * shape[0]))
            upper, density = tail[end, 0] * fall, tail[end, 1] * fall
    else:
        u = place - i
        v = 1 - u
        h = shape[0]
        at, to = v * v * (1 + 2 * u), u * u * (1 + 2 * v)
        slope_at, slope_to = h * v * v * u, -h * u * u * v
        # The derivative of the upper tail is minus the density.
        upper = at * tail[i, 0] + to * tail[i + 1, 0] - slope_at * tail[i, 1] - slope_to * tail[i + 1, 1]
        density = at * tail[i, 1] + to * tail[i + 1, 1] + slope_at * tail[i, 2] + slope_to * tail[i + 1, 2]
    return (upper if z < 0 else 1 - upper), density / root


@compiled
def panel(
    x: float,
    location: Float[Array, " A"],
    scale: Float[Array, " A"],
    row: Int[Array, " A"],
    number: int,
    shape: Float[Array, "D 5"],
) -> float:
    """Return how long a panel that starts at x may be: no arm's cdf may bend too much within it."""
    length = math.inf
    for i in range(number):
        distance = x - location[i]
        near = shape[row[i], 4] * scale[i]
        length = min(length, near + distance if distance > 0 else max(near, -0.6 * distance))
    return length


@compiled
def best_of_independent(
    location: Float[Array, " A"],
    scale: Float[Array, " A"],
    row: Int[Array, " A"],
    number: int,
    tail: Float[Array, "D G 3"],
    shape: Float[Array, "D 5"],
    node: Float[Array, " G"],
    node_weight: Float[Array, " G"],
    work: Float[Array, "3 A"],
    best: Float[Array, " A"],
) -> None:
    """Fill P(arm is best) of the first `number` arms, in place; `location` is moved.

    The narrowest arm is moved to 0, where numbers are densest. The integral begins where the best arm cannot be
    (1e-9) and ends where more than one arm cannot be (3e-5 each): beyond the end, an arm is the best whenever it is
    there.
    """
    narrowest = 0
    for i in range(number):
        if scale[i] < scale[narrowest]:
            narrowest = i
    origin = location[narrowest]
    start, end = -math.inf, -math.inf
    for i in range(number):
        location[i] -= origin
        start = max(start, location[i] - scale[i] * shape[row[i], 2])
        end = max(end, location[i] + scale[i] * shape[row[i], 3])
    total = 0.0
    for i in range(number):
        beyond, _ = cdf_and_density((location[i] - end) / scale[i], tail[row[i]], shape[row[i]])
        best[i] = beyond
    x = start
    while x < end:
        length = min(panel(x, location, scale, row, number, shape), end - x)
        if x + length <= x:
            break
        for g in range(len(node)):
            at = x + length * node[g]
            before = node_weight[g] * length
            for i in range(number):
                cdf, density = cdf_and_density((at - location[i]) / scale[i], tail[row[i]], shape[row[i]])
                work[0, i] = cdf
                work[1, i] = density / scale[i] * before  # times the cdfs of the arms before it
                before *= cdf
            after = 1.0
            for i in range(number - 1, -1, -1):
                best[i] += work[1, i] * after
                after *= work[0, i]
        x += length
    for i in range(number):
        total += best[i]
    if total <= 0.0:  # scales below the spacing of numbers leave nothing to integrate, but no doubt either
        highest = location[:number].max()
        for i in range(number):
            best[i] = 1.0 if location[i] == highest else 0.0
            total += best[i]
    for i in range(number):
        best[i] /= total


@compiled
def fill_best(
    location: Float[Array, "R A"],
    scale: Float[Array, "R A"],
    row: Int[Array, "R A"],
    among: Bool[Array, "R A"],
    tail: Float[Array, "D G 3"],
    shape: Float[Array, "D 5"],
    node: Float[Array, " G"],
    node_weight: Float[Array, " G"],
    best: Float[Array, "R A"],
) -> None:
    """Fill P(arm is the best of `among`), in place; `best` comes as 0."""
    replicates, arms = location.shape
    own_location, own_scale, own_best = np.empty(arms), np.empty(arms), np.empty(arms)
    own_row = np.empty(arms, np.int64)
    work = np.empty((3, arms))
    for r in range(replicates):
        number = 0
        for a in range(arms):
            if among[r, a]:
                own_location[number], own_scale[number] = location[r, a], scale[r, a]
                own_row[number] = row[r, a]
                number += 1
        if number > 1:
            best_of_independent(
                own_location, own_scale, own_row, number, tail, shape, node, node_weight, work, own_best
            )
        else:
            own_best[0] = 1.0
        number = 0
        for a in range(arms):
            if among[r, a]:
                best[r, a] = own_best[number]
                number += 1


@compiled
def compare(
    gap: float,
    scale: Float[Array, " 2"],
    row: Int[Array, " 2"],
    tail: Float[Array, "D G 3"],
    shape: Float[Array, "D 5"],
    node: Float[Array, " G"],
    node_weight: Float[Array, " G"],
    location: Float[Array, " 2"],
) -> tuple[float, float]:
    """Return P(first + gap > second), and its derivative by `gap`, of two arms.

    Both this probability and its complement are integrated, and divided by their sum.
    """
    if scale[1] <= scale[0]:  # the narrower arm lies at 0, where numbers are densest
        location[0], location[1] = gap, 0.0
    else:
        location[0], location[1] = 0.0, -gap
    start, end = -math.inf, -math.inf
    for i in range(2):
        start = max(start, location[i] - scale[i] * shape[row[i], 2])
        end = max(end, location[i] + scale[i] * shape[row[i], 3])
    first, _ = cdf_and_density((location[0] - end) / scale[0], tail[row[0]], shape[row[0]])
    second, _ = cdf_and_density((location[1] - end) / scale[1], tail[row[1]], shape[row[1]])
    slope = 0.0
    x = start
    while x < end:
        length = min(panel(x, location, scale, row, 2, shape), end - x)
        if x + length <= x:
            break
        for g in range(len(node)):
            at = x + length * node[g]
            cdf_0, density_0 = cdf_and_density((at - location[0]) / scale[0], tail[row[0]], shape[row[0]])
            cdf_1, density_1 = cdf_and_density((at - location[1]) / scale[1], tail[row[1]], shape[row[1]])
            first += node_weight[g] * length * density_0 / scale[0] * cdf_1
            second += node_weight[g] * length * density_1 / scale[1] * cdf_0
            slope += node_weight[g] * length * density_0 / scale[0] * density_1 / scale[1]
        x += length
    if first + second <= 0.0:  # scales below the spacing of numbers
        return (1.0 if gap > 0.0 else 0.0), 0.0
    return first / (first + second), slope


@compiled
def fill_better(
    location: Float[Array, "R A"],
    scale: Float[Array, "R A"],
    row: Int[Array, "R A"],
    than: int,
    by: float,
    tail: Float[Array, "D G 3"],
    shape: Float[Array, "D 5"],
    node: Float[Array, " G"],
    node_weight: Float[Array, " G"],
    better: Float[Array, "R A"],
) -> None:
    """Fill P(arm - arm `than` > by), in place, but for the arm itself."""
    own_scale, own_row, work = np.empty(2), np.empty(2, np.int64), np.empty(2)
    for r in range(location.shape[0]):
        for a in range(location.shape[1]):
            if a != than:
                own_scale[0], own_scale[1] = scale[r, a], scale[r, than]
                own_row[0], own_row[1] = row[r, a], row[r, than]
                gap = location[r, a] - location[r, than] - by
                better[r, a], _ = compare(gap, own_scale, own_row, tail, shape, node, node_weight, work)


@compiled
def fill_quantiles(
    location: Float[Array, "R A"],
    scale: Float[Array, "R A"],
    row: Int[Array, "R A"],
    than: int,
    upper_tail: Float[Array, " Q"],
    start: Float[Array, "R A Q"],
    tail: Float[Array, "D G 3"],
    shape: Float[Array, "D 5"],
    node: Float[Array, " G"],
    node_weight: Float[Array, " G"],
    quantile: Float[Array, "R A Q"],
) -> None:
    """Fill the d at which P(arm - arm `than` > d) is `upper_tail`, by bracketed Newton steps, in place."""
    own_scale, own_row, work = np.empty(2), np.empty(2, np.int64), np.empty(2)
    for r in range(location.shape[0]):
        for a in range(location.shape[1]):
            if a == than:
                continue
            own_scale[0], own_scale[1] = scale[r, a], scale[r, than]
            own_row[0], own_row[1] = row[r, a], row[r, than]
            unit = math.sqrt(own_scale[0] ** 2 + own_scale[1] ** 2)
            centre = location[r, a] - location[r, than]
            for j in range(len(upper_tail)):
                lower, upper = -math.inf, math.inf
                d = start[r, a, j]  # measured from the centre
                for _ in range(200):
                    above, slope = compare(-d, own_scale, own_row, tail, shape, node, node_weight, work)
                    if above > upper_tail[j]:
                        lower = d
                    else:
                        upper = d
                    move = (above - upper_tail[j]) / slope if slope > 0.0 else math.inf
                    if not lower < d + move < upper:
                        if lower == -math.inf or upper == math.inf:
                            move = d if abs(d) > unit else math.copysign(unit, above - upper_tail[j])
                        else:
                            move = (lower + upper) / 2 - d
                    d += move
                    if abs(move) < 1e-7 * max(unit, abs(d)):
                        break
                quantile[r, a, j] = centre + d
