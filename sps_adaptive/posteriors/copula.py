r"""Which of several arms is best, from their own densities and a Gaussian copula.

With the standard normal scores :math:`z_a = \Phi^{-1}(F_a(\theta_a))` of the arms jointly normal with correlations
:math:`\rho`,

.. math:: P(a \text{ is best}) = \int f_a(x)\, P\bigl(z_b < \Phi^{-1}(F_b(x)) \text{ for all } b \mid z_a\bigr)\, dx.

Where the arms are independent that is exact, however skewed their densities are. Where they are not, the probabilities
that one arm is better than another are known more precisely than the copula has them: the limits of each pair are
moved, all by the same, so that it has them right.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled
from sps_adaptive.posteriors.curves import WINDOW, Curve, density_at, interval_of, polynomial
from sps_adaptive.posteriors.orthant import all_three, both, phi
from sps_adaptive.posteriors.quadrature import legendre_rule

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

RULE = legendre_rule(3)
"""Nodes and weights between two neighbouring nodes of an arm's density."""

ANGLE_RULE = legendre_rule(8)
"""Those for the correlation that is left among the others given one arm."""

MOST_ARMS = 4


def best_of_curves(
    curves: list[Curve], correlation: Float[Array, "R A A"], better: Float[Array, "R A A"]
) -> Float[Array, "R A"]:
    """Return P(arm is the best) for three or four arms.

    Parameters
    ----------
    curves
        The density of each arm.
    correlation
        Correlations of their scores.
    better
        P(arm > other arm) for each pair, which the copula is made to meet.
    """
    stacked = [np.stack([getattr(curve, name) for curve in curves]) for name in ("mode", "unit", "place", "height")]
    scores = np.stack([curve.score() for curve in curves])
    ends = [np.stack([getattr(curve, name) for curve in curves]) for name in ("first", "last")]
    best = np.zeros(correlation.shape[:2])
    rules = RULE.point, RULE.weight, ANGLE_RULE.point, ANGLE_RULE.weight
    pairs = np.ascontiguousarray(correlation), np.ascontiguousarray(better)
    fill_best_of_curves(*(*stacked, scores, *ends, *pairs, *rules, best))
    return best / best.sum(axis=1, keepdims=True)


@compiled
def shift_to(wanted: float, share: Float[Array, " Q"], limit: Float[Array, " Q"], number: int) -> float:
    """Return by how much all limits are to be moved, so that the mean of Phi(limit) is the wanted probability."""
    wanted = min(max(wanted, 1e-12), 1.0 - 1e-12)
    low, high, moved = -40.0, 40.0, 0.0
    for _ in range(100):
        gap, slope = -wanted, 0.0
        for q in range(number):
            x = limit[q] + moved
            gap += share[q] * phi(x)
            slope += share[q] * math.exp(-x * x / 2.0)
        if gap > 0.0:
            high = moved
        else:
            low = moved
        if abs(gap) < 1e-12:
            break
        slope /= math.sqrt(2.0 * math.pi)
        next_one = moved - gap / slope if slope > 1e-300 else math.inf
        moved = next_one if low < next_one < high else (low + high) / 2.0
        if high - low < 1e-12:
            break
    return moved


@compiled
def interpolated(
    x: float,
    place: Float[Array, " K"],
    score: Float[Array, " K"],
    first: int,
    last: int,
    coefficient: Float[Array, " C"],
) -> float:
    """Return the score at a place; beyond the nodes it goes on as a line."""
    if x <= place[first] or x >= place[last]:
        at, inner = (first, first + 1) if x <= place[first] else (last, last - 1)
        return score[at] + (score[at] - score[inner]) / (place[at] - place[inner]) * (x - place[at])
    j = interval_of(x, place, first, last)
    begin = polynomial(place, score, first, last, j, coefficient)
    total = coefficient[WINDOW - 1]
    for i in range(WINDOW - 2, -1, -1):
        total = total * (x - place[min(begin + i, len(place) - 1)]) + coefficient[i]
    return total


@compiled
def fill_best_of_curves(
    mode: Float[Array, "A R"],
    unit: Float[Array, "A R"],
    place: Float[Array, "A R K"],
    height: Float[Array, "A R K"],
    score: Float[Array, "A R K"],
    first: Int[Array, "A R"],
    last: Int[Array, "A R"],
    correlation: Float[Array, "R A A"],
    better: Float[Array, "R A A"],
    point: Float[Array, " G"],
    weight: Float[Array, " G"],
    angle: Float[Array, " H"],
    angle_weight: Float[Array, " H"],
    best: Float[Array, "R A"],
) -> None:
    """Fill the probabilities of being the best, in place; they come as 0."""
    arms, most = len(mode), len(point) * place.shape[2]
    curve, of_score = np.zeros(WINDOW), np.zeros(WINDOW)
    others, limit, left = np.zeros(arms - 1, np.int64), np.zeros(arms - 1), np.zeros((arms - 1, arms - 1))
    share, limits = np.zeros(most), np.zeros((arms - 1, most))
    for r in range(len(best)):
        for a in range(arms):
            k = 0
            for b in range(arms):
                if b != a:
                    others[k] = b
                    k += 1
            for i in range(arms - 1):  # the correlations that are left, given arm a
                for j in range(arms - 1):
                    one, two = correlation[r, a, others[i]], correlation[r, a, others[j]]
                    rest = math.sqrt((1.0 - one * one) * (1.0 - two * two))
                    left[i, j] = (correlation[r, others[i], others[j]] - one * two) / rest
            x, total, number = place[a, r], 0.0, 0
            for j in range(first[a, r], last[a, r]):
                begin = polynomial(x, height[a, r], first[a, r], last[a, r], j, curve)
                width = x[j + 1] - x[j]
                for g in range(len(point)):
                    at = x[j] + width * point[g]
                    share[number] = weight[g] * width * density_at(at, x, begin, curve)
                    total += share[number]
                    mine = interpolated(at, x, score[a, r], first[a, r], last[a, r], of_score)
                    for i in range(arms - 1):
                        b = others[i]
                        there = (mode[a, r] + unit[a, r] * at - mode[b, r]) / unit[b, r]
                        theirs = interpolated(there, place[b, r], score[b, r], first[b, r], last[b, r], of_score)
                        rho = correlation[r, a, b]
                        limits[i, number] = (theirs - rho * mine) / math.sqrt(1.0 - rho * rho)
                    number += 1
            for q in range(number):
                share[q] /= total
            for i in range(arms - 1):
                moved = shift_to(better[r, a, others[i]], share, limits[i], number)
                for q in range(number):
                    limits[i, q] += moved
            for q in range(number):
                for i in range(arms - 1):
                    limit[i] = limits[i, q]
                if arms == 3:
                    best[r, a] += share[q] * both(limit[0], limit[1], left[0, 1], angle, angle_weight)
                else:
                    best[r, a] += share[q] * all_three(limit, left, angle, angle_weight)
            best[r, a] = max(best[r, a], 0.0)
