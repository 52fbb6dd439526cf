"""Densities that are known at nodes: their probabilities, quantiles and moments."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from sps_adaptive.kernels import compiled
from sps_adaptive.posteriors.laplace import Grid
from sps_adaptive.posteriors.orthant import normal_quantile
from sps_adaptive.posteriors.quadrature import legendre_rule

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

RULE = legendre_rule(7)
"""Nodes and weights between two neighbouring nodes of a grid."""

WINDOW = 8
"""The log density is interpolated between two nodes by the polynomial through so many around them."""


@dataclass(frozen=True, eq=False)
class Curve:
    """The marginal density of one functional of each of R data sets."""

    mode: Float[Array, " R"]
    unit: Float[Array, " R"]
    place: Float[Array, "R K"]
    height: Float[Array, "R K"]
    first: Int[Array, " R"]
    last: Int[Array, " R"]
    failed: Bool[Array, " R"]
    below: Float[Array, "R K"]
    """Probability below each node."""
    total: Float[Array, " R"]
    """Integral of e to the height, in units."""
    mean: Float[Array, " R"]
    sd: Float[Array, " R"]

    @classmethod
    def of(cls, grid: Grid, functional: int) -> Curve:
        """Return one functional of a grid, with its moments."""
        mode, unit, place, height, first, last, failed = (
            np.ascontiguousarray(field[:, functional]) for field in grid
        )  # fmt: skip
        below, total, moments = np.zeros(place.shape), np.zeros(len(mode)), np.zeros((len(mode), 2))
        fill_moments(place, height, first, last, RULE.point, RULE.weight, below, total, moments)
        mean, sd = mode + unit * moments[:, 0], unit * moments[:, 1]
        return cls(mode, unit, place, height, first, last, failed, below, total, mean, sd)

    def only(self, rows: Bool[Array, " R"]) -> Curve:
        """Return the curves of some data sets."""
        return Curve(*(getattr(self, each.name)[rows] for each in fields(self)))

    def above(self, value: float | Float[Array, " R"]) -> Float[Array, " R"]:
        """Return the probability above a value, the same for all data sets or one for each."""
        answer = np.zeros(len(self.mode))
        fill_above(*(np.full(answer.shape, value), *self._what(), answer))
        return answer

    def quantile(self, probability: float) -> Float[Array, " R"]:
        """Return a quantile."""
        answer = np.zeros(len(self.mode))
        given: tuple[Any, ...] = (probability, *self._what(), answer)
        fill_quantile(*given)
        return answer

    def score(self) -> Float[Array, "R K"]:
        """Return the standard normal score of the probability below each node."""
        answer = np.zeros(self.place.shape)
        fill_score(self.place, self.height, self.first, self.last, RULE.point, RULE.weight, self.total, answer)
        return answer

    def _what(self) -> tuple[Array, ...]:
        shape = self.mode, self.unit, self.place, self.height, self.first, self.last
        return *shape, RULE.point, RULE.weight, self.below, self.total


@compiled
def polynomial(
    place: Float[Array, " K"],
    height: Float[Array, " K"],
    first: int,
    last: int,
    j: int,
    coefficient: Float[Array, " C"],
) -> int:
    """Return where the window around the j-th interval begins; fill the divided differences, in place."""
    size = min(WINDOW, last - first + 1)
    begin = min(max(j - (size - 2) // 2, first), last - size + 1)
    for i in range(WINDOW):
        coefficient[i] = height[begin + i] if i < size else 0.0
    for order in range(1, size):
        for i in range(size - 1, order - 1, -1):
            gap = place[begin + i] - place[begin + i - order]
            coefficient[i] = (coefficient[i] - coefficient[i - 1]) / gap
    return begin


@compiled
def density_at(x: float, place: Float[Array, " K"], begin: int, coefficient: Float[Array, " C"]) -> float:
    """Return e to the interpolated height."""
    total = coefficient[WINDOW - 1]
    for i in range(WINDOW - 2, -1, -1):
        at = min(begin + i, len(place) - 1)  # coefficients beyond the window are 0
        total = total * (x - place[at]) + coefficient[i]
    return math.exp(total)


@compiled
def mass(
    low: float,
    high: float,
    place: Float[Array, " K"],
    begin: int,
    coefficient: Float[Array, " C"],
    point: Float[Array, " G"],
    weight: Float[Array, " G"],
) -> float:
    """Return the integral of the density over a part of an interval."""
    total = 0.0
    for g in range(len(point)):
        total += weight[g] * density_at(low + (high - low) * point[g], place, begin, coefficient)
    return total * (high - low)


@compiled
def fill_moments(
    place: Float[Array, "R K"],
    height: Float[Array, "R K"],
    first: Int[Array, " R"],
    last: Int[Array, " R"],
    point: Float[Array, " G"],
    weight: Float[Array, " G"],
    below: Float[Array, "R K"],
    total: Float[Array, " R"],
    moments: Float[Array, "R 2"],
) -> None:
    """Fill the probabilities below the nodes, the integrals, and mean and standard deviation in units, in place."""
    coefficient = np.zeros(WINDOW)
    for r in range(len(place)):
        x, middle, square = place[r], 0.0, 0.0
        for j in range(first[r], last[r]):
            begin = polynomial(x, height[r], first[r], last[r], j, coefficient)
            width = x[j + 1] - x[j]
            for g in range(len(point)):
                at = x[j] + width * point[g]
                share = weight[g] * width * density_at(at, x, begin, coefficient)
                total[r] += share
                middle += share * at
                square += share * at * at
            below[r, j + 1] = total[r]
        for j in range(first[r], last[r]):
            below[r, j + 1] /= total[r]
        for j in range(last[r] + 1, len(x)):
            below[r, j] = 1.0
        moments[r, 0] = middle / total[r]
        moments[r, 1] = math.sqrt(max(square / total[r] - moments[r, 0] ** 2, 0.0))


@compiled
def fill_score(
    place: Float[Array, "R K"],
    height: Float[Array, "R K"],
    first: Int[Array, " R"],
    last: Int[Array, " R"],
    point: Float[Array, " G"],
    weight: Float[Array, " G"],
    total: Float[Array, " R"],
    answer: Float[Array, "R K"],
) -> None:
    """Fill the scores of the nodes, in place, from the probability on the side where it is smaller.

    The ends, beyond which no probability is counted, go on as the line through the last two nodes before them.
    """
    coefficient, part = np.zeros(WINDOW), np.zeros(place.shape[1])
    for r in range(len(place)):
        x, begin, end = place[r], first[r], last[r]
        for j in range(begin, end):
            window = polynomial(x, height[r], begin, end, j, coefficient)
            part[j] = mass(x[j], x[j + 1], x, window, coefficient, point, weight) / total[r]
        below = 0.0
        for j in range(begin, end - 1):
            below += part[j]
            if below <= 0.5:
                answer[r, j + 1] = normal_quantile(below)
        above = 0.0
        for j in range(end - 1, begin, -1):
            above += part[j]
            if above < 0.5:
                answer[r, j] = -normal_quantile(above)
        for at, one, two in ((begin, begin + 1, begin + 2), (end, end - 1, end - 2)):
            slope = (answer[r, two] - answer[r, one]) / (x[two] - x[one])
            answer[r, at] = answer[r, one] + slope * (x[at] - x[one])


@compiled
def interval_of(x: float, place: Float[Array, " K"], first: int, last: int) -> int:
    """Return the interval in which a value lies, by halving."""
    low, high = first, last
    while high - low > 1:
        middle = (low + high) // 2
        if place[middle] <= x:
            low = middle
        else:
            high = middle
    return low


@compiled
def fill_above(
    value: Float[Array, " R"],
    mode: Float[Array, " R"],
    unit: Float[Array, " R"],
    place: Float[Array, "R K"],
    height: Float[Array, "R K"],
    first: Int[Array, " R"],
    last: Int[Array, " R"],
    point: Float[Array, " G"],
    weight: Float[Array, " G"],
    below: Float[Array, "R K"],
    total: Float[Array, " R"],
    answer: Float[Array, " R"],
) -> None:
    """Fill the probabilities above values, in place."""
    coefficient = np.zeros(WINDOW)
    for r in range(len(mode)):
        x = (value[r] - mode[r]) / unit[r]
        if x <= place[r, first[r]]:
            answer[r] = 1.0
        elif x >= place[r, last[r]]:
            answer[r] = 0.0
        else:
            j = interval_of(x, place[r], first[r], last[r])
            begin = polynomial(place[r], height[r], first[r], last[r], j, coefficient)
            part = mass(x, place[r, j + 1], place[r], begin, coefficient, point, weight)
            answer[r] = min(max(1.0 - below[r, j + 1] + part / total[r], 0.0), 1.0)


@compiled
def fill_quantile(
    probability: float,
    mode: Float[Array, " R"],
    unit: Float[Array, " R"],
    place: Float[Array, "R K"],
    height: Float[Array, "R K"],
    first: Int[Array, " R"],
    last: Int[Array, " R"],
    point: Float[Array, " G"],
    weight: Float[Array, " G"],
    below: Float[Array, "R K"],
    total: Float[Array, " R"],
    answer: Float[Array, " R"],
) -> None:
    """Fill the quantiles, in place: Newton's method within an interval, halving where it leaves the interval."""
    coefficient = np.zeros(WINDOW)
    for r in range(len(mode)):
        j = interval_of(probability, below[r], first[r], last[r])
        begin = polynomial(place[r], height[r], first[r], last[r], j, coefficient)
        left = place[r, j]
        low, high = left, place[r, j + 1]
        wanted = (probability - below[r, j]) * total[r]
        x = low + (high - low) * min(max(wanted / (total[r] * (below[r, j + 1] - below[r, j])), 0.0), 1.0)
        for _ in range(60):
            gap = mass(left, x, place[r], begin, coefficient, point, weight) - wanted
            if gap > 0.0:
                high = x
            else:
                low = x
            moved = x - gap / density_at(x, place[r], begin, coefficient)
            if not low <= moved <= high:
                moved = (low + high) / 2.0
            if abs(moved - x) < 1e-13:
                x = moved
                break
            x = moved
        answer[r] = mode[r] + unit[r] * x
