"""Loops of the Gittins index of a normal arm and of its forward-looking rule; the formulas are in `gittins_normal`.

Functions of the mean after n observations are kept on a grid of mean times the root of n, from `LOW` on: on that
scale they look much the same for every n. Between the points they are cubic.
"""

from __future__ import annotations

from math import erfc
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

LOW, HIGH, POINTS = -5.0, 8.0, 560
"""The grid: posterior standard deviations above the level at which an arm is left."""
STEP = (HIGH - LOW) / (POINTS - 1)
FAR = 7.0
"""Standard deviations beyond which a normal density counts as 0."""
TIE = 1e-9
"""Indices this close, in standard deviations of an outcome, are equal."""
THIRD = np.array([0.5 - np.sqrt(0.15), 0.5, 0.5 + np.sqrt(0.15)])
THIRD_WEIGHT = np.array([5 / 18, 8 / 18, 5 / 18])
"""Gauss's rule with three nodes on (0, 1), exact for the polynomials of degree 5 and less."""


@compiled
def between(values: Float[Array, " G"], scaled: float) -> float:
    """Return the cubic through the four points of the grid around a scaled mean; beyond the grid, 0."""
    place = (scaled - LOW) / STEP
    if place >= POINTS - 1:
        return 0.0
    i = min(max(int(place), 1), POINTS - 3)
    t = place - i
    below, above = (t - 1.0) * (t - 2.0), (t + 1.0) * t
    return below * ((t + 1.0) * values[i] / 2.0 - t * values[i - 1] / 6.0) + above * (
        (t - 1.0) * values[i + 2] / 6.0 - (t - 2.0) * values[i + 1] / 2.0
    )


@compiled
def onward(
    values: Float[Array, " G"],
    mean: float,
    n: float,
    edge: float,
    node: Float[Array, " Q"],
    weight: Float[Array, " Q"],
) -> float:
    """Return the expectation, over one outcome more, of a function of the mean where that comes out above `edge`."""
    spread = 1.0 / np.sqrt(n * (n + 1.0))  # of the mean after the outcome
    root = np.sqrt(n + 1.0)
    first = max((edge - mean) / spread, -FAR)
    last = min((HIGH / root - mean) / spread, FAR)
    if last <= first:
        return 0.0
    half, middle, total = (last - first) / 2.0, (last + first) / 2.0, 0.0
    for q in range(len(node)):
        z = middle + half * node[q]
        total += weight[q] * np.exp(-z * z / 2.0) * between(values, (mean + spread * z) * root)
    return total * half / np.sqrt(2.0 * np.pi)


@compiled
def fair_means(
    first: float,
    discount: float,
    last: int,
    node: Float[Array, " Q"],
    weight: Float[Array, " Q"],
    bonus: Float[Array, " S"],
) -> None:
    """Fill how far below 0 the mean lies at which an arm breaks even at the charge 0, backwards from `last` outcomes.

    What is kept is the gain beyond that of playing for good, mean / (1 - d): it vanishes for high means.
    """
    extra, earlier = np.zeros(POINTS), np.zeros(POINTS)
    for g in range(POINTS):
        extra[g] = max(-(LOW + STEP * g), 0.0) / np.sqrt(first + last) / (1.0 - discount)
    edge = 0.0
    for j in range(last - 1, -1, -1):
        n = first + j
        spread = 1.0 / np.sqrt(n * (n + 1.0))
        for g in range(POINTS):
            mean = (LOW + STEP * g) / np.sqrt(n)
            a = (edge - mean) / spread
            lost = spread * np.exp(-a * a / 2.0) / np.sqrt(2.0 * np.pi) - mean * erfc(-a / np.sqrt(2.0)) / 2.0
            earlier[g] = discount * (lost / (1.0 - discount) + onward(extra, mean, n, edge, node, weight))
        extra, earlier = earlier, extra
        below, above = LOW, 0.0
        for _ in range(60):
            middle = (below + above) / 2.0
            if between(extra, middle) + middle / np.sqrt(n) / (1.0 - discount) > 0.0:
                above = middle
            else:
                below = middle
        edge = above / np.sqrt(n)
        if j < len(bonus):
            bonus[j] = -edge


@compiled
def fill_left(
    first: float,
    bonus: Float[Array, " S"],
    node: Float[Array, " Q"],
    weight: Float[Array, " Q"],
    left: Float[Array, "B S G"],
) -> None:
    """Fill the probability that the index of an arm played i times, and above the level now, has fallen below it."""
    for i in range(1, len(left)):
        for j in range(len(bonus) - i):
            n = first + j
            for g in range(POINTS):
                mean = (LOW + STEP * g) / np.sqrt(n)
                fallen = (bonus[j + 1] + mean) * np.sqrt(n * (n + 1.0))
                later = onward(left[i - 1, j + 1], mean, n, -bonus[j + 1], node, weight)
                left[i, j, g] = erfc(fallen / np.sqrt(2.0)) / 2.0 + later


