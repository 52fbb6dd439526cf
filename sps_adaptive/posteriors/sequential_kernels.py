"""Compiled loops of the sequential posterior: paths of a mean through the visits, and what their last step says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled
from sps_adaptive.posteriors.independent import cdf_and_density

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array


@compiled
def follow(
    first: int,
    second: int,
    own: Float[Array, "A V"],
    centre: Float[Array, "A V K"],
    root: Float[Array, "V K K"],
    slope: Float[Array, "V K"],
    variance: Float[Array, " V"],
    row: Int[Array, " T"],
    quantile: Float[Array, "U T S"],
    distance: Float[Array, "L S"],
    location: Float[Array, " S"],
    scale: Float[Array, " S"],
) -> None:
    """Fill location and scale of the last visit's mean of `first` (less that of `second`, if not -1) on each path.

    `distance` is work space of 2 K + 1 rows: how far covariates and earlier visits lie from where the regression is
    centred, then the path itself.
    """
    visits, points = own.shape[1], len(location)
    width, covariates = centre.shape[2], centre.shape[2] - visits
    sign = 0.0 if second < 0 else 1.0
    other = max(second, 0)
    for t in range(visits):
        size = covariates + t
        at, spread = centre[first, t, size] - sign * centre[other, t, size], own[first, t] + sign * own[other, t]
        for s in range(points):
            location[s], scale[s] = at, spread
        for k in range(size):
            from_there = distance[k]
            at, steepness = centre[first, t, k] - sign * centre[other, t, k], slope[t, k]
            if k < covariates:
                for s in range(points):
                    from_there[s] = -at
            else:  # the path through the visits before lies in the last rows
                path = distance[width + k - covariates]
                for s in range(points):
                    from_there[s] = path[s] - at
            for s in range(points):
                location[s] += steepness * from_there[s]
        part = distance[2 * width]
        for k in range(size):
            for s in range(points):
                part[s] = 0.0
            for j in range(k + 1):
                steepness, from_there = root[t, k, j], distance[j]
                for s in range(points):
                    part[s] += steepness * from_there[s]
            for s in range(points):
                scale[s] += part[s] * part[s]
        for s in range(points):
            scale[s] = math.sqrt(variance[t] * scale[s])
        if t < visits - 1:
            path, chance = distance[width + t], quantile[row[t], t]
            for s in range(points):
                path[s] = location[s] + scale[s] * chance[s]


@compiled
def fill_above(
    first: int,
    second: int,
    by: float,
    own: Float[Array, "R A V"],
    centre: Float[Array, "R A V K"],
    root: Float[Array, "R V K K"],
    slope: Float[Array, "R V K"],
    variance: Float[Array, "R V"],
    row: Int[Array, "R T"],
    quantile: Float[Array, "U T S"],
    weight: Float[Array, " S"],
    last_row: Int[Array, " R"],
    tail: Float[Array, "D G 3"],
    shape: Float[Array, "D 5"],
    answer: Float[Array, " R"],
) -> None:
    """Fill P(first - second > by), in place; P(first > by) where `second` is -1."""
    points = len(weight)
    distance = np.empty((2 * centre.shape[3] + 1, points))
    location, scale = np.empty(points), np.empty(points)
    for r in range(len(answer)):
        follow(
            first, second, own[r], centre[r], root[r], slope[r], variance[r], row[r], quantile,
            distance, location, scale,
        )  # fmt: skip
        total = 0.0
        for s in range(points):
            cdf, _ = cdf_and_density((location[s] - by) / scale[s], tail[last_row[r]], shape[last_row[r]])
            total += weight[s] * cdf
        answer[r] = min(max(total, 0.0), 1.0)


@compiled
def fill_ends(
    first: int,
    second: int,
    share: Float[Array, " E"],
    own: Float[Array, "R A V"],
    centre: Float[Array, "R A V K"],
    root: Float[Array, "R V K K"],
    slope: Float[Array, "R V K"],
    variance: Float[Array, "R V"],
    row: Int[Array, "R T"],
    quantile: Float[Array, "U T S"],
    weight: Float[Array, " S"],
    last_row: Int[Array, " R"],
    tail: Float[Array, "D G 3"],
    shape: Float[Array, "D 5"],
    answer: Float[Array, "R E"],
) -> None:
    """Fill the quantiles `share` of first - second (of `first` where `second` is -1), in place.

    Newton's steps between ends that close in on the root; where a step would leave them, they are halved.
    """
    points = len(weight)
    distance = np.empty((2 * centre.shape[3] + 1, points))
    location, scale = np.empty(points), np.empty(points)
    for r in range(len(answer)):
        follow(
            first, second, own[r], centre[r], root[r], slope[r], variance[r], row[r], quantile,
            distance, location, scale,
        )  # fmt: skip
        middle, unit = 0.0, 0.0
        for s in range(points):
            middle += weight[s] * location[s]
            unit += weight[s] * scale[s]
        for e in range(len(share)):
            low, high, x = -math.inf, math.inf, middle
            reach = unit
            for _ in range(400):
                below, density = 0.0, 0.0
                for s in range(points):
                    cdf, height = cdf_and_density((x - location[s]) / scale[s], tail[last_row[r]], shape[last_row[r]])
                    below += weight[s] * cdf
                    density += weight[s] * height / scale[s]
                if below < share[e]:
                    low = x
                else:
                    high = x
                step = (share[e] - below) / density if density > 0.0 else math.inf
                if abs(step) <= 1e-11 * (abs(x) + unit):
                    break
                following = x + step
                if high == math.inf:
                    following = min(following, low + reach) if following > low else low + reach
                    reach *= 2
                elif low == -math.inf:
                    following = max(following, high - reach) if following < high else high - reach
                    reach *= 2
                elif not low < following < high:
                    following = low + (high - low) / 2
                if following == x:
                    break
                x = following
            answer[r, e] = x
