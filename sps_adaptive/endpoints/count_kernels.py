"""Quantiles of counts, compiled: one search for each patient and arm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sps_adaptive.kernels import compiled

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

BELOW = 9.0
"""Standard deviations below the mean from which on probabilities are summed."""

NOTHING = 2.0**-60
"""A probability that cannot move a sum near 1."""


@compiled
def log_probability(k: float, mean: float, dispersion: float) -> float:
    """Return the log probability of k events."""
    if dispersion == 0.0:
        return k * math.log(mean) - mean - math.lgamma(k + 1)
    size = 1 / dispersion
    constant = math.lgamma(k + size) - math.lgamma(size) - math.lgamma(k + 1)
    return constant + k * math.log(mean / (size + mean)) - size * math.log1p(mean / size)


@compiled
def quantile(u: float, mean: float, dispersion: float) -> float:
    """Return the smallest count whose distribution function lies above u, for u in [0, 1).

    Probabilities are summed from 9 standard deviations below the mean on, each a multiple of the one before. The chance
    of less is below exp(-81/2), 3e-18, because counts tilted downwards vary less (Chernoff's bound).
    """
    if mean <= 0.0:
        return 0.0
    first = math.floor(mean - BELOW * math.sqrt(mean + dispersion * mean * mean))
    k = max(first, 0.0)
    ratio = mean / (1 + dispersion * mean)
    mass = math.exp(log_probability(k, mean, dispersion))
    total = mass
    scale = 1 + dispersion * mean  # what is left beyond k is less than about this many times the mass at k
    while total <= u:
        mass *= ratio * (1 + dispersion * k) / (k + 1)
        k += 1
        total += mass
        if mass * scale < NOTHING and k > mean:  # rounding keeps the sum below u
            break
    return k


@compiled
def fill_counts(
    u: Float[Array, "R N"],
    mean: Float[Array, "#R #N A"],
    dispersion: Float[Array, " A"],
    count: Float[Array, "R N A"],
) -> None:
    """Fill the count of each patient on each arm, in place."""
    replicates, patients, arms = count.shape
    for r in range(replicates):
        row = r if mean.shape[0] > 1 else 0
        for n in range(patients):
            place = n if mean.shape[1] > 1 else 0
            for a in range(arms):
                count[r, n, a] = quantile(u[r, n], mean[row, place, a], dispersion[a])
