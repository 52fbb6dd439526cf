r"""The probability that several jointly normal variables are all positive.

For two and three variables by one integral (Plackett 1954; Genz 2004): as the correlations of the first variable with
the others grow from 0, the probability grows by

.. math:: \frac{\partial \Phi_3}{\partial \rho_{1j}} = \varphi_2(h_1, h_j; \rho_{1j})\,
    \Phi\bigl(\text{score of } h_k \text{ given } h_1, h_j\bigr).

For more, the variables are conditioned on one after the other (Genz 1992), at Sobol points.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled
from sps_adaptive.posteriors.quadrature import legendre_rule

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

RULE = legendre_rule(48)

POINTS = 1024
"""Sobol points for four variables and more."""

LARGEST = 1 - 1e-9
"""Correlations are kept below this size."""


def orthant(score: Float[Array, "R D"], correlation: Float[Array, "R D D"]) -> Float[Array, " R"]:
    """Return P(all X > 0) for normal X of variance 1 with means `score`, at least one."""
    from sps_adaptive.posteriors.draws import sobol

    answer = np.zeros(len(score))
    variables = score.shape[1]
    score, correlation = np.ascontiguousarray(score), np.ascontiguousarray(correlation)
    if variables == 1:
        fill_one(score, answer)
    elif variables == 2:
        fill_two(score, correlation, RULE.point, RULE.weight, answer)
    elif variables == 3:
        fill_three(score, correlation, RULE.point, RULE.weight, answer)
    else:
        fill_many(score, correlation, sobol(POINTS, variables - 1), answer)
    return answer


@compiled
def phi(x: float) -> float:
    """Return the standard normal cdf."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@compiled
def both(h: float, k: float, rho: float, point: Float[Array, " G"], weight: Float[Array, " G"]) -> float:
    """Return P(X < h, Y < k) for standard normal variables, in the angle whose sine is the correlation."""
    end = math.asin(min(max(rho, -LARGEST), LARGEST))
    total = 0.0
    for g in range(len(point)):
        sine = math.sin(end * point[g])
        total += weight[g] * math.exp(-(h * h + k * k - 2.0 * h * k * sine) / (2.0 * (1.0 - sine * sine)))
    return phi(h) * phi(k) + end * total / (2.0 * math.pi)


@compiled
def fill_one(score: Float[Array, "R 1"], answer: Float[Array, " R"]) -> None:
    """Fill probabilities of one variable, in place."""
    for r in range(len(score)):
        answer[r] = phi(score[r, 0])


@compiled
def fill_two(
    score: Float[Array, "R 2"],
    correlation: Float[Array, "R 2 2"],
    point: Float[Array, " G"],
    weight: Float[Array, " G"],
    answer: Float[Array, " R"],
) -> None:
    """Fill probabilities of two variables, in place."""
    for r in range(len(score)):
        answer[r] = max(both(score[r, 0], score[r, 1], correlation[r, 0, 1], point, weight), 0.0)


@compiled
def all_three(
    score: Float[Array, " 3"], c: Float[Array, "3 3"], point: Float[Array, " G"], weight: Float[Array, " G"]
) -> float:
    """Return P(X < score) of three variables; the last two are those with the largest correlation."""
    lone = 0
    for i in range(1, 3):
        if abs(c[(i + 1) % 3, (i + 2) % 3]) > abs(c[(lone + 1) % 3, (lone + 2) % 3]):
            lone = i
    h = score[lone]
    one, two = (lone + 1) % 3, (lone + 2) % 3
    between = min(max(c[one, two], -LARGEST), LARGEST)
    total = phi(h) * both(score[one], score[two], between, point, weight)
    for j, k in ((one, two), (two, one)):
        end = math.asin(min(max(c[lone, j], -LARGEST), LARGEST))
        grown = 0.0
        for g in range(len(point)):
            sine = math.sin(end * point[g])
            left = 1.0 - sine * sine
            times = sine / c[lone, j] if c[lone, j] != 0.0 else 0.0
            other = times * c[lone, k]
            # The regression of variable k on the first and variable j, and what it leaves of the variance.
            on_first = (other - between * sine) / left
            on_j = (between - other * sine) / left
            rest = 1.0 - on_first * other - on_j * between
            gap = score[k] - on_first * h - on_j * score[j]
            exponent = (h * h + score[j] ** 2 - 2.0 * h * score[j] * sine) / (2.0 * left)
            grown += weight[g] * math.exp(-exponent) * phi(gap / math.sqrt(max(rest, 1e-16)))
        total += end * grown / (2.0 * math.pi)
    return min(max(total, 0.0), 1.0)


@compiled
def fill_three(
    score: Float[Array, "R 3"],
    correlation: Float[Array, "R 3 3"],
    point: Float[Array, " G"],
    weight: Float[Array, " G"],
    answer: Float[Array, " R"],
) -> None:
    """Fill probabilities of three variables, in place."""
    for r in range(len(score)):
        answer[r] = all_three(score[r], correlation[r], point, weight)


@compiled
def normal_quantile(p: float) -> float:
    """Return the standard normal quantile: the rational start of Acklam (2003) and one step of Halley's method."""
    p = min(max(p, 1e-300), 1.0 - 1e-16)
    tail = min(p, 1.0 - p)
    if tail > 0.02425:
        q = p - 0.5
        r = q * q
        above = -39.69683028665376 * r + 220.9460984245205
        above = ((above * r - 275.9285104469687) * r + 138.3577518672690) * r - 30.66479806614716
        below = -54.47609879822406 * r + 161.5858368580409
        below = ((below * r - 155.6989798598866) * r + 66.80131188771972) * r - 13.28068155288572
        x = (above * r + 2.506628277459239) * q / (below * r + 1.0)
    else:
        q = math.sqrt(-2.0 * math.log(tail))
        above = ((-0.007784894002430293 * q - 0.3223964580411365) * q - 2.400758277161838) * q - 2.549732539343734
        above = (above * q + 4.374664141464968) * q + 2.938163982698783
        below = ((0.007784695709041462 * q + 0.3224671290700398) * q + 2.445134137142996) * q + 3.754408661907416
        x = above / (below * q + 1.0)
        x = x if p < 0.5 else -x
    error = (phi(x) - p) * math.sqrt(2.0 * math.pi) * math.exp(min(x * x / 2.0, 600.0))
    return x - error / (1.0 + x * error / 2.0)


@compiled
def fill_many(
    score: Float[Array, "R D"],
    correlation: Float[Array, "R D D"],
    sobol: Float[Array, "S E"],
    answer: Float[Array, " R"],
) -> None:
    """Fill probabilities of any number of variables, in place."""
    n = score.shape[1]
    lower, z = np.zeros((n, n)), np.zeros(n)
    for r in range(len(score)):
        for i in range(n):
            for j in range(i + 1):
                total = correlation[r, i, j]
                for k in range(j):
                    total -= lower[i, k] * lower[j, k]
                lower[i, j] = math.sqrt(max(total, 1e-12)) if i == j else total / lower[j, j]
        for s in range(len(sobol)):
            chance = 1.0
            for i in range(n):
                limit = score[r, i]
                for k in range(i):
                    limit -= lower[i, k] * z[k]
                share = phi(limit / lower[i, i])
                chance *= share
                if i < n - 1:
                    z[i] = normal_quantile(sobol[s, i] * share)
            answer[r] += chance
        answer[r] /= len(sobol)
