"""Cdfs of Beta distributions at many points each, from tables: ten times faster than the incomplete beta function."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

GRID = 257
"""Points of a table, even in the angle whose squared sine is the argument."""

SMOOTH = (1.0, 1000.0)
"""Tables are for distributions with both parameters at least the first and their sum at most the second; their error is
below 2e-6 for sums up to 250, and 5e-5 at most. Others are evaluated."""


@lru_cache(maxsize=4096)
def table(a: float, b: float) -> Float[Array, "G 2"]:
    """Return cdf and density of Beta(a, b) in the angle, on the grid."""
    from scipy.special import betainc, betaln

    angle = np.linspace(0, math.pi / 2, GRID)
    sine, cosine = np.sin(angle), np.cos(angle)
    cosine[-1] = 0.0
    density = 2 * np.exp(-betaln(a, b)) * sine ** (2 * a - 1) * cosine ** (2 * b - 1)
    return np.stack([betainc(a, b, sine**2), density], axis=1)


def beta_cdf(a: Float[Array, " R"], b: Float[Array, " R"], x: Float[Array, "R S"]) -> Float[Array, "R S"]:
    """Return P(Beta(a, b) <= x), for numbers x from 0 to 1."""
    from scipy.special import betainc

    smooth = (np.minimum(a, b) >= SMOOTH[0]) & (a + b <= SMOOTH[1])
    below = np.empty(x.shape)
    below[~smooth] = betainc(a[~smooth, None], b[~smooth, None], x[~smooth])
    if smooth.any():
        pairs, row = np.unique(np.stack([a[smooth], b[smooth]], axis=1), axis=0, return_inverse=True)
        tables = np.stack([table(float(one), float(other)) for one, other in pairs])
        found = np.empty((int(smooth.sum()), x.shape[1]))
        fill_cdf(x[smooth], row.reshape(-1), tables, found)
        below[smooth] = found
    return below


@compiled
def fill_cdf(
    x: Float[Array, "R S"], row: Int[Array, " R"], tables: Float[Array, "D G 2"], below: Float[Array, "R S"]
) -> None:
    """Fill the cdfs at x by cubic Hermite interpolation in the angle, in place."""
    last = tables.shape[1] - 1
    step = math.pi / 2 / last
    for r in range(x.shape[0]):
        own = tables[row[r]]
        for s in range(x.shape[1]):
            place = math.asin(math.sqrt(x[r, s])) / step
            i = min(int(place), last - 1)
            u = place - i
            v = 1 - u
            ends = v * v * (1 + 2 * u) * own[i, 0] + u * u * (1 + 2 * v) * own[i + 1, 0]
            below[r, s] = ends + step * u * v * (v * own[i, 1] - u * own[i + 1, 1])
