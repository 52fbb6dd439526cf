"""The log posterior density of negative binomial regression, with its derivatives, compiled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled
from sps_adaptive.models.negative_binomial_kernels import rising

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array


@compiled
def rising_slopes(count: float, dispersion: float) -> tuple[float, float]:
    r"""Return the two derivatives of `rising` by the log dispersion.

    Sums over j < count of jφ / (1 + jφ) and of jφ / (1 + jφ)²; for many events by their series in φ where all terms are
    small, else by differences of digamma and trigamma functions of y + 1/φ and 1/φ.
    """
    first, second = 0.0, 0.0
    if count < 40.0:
        for j in range(1, int(count)):
            more = 1 + j * dispersion
            first += j * dispersion / more
            second += j * dispersion / (more * more)
        return first, second
    if count * dispersion < 1e-3:
        one = dispersion * count * (count - 1) / 2
        two = dispersion * dispersion * (count - 1) * count * (2 * count - 1) / 6
        three = dispersion * one * one
        return one - two + three, one - 2 * two + 3 * three
    size = 1 / dispersion
    for start, sign in ((count + size, 1.0), (size, -1.0)):
        z = start
        while z < 12.0:  # upwards to where the asymptotic series hold
            first -= sign / z
            second += sign / (z * z)
            z += 1
        w = 1 / (z * z)
        first += sign * (math.log(z) - 0.5 / z - w * (1 / 12 - w * (1 / 120 - w * (1 / 252 - w / 240))))
        second += sign / z * (1 + 0.5 / z + w * (1 / 6 - w * (1 / 30 - w * (1 / 42 - w / 30))))
    return count - size * first, size * first + size * size * second


@compiled
def fill_density(
    at: Float[Array, "M P"],
    rows: Int[Array, " M"],
    arm: Int[Array, "R N"],
    known: Bool[Array, "R N"],
    weeks: Float[Array, "R N"],
    count: Float[Array, "R N"],
    columns: Float[Array, "R N C"],
    n_arms: int,
    prior_mean: Float[Array, " P"],
    prior_sd: Float[Array, " P"],
    value: Float[Array, " M"],
    gradient: Float[Array, "M P"],
    hessian: Float[Array, "M P P"],
) -> None:
    """Fill value, gradient and Hessian of the log posterior of (log rates, slopes, log dispersion), in place.

    The last parameter is the log dispersion. Constants of the data are left out.
    """
    n_columns = columns.shape[2]
    last = n_arms + n_columns
    design = np.empty(n_columns + 1)
    for m in range(len(rows)):
        r = rows[m]
        total = 0.0
        gradient[m] = 0.0
        hessian[m] = 0.0
        for p in range(last + 1):
            z = (at[m, p] - prior_mean[p]) / prior_sd[p]
            total -= z * z / 2
            gradient[m, p] = -z / prior_sd[p]
            hessian[m, p, p] = -1 / (prior_sd[p] * prior_sd[p])
        dispersion = math.exp(min(max(at[m, last], -40.0), 40.0))
        size = 1 / dispersion
        for i in range(arm.shape[1]):
            if not known[r, i]:
                continue
            own = arm[r, i]
            predictor = math.log(weeks[r, i]) + at[m, own]
            for c in range(n_columns):
                predictor += columns[r, i, c] * at[m, n_arms + c]
            y = count[r, i]
            mean = math.exp(min(predictor, 300.0))
            more = 1 + dispersion * mean
            log_more = math.log1p(dispersion * mean)
            share = dispersion * mean / more
            sum_slope, sum_bend = rising_slopes(y, dispersion)
            total += rising(y, dispersion) + y * predictor - (y + size) * log_more
            by_predictor = (y - mean) / more
            twice = -mean * (1 + dispersion * y) / (more * more)
            cross = -(y - mean) * share / more
            gradient[m, last] += sum_slope + size * log_more - (y + size) * share
            hessian[m, last, last] += sum_bend - size * log_more + 2 * size * share - (y + size) * share / more
            design[0] = 1.0
            design[1:] = columns[r, i]
            for c in range(n_columns + 1):
                p = own if c == 0 else n_arms + c - 1
                gradient[m, p] += by_predictor * design[c]
                hessian[m, p, last] += cross * design[c]
                hessian[m, last, p] += cross * design[c]
                for d in range(n_columns + 1):
                    q = own if d == 0 else n_arms + d - 1
                    hessian[m, p, q] += twice * design[c] * design[d]
        value[m] = total


@dataclass(frozen=True, eq=False)
class NegativeBinomialDensity:
    """The log posterior density of (log rates, slopes of covariates, log dispersion), for many data sets."""

    arm: Int[Array, "R N"]
    known: Bool[Array, "R N"]
    weeks: Float[Array, "R N"]
    count: Float[Array, "R N"]
    columns: Float[Array, "R N C"]
    prior_mean: Float[Array, " P"]
    prior_sd: Float[Array, " P"]
    n_arms: int

    @property
    def n_parameters(self) -> int:
        """Log rates, slopes and the log dispersion."""
        return len(self.prior_mean)

    def start(self) -> Float[Array, "R P"]:
        """Return where to begin: the observed rates, drawn to the prior; no slopes, the prior's dispersion."""
        begin = np.repeat(self.prior_mean[None, :], len(self.arm), axis=0)
        for a in range(self.n_arms):
            here = (self.arm == a) & self.known
            events = np.where(here, self.count, 0.0).sum(axis=1) + 0.5
            kept = np.where(here, self.weeks, 0.0).sum(axis=1) + 0.5 * np.exp(-self.prior_mean[a])
            begin[:, a] = np.log(events / kept)
        return begin

    def evaluate(
        self, at: Float[Array, "M P"], rows: Int[Array, " M"]
    ) -> tuple[Float[Array, " M"], Float[Array, "M P"], Float[Array, "M P P"]]:
        """Return value, gradient and Hessian of the log posterior of data sets `rows`."""
        number, size = at.shape
        value, gradient, hessian = np.empty(number), np.empty((number, size)), np.empty((number, size, size))
        fill_density(
            at, rows, self.arm, self.known, self.weeks, self.count, self.columns, self.n_arms, self.prior_mean,
            self.prior_sd, value, gradient, hessian,
        )  # fmt: skip
        return value, gradient, hessian
