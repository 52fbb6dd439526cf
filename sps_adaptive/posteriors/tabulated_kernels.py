"""Integrals of tabulated densities, compiled.

A density is a table on an even grid: at each point the distribution function, the density and its slope. Between
points the distribution function is the polynomial of degree five that has these values at both ends.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array


@compiled
def accumulate(
    density: Float[Array, " G"],
    slope: Float[Array, " G"],
    bend: Float[Array, " G"],
    step: float,
    table: Float[Array, "G 3"],
) -> float:
    """Fill a table from a density and its two derivatives, in place; return the integral it was divided by.

    Each step is integrated by the two-point rule that is exact up to degree five.
    """
    total = 0.0
    table[0, 0] = 0.0
    for j in range(1, len(density)):
        total += step / 2 * (density[j - 1] + density[j])
        total += step**2 / 10 * (slope[j - 1] - slope[j])
        total += step**3 / 120 * (bend[j - 1] + bend[j])
        table[j, 0] = total
    for j in range(len(density)):
        table[j, 0] /= total
        table[j, 1] = density[j] / total
        table[j, 2] = slope[j] / total
    return total


@compiled
def below_and_density(x: float, start: float, step: float, table: Float[Array, "G 3"]) -> tuple[float, float]:
    """Return P(< x) and the density at x of a tabulated distribution."""
    last = table.shape[0] - 1
    place = (x - start) / step
    if place <= 0.0:
        return 0.0, 0.0
    if place >= last:
        return 1.0, 0.0
    i = int(place)
    u = place - i
    rise = table[i + 1, 0] - table[i, 0]
    first, second = step * table[i, 1], step * table[i + 1, 1]
    bend_first, bend_second = step * step * table[i, 2], step * step * table[i + 1, 2]
    # Coefficients of u^3, u^4, u^5 that meet value, slope and bend at u = 1.
    gap = rise - first - bend_first / 2
    gap_slope = second - first - bend_first
    gap_bend = bend_second - bend_first
    cubic = 10 * gap - 4 * gap_slope + gap_bend / 2
    quartic = -15 * gap + 7 * gap_slope - gap_bend
    quintic = 6 * gap - 3 * gap_slope + gap_bend / 2
    below = table[i, 0] + u * (first + u * (bend_first / 2 + u * (cubic + u * (quartic + u * quintic))))
    density = first + u * (bend_first + u * (3 * cubic + u * (4 * quartic + u * 5 * quintic)))
    return min(max(below, 0.0), 1.0), max(density, 0.0) / step


@compiled
def better(
    by: float,
    weight: Float[Array, " D"],
    start: Float[Array, "D A"],
    step: Float[Array, "D A"],
    table: Float[Array, "D A G 3"],
    arm: int,
    than: int,
) -> tuple[float, float]:
    """Return P(arm - than > by), and the density of the difference there.

    The trapezoidal rule on the grid of the narrower arm: its density and all derivatives vanish at the ends.
    """
    chance, density = 0.0, 0.0
    points = table.shape[2]
    for d in range(len(weight)):
        if weight[d] == 0.0:
            continue
        total, above, together = 0.0, 0.0, 0.0
        if step[d, arm] <= step[d, than]:
            for j in range(points):
                own = table[d, arm, j, 1]
                x = start[d, arm] + j * step[d, arm] - by
                below, other = below_and_density(x, start[d, than], step[d, than], table[d, than])
                total += own
                above += own * below
                together += own * other
        else:
            for j in range(points):
                own = table[d, than, j, 1]
                x = start[d, than] + j * step[d, than] + by
                below, other = below_and_density(x, start[d, arm], step[d, arm], table[d, arm])
                total += own
                above += own * (1 - below)
                together += own * other
        chance += weight[d] * above / total
        density += weight[d] * together / total
    return min(max(chance, 0.0), 1.0), density


@compiled
def mixture(
    x: float,
    weight: Float[Array, " D"],
    start: Float[Array, "D A"],
    step: Float[Array, "D A"],
    table: Float[Array, "D A G 3"],
    arm: int,
) -> tuple[float, float]:
    """Return P(arm > x) and the density of the arm at x."""
    above, density = 0.0, 0.0
    for d in range(len(weight)):
        if weight[d] > 0.0:
            below, here = below_and_density(x, start[d, arm], step[d, arm], table[d, arm])
            above += weight[d] * (1 - below)
            density += weight[d] * here
    return min(max(above, 0.0), 1.0), density


@compiled
def fill_moments(
    weight: Float[Array, "R D"],
    start: Float[Array, "R D A"],
    step: Float[Array, "R D A"],
    table: Float[Array, "R D A G 3"],
    mean: Float[Array, "R A"],
    sd: Float[Array, "R A"],
) -> None:
    """Fill mean and standard deviation of each arm, in place."""
    replicates, nodes, arms, points, _ = table.shape
    for r in range(replicates):
        for a in range(arms):
            centre = start[r, 0, a] + step[r, 0, a] * (points // 2)  # moments about it do not cancel
            first, second = 0.0, 0.0
            for d in range(nodes):
                total, one, two = 0.0, 0.0, 0.0
                for j in range(points):
                    x = start[r, d, a] + j * step[r, d, a] - centre
                    total += table[r, d, a, j, 1]
                    one += table[r, d, a, j, 1] * x
                    two += table[r, d, a, j, 1] * x * x
                first += weight[r, d] * one / total
                second += weight[r, d] * two / total
            mean[r, a] = centre + first
            sd[r, a] = math.sqrt(max(second - first * first, 0.0))


@compiled
def fill_above(
    value: float,
    weight: Float[Array, "R D"],
    start: Float[Array, "R D A"],
    step: Float[Array, "R D A"],
    table: Float[Array, "R D A G 3"],
    above: Float[Array, "R A"],
) -> None:
    """Fill P(arm > value), in place."""
    for r in range(table.shape[0]):
        for a in range(table.shape[2]):
            above[r, a], _ = mixture(value, weight[r], start[r], step[r], table[r], a)


@compiled
def fill_better(
    than: int,
    by: float,
    weight: Float[Array, "R D"],
    start: Float[Array, "R D A"],
    step: Float[Array, "R D A"],
    table: Float[Array, "R D A G 3"],
    answer: Float[Array, "R A"],
) -> None:
    """Fill P(arm - arm `than` > by), in place, but for the arm itself."""
    for r in range(table.shape[0]):
        for a in range(table.shape[2]):
            if a != than:
                answer[r, a], _ = better(by, weight[r], start[r], step[r], table[r], a, than)


@compiled
def fill_quantiles(
    than: int,
    upper_tail: Float[Array, " Q"],
    guess: Float[Array, "R A Q"],
    unit: Float[Array, "R A"],
    weight: Float[Array, "R D"],
    start: Float[Array, "R D A"],
    step: Float[Array, "R D A"],
    table: Float[Array, "R D A G 3"],
    quantile: Float[Array, "R A Q"],
) -> None:
    """Fill where P(arm > x), or P(arm - arm `than` > x), is `upper_tail`, by bracketed Newton steps, in place.

    `than` -1 is for the arm alone. The search stops where the tail is right to 1e-10 or a step is below 1e-9 units.
    """
    for r in range(table.shape[0]):
        for a in range(table.shape[2]):
            if a == than:
                continue
            for q in range(len(upper_tail)):
                lower, upper = -math.inf, math.inf
                x = guess[r, a, q]
                for _ in range(100):
                    if than < 0:
                        above, density = mixture(x, weight[r], start[r], step[r], table[r], a)
                    else:
                        above, density = better(x, weight[r], start[r], step[r], table[r], a, than)
                    error = above - upper_tail[q]
                    if abs(error) < 1e-10:
                        break
                    if error > 0:
                        lower = x
                    else:
                        upper = x
                    move = error / density if density > 0.0 else math.inf
                    if abs(move) > 2 * unit[r, a]:
                        move = math.copysign(2 * unit[r, a], error)
                    if not lower < x + move < upper:
                        move = (lower + upper) / 2 - x
                    x += move
                    if abs(move) < 1e-9 * unit[r, a]:
                        break
                quantile[r, a, q] = x


@compiled
def fill_best(
    among: Bool[Array, "R A"],
    weight: Float[Array, "R D"],
    start: Float[Array, "R D A"],
    step: Float[Array, "R D A"],
    table: Float[Array, "R D A G 3"],
    best: Float[Array, "R A"],
) -> None:
    """Fill P(arm is the best of `among`), in place; `best` comes as 0.

    The trapezoidal rule on a grid as fine as that of the narrowest arm, from where the highest arm begins.
    """
    replicates, nodes, arms, points, _ = table.shape
    below, before, after = np.empty(arms), np.empty(arms), np.empty(arms)
    for r in range(replicates):
        for d in range(nodes):
            if weight[r, d] == 0.0:
                continue
            first, last, finest = -math.inf, -math.inf, math.inf
            for a in range(arms):
                if among[r, a]:
                    first = max(first, start[r, d, a])
                    last = max(last, start[r, d, a] + (points - 1) * step[r, d, a])
                    finest = min(finest, step[r, d, a])
            if first == -math.inf:
                continue
            number = math.ceil((last - first) / finest) + 1
            total = 0.0
            after[:] = 0.0
            for j in range(number):
                x = first + j * finest
                product = 1.0
                for a in range(arms):
                    if among[r, a]:
                        below[a], density = below_and_density(x, start[r, d, a], step[r, d, a], table[r, d, a])
                        before[a] = product * density
                        product *= below[a]
                product = 1.0
                for a in range(arms - 1, -1, -1):
                    if among[r, a]:
                        after[a] += before[a] * product
                        total += before[a] * product
                        product *= below[a]
            for a in range(arms):
                best[r, a] += weight[r, d] * after[a] / total
