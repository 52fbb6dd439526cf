"""Compiled loops of the mixtures of log-gamma distributions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array

POINTS = 640
"""Points of the table of a distribution function."""

STEP = 0.9
"""Step of the trapezoidal rule, in standard deviations of the narrowest arm: its error is then some exp(-24)."""

MOST_STEPS = 20_000
"""Steps of the rule at most."""

TAIL = 27.7
"""Tails of probability exp(-27.7), 1e-12, are left out."""


@compiled
def reach(shape: float) -> tuple[float, float]:
    r"""Return from where to where the log of a gamma variable of rate 1 has nearly all its probability.

    Chernoff: the tail beyond :math:`\log \alpha + y` is at most :math:`e^{-\alpha (e^y - 1 - y)}`. Newton's steps come
    from outside and stay there.
    """
    share = TAIL / shape
    low, high = -1.0 - share, math.log(1 + math.sqrt(2 * share) + share)
    for _ in range(12):
        low -= (math.exp(low) - 1 - low - share) / (math.exp(low) - 1)
        high -= (math.exp(high) - 1 - high - share) / (math.exp(high) - 1)
    return math.log(shape) + low, math.log(shape) + high


@compiled
def tabulate(shape: float, low: float, high: float, cdf: Float[Array, " P"], pdf: Float[Array, " P"]) -> None:
    """Fill distribution function and density of the log of a gamma variable of rate 1 at equal steps.

    The trapezoidal rule with its correction by the slopes at both ends of each step; the error is of the fifth order.
    """
    points = len(cdf)
    step = (high - low) / (points - 1)
    constant = math.lgamma(shape)
    total, before, slope_before = 0.0, 0.0, 0.0
    for point in range(points):
        x = low + step * point
        height = math.exp(shape * x - math.exp(x) - constant)
        slope = height * (shape - math.exp(x))
        if point == 0:
            total = height / shape  # the left tail is exponential
        else:
            total += step / 2 * (before + height) + step * step / 12 * (slope_before - slope)
        cdf[point], pdf[point] = total, height
        before, slope_before = height, slope


@compiled
def look_up(x: float, low: float, high: float, cdf: Float[Array, " P"], pdf: Float[Array, " P"]) -> float:
    """Return a distribution function between the points of its table, by cubic Hermite interpolation."""
    if x <= low:
        return 0.0
    if x >= high:
        return 1.0
    points = len(cdf)
    step = (high - low) / (points - 1)
    place = min(int((x - low) / step), points - 2)
    t = (x - low) / step - place
    left, right = cdf[place], cdf[place + 1]
    answer = left + (right - left) * t * t * (3 - 2 * t)
    return answer + step * t * (1 - t) * (pdf[place] * (1 - t) - pdf[place + 1] * t)


@compiled
def fill_best(
    shape: Float[Array, "R A"],
    log_rate: Float[Array, "R Q A"],
    weight: Float[Array, "R Q"],
    among: Bool[Array, "R A"],
    largest: bool,
    best: Float[Array, "R A"],
) -> None:
    r"""Fill P(arm is the largest, or smallest, of `among`), where given node q arms are independent log-gamma.

    :math:`\sum_q w_q \int f_k(x) \prod_{j \ne k} F_j(x)\,dx`. Rows are made to sum to 1; `best` comes as 0.
    """
    replicates, nodes, arms = log_rate.shape
    cdf, pdf = np.empty((arms, POINTS)), np.empty((arms, POINTS))
    low, high = np.empty(arms), np.empty(arms)
    for r in range(replicates):
        largest_shape = 1.0
        for a in range(arms):
            if among[r, a]:
                low[a], high[a] = reach(shape[r, a])
                tabulate(shape[r, a], low[a], high[a], cdf[a], pdf[a])
                largest_shape = max(largest_shape, shape[r, a])
        for k in range(arms):
            if not among[r, k]:
                continue
            steps = min(int((high[k] - low[k]) * math.sqrt(largest_shape) / STEP) + 16, MOST_STEPS)
            step = (high[k] - low[k]) / steps
            constant = math.lgamma(shape[r, k])
            for point in range(steps + 1):
                x = low[k] + step * point
                height = step * math.exp(shape[r, k] * x - math.exp(x) - constant)
                for q in range(nodes):
                    if weight[r, q] < 1e-13:
                        continue
                    chance = weight[r, q] * height
                    for j in range(arms):
                        if j != k and among[r, j]:
                            at = x - log_rate[r, q, k] + log_rate[r, q, j]
                            below = look_up(at, low[j], high[j], cdf[j], pdf[j])
                            chance *= below if largest else 1 - below
                    best[r, k] += chance
        total = 0.0
        for k in range(arms):
            total += best[r, k]
        for k in range(arms):
            if total > 0:
                best[r, k] /= total