@compiled
def stays(left: Float[Array, "B S G"], j: int, scaled: float, kept: Float[Array, " B+1"]) -> None:
    """Fill the probabilities that an arm gets 0, 1, ..., b patients and more before its index falls below a level."""
    for i in range(len(left)):
        kept[i + 1] = min(max(1.0 - between(left[i, j], scaled), 0.0), 1.0)


@compiled
def others_at_most(
    kept: Float[Array, "A B+1"], present: Float[Array, " A"], arm: int, at_most: Float[Array, " B"]
) -> None:
    """Fill the probabilities that the other arms get at most 0, 1, ..., b - 1 patients before all fall below a level.

    An arm is `present` with a probability: it may not come into play before the level is passed.
    """
    block = len(at_most)
    chance = np.zeros(block)
    chance[0] = 1.0
    for other in range(len(present)):
        if other != arm and present[other] > 0.0:
            for c in range(block - 1, -1, -1):  # from above, so that what is still needed is still there
                total = 0.0
                for i in range(c + 1):
                    exactly = present[other] * (kept[other, i] - kept[other, i + 1])
                    total += chance[c - i] * (exactly + (1.0 - present[other] if i == 0 else 0.0))
                chance[c] = total
    at_most[0] = chance[0]
    for c in range(1, block):
        at_most[c] = at_most[c - 1] + chance[c]


@compiled
def normal_plays(
    mean: Float[Array, "R A"],
    n: Int[Array, "R A"],
    sd: Float[Array, "R A"],
    is_open: Bool[Array, "R A"],
    table: Int[Array, " A"],
    first: Float[Array, " T"],
    bonus: Float[Array, "T S"],
    left: Float[Array, "T B S G"],
    cells: int,
    expected: Float[Array, "R A"],
) -> None:
    """Fill the expected numbers of the next b patients whom the Gittins rule sends to each arm; comes as 0.

    The levels are walked through from above. `kept` and `at_most` belong to the level just passed.
    """
    replicates, arms = mean.shape
    block = left.shape[1]
    index, level = np.empty(arms), np.empty(arms * (cells + 1))
    kept, kept_next = np.ones((arms, block + 1)), np.ones((arms, block + 1))
    at_most, at_most_next = np.zeros((arms, block)), np.zeros((arms, block))
    present, chance, scale = np.zeros(arms), np.zeros(arms), np.ones(arms)
    for r in range(replicates):
        levels = 0
        present[:] = 0.0
        for a in range(arms):
            index[a] = -np.inf
            if not is_open[r, a]:
                continue
            t, size = table[a], first[table[a]] + n[r, a]
            scale[a] = np.sqrt(size) / sd[r, a]
            index[a] = mean[r, a] + sd[r, a] * bonus[t, n[r, a]]
            for b in range(a):
                if abs(index[b] - index[a]) <= TIE * sd[r, a]:
                    index[a] = index[b]
            reach = FAR * np.sqrt(block / (size * (size + block)))  # how far the mean can move in the block
            drop = index[a] - mean[r, a] - sd[r, a] * (bonus[t, n[r, a] + block - 1] - reach)
            for q in range(cells + 1):
                level[levels] = index[a] - drop * (q / cells) ** 1.5
                levels += 1
        down = np.sort(level[:levels])[::-1]
        for c in range(levels):
            if c > 0 and down[c] == down[c - 1]:
                continue
            if c > 0:
                for a in range(arms):
                    if present[a] > 0.0:
                        stays(left[table[a]], n[r, a], (mean[r, a] - down[c]) * scale[a], kept_next[a])
                for a in range(arms):
                    if present[a] > 0.0:  # its i-th patient comes where its index has its lowest value so far
                        others_at_most(kept_next, present, a, at_most_next[a])
                        for i in range(1, block + 1):
                            among = (at_most[a, block - i] + at_most_next[a, block - i]) / 2.0
                            expected[r, a] += (kept_next[a, i] - kept[a, i]) * among
                kept[:], at_most[:] = kept_next, at_most_next
            arrived = False
            for a in range(arms):
                if index[a] == down[c]:
                    arrived = True
                    stays(left[table[a]], n[r, a], (mean[r, a] - down[c]) * scale[a], kept[a])
            if not arrived:
                continue
            for a in range(arms):  # arms that tie come in random order: each with a uniform place, integrated over
                if index[a] == down[c]:
                    for q in range(3):
                        for b in range(arms):
                            chance[b] = THIRD[q] if index[b] == down[c] else present[b]
                        others_at_most(kept, chance, a, at_most[a])
                        for i in range(1, block + 1):
                            expected[r, a] += THIRD_WEIGHT[q] * kept[a, i] * at_most[a, block - i]
            for a in range(arms):
                if index[a] == down[c]:
                    present[a] = 1.0
            for a in range(arms):
                if present[a] > 0.0:
                    others_at_most(kept, present, a, at_most[a])
