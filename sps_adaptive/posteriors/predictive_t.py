r"""Success as a region of one Student-t variable: the integrals of predictive probabilities with unknown variances.

Let :math:`\nu s^2 / \sigma^2 \sim \chi^2_\nu`. In units of s, the posterior mean that is to come is :math:`g + R T`
with :math:`T \sim t_\nu`. The sum of squares that is to come depends on T and on the spread of the further outcomes, a
:math:`\chi^2` variable that is independent of T given :math:`\sigma^2`. As :math:`\sigma^2 / s^2` given T is
:math:`(\nu + T^2) / \chi^2_{\nu + 1}`, the sum is

.. math:: e_0 + e_1 T + e_2 T^2 + q (\nu + T^2), \qquad q = 1 / B \text{ or } (1 - B) / B,

with a Beta variable B that is independent of T. Where M outcomes are added to those known, :math:`q = 1 / B`,
:math:`B \sim \mathrm{Beta}((\nu + 1) / 2, (M - 1) / 2)`, and the e are 0. Where a separate trial learns the variance
with M degrees of freedom, :math:`q = (1 - B) / B`, :math:`B \sim \mathrm{Beta}((\nu + 1) / 2, M / 2)`, and the e are
what its prior adds. An arm succeeds if :math:`g + R T` exceeds a multiple of the root of the sum: given B, an
inequality of second degree in T, whose probability is a difference of two Student-t cdfs. One integral over B is left.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import betaincinv, betaln

from sps_adaptive.kernels import compiled
from sps_adaptive.posteriors.independent import cdf_and_density, standards
from sps_adaptive.posteriors.quadrature import sine_rule

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

POINT, POINT_COMPLEMENT, POINT_WEIGHT = sine_rule(32)

TAIL = 1e-12
"""What the integral over B leaves out at either end."""


class Race(NamedTuple):
    """What a batch of arms needs for success; one entry for each."""

    gap: Float[Array, " P"]
    """g: the mean of the difference that is to come, less the margin."""
    move: Float[Array, " P"]
    """R: by how much one unit of T moves it."""
    hurdle: Float[Array, " P"]
    """The sum of squares is multiplied by this, positive; g + R T must exceed the root."""
    prior: Float[Array, "P 3"]
    """e of the prior's sum of squares."""
    df: Float[Array, " P"]
    """ν."""
    gained: Float[Array, " P"]
    """M: the degrees of freedom that further outcomes add."""


def chance(race: Race, fresh: bool) -> Float[Array, " P"]:
    """Return the probability of success of each arm."""
    tables, row = standards(race.df)
    law, which = laws(race.df, race.gained, fresh)
    found = np.empty(len(race.gap))
    fill_chance(
        race.gap, race.move, race.hurdle, race.prior, race.df, fresh, row, *tables, law, which,
        POINT, POINT_COMPLEMENT, POINT_WEIGHT, found,
    )  # fmt: skip
    return found


def laws(
    df: Float[Array, " P"], gained: Float[Array, " P"], fresh: bool
) -> tuple[Float[Array, "L 5"], Int[Array, " P"]]:
    """Return the distinct laws of B and the law of each entry.

    A law is its two parameters, the logarithm of its Beta function, and how far from 0 and from 1 its mass begins.
    """
    pairs, which = np.unique(np.stack([df, gained], axis=1), axis=0, return_inverse=True)
    return np.array([_law(float(nu), float(m), fresh) for nu, m in pairs]).reshape(-1, 5), which.reshape(len(df))


@lru_cache(maxsize=4096)
def _law(df: float, gained: float, fresh: bool) -> tuple[float, float, float, float, float]:
    a, b = (df + 1) / 2, (gained if fresh else gained - 1) / 2
    if b <= 0:  # nothing is left to chance: B = 1
        return a, 0.0, 0.0, 1.0, 0.0
    return a, b, float(betaln(a, b)), float(betaincinv(a, b, TAIL)), float(betaincinv(b, a, TAIL))


@compiled
def region(
    gap: float,
    move: float,
    two: float,
    one: float,
    zero: float,
    tail: Float[Array, "G 3"],
    shape: Float[Array, " 5"],
) -> float:
    """Return P(gap + move T > 0 and two T² + 2 one T + zero > 0) of a Student-t variable.

    The inequality of second degree does not hold where gap + move T = 0: its roots lie on either side of this place if
    it opens upwards, on the same side if it opens downwards.
    """
    inside = one * one - two * zero
    if inside < 0.0 and two <= 0.0:
        return 0.0
    root = -(one + math.copysign(math.sqrt(max(inside, 0.0)), one))
    if two == 0.0:
        beyond, _ = cdf_and_density(-zero / root if root != 0.0 else 0.0, tail, shape)
        return beyond if one > 0.0 else 0.0
    first, second = root / two, zero / root if root != 0.0 else 0.0
    low, high = min(first, second), max(first, second)
    far, _ = cdf_and_density(-min(high, 1e150), tail, shape)
    if two > 0.0:
        return far
    if gap + move * (low + high) / 2 <= 0.0:
        return 0.0
    near, _ = cdf_and_density(-max(low, -1e150), tail, shape)
    return max(near - far, 0.0)


@compiled
def fill_chance(
    gap: Float[Array, " P"],
    move: Float[Array, " P"],
    hurdle: Float[Array, " P"],
    prior: Float[Array, "P 3"],
    df: Float[Array, " P"],
    fresh: bool,
    row: Int[Array, " P"],
    tail: Float[Array, "D G 3"],
    shape: Float[Array, "D 5"],
    law: Float[Array, "L 5"],
    which: Int[Array, " P"],
    point: Float[Array, " G"],
    complement: Float[Array, " G"],
    weight: Float[Array, " G"],
    found: Float[Array, " P"],
) -> None:
    """Fill the probabilities of success, in place: sums over B of those of the regions of T.

    Two values of q are special: where the region changes from a half-line to an interval, and where it vanishes.
    Between them the rule, whose nodes crowd at both ends, meets a smooth integrand.
    """
    end, rest = np.empty(3), np.empty(3)  # ends of the panels, and their distances from 1
    for p in range(len(gap)):
        g, r, k, nu = gap[p], move[p], hurdle[p], df[p]
        a, b, log_norm, first, last = law[which[p]]
        own_tail, own_shape = tail[row[p]], shape[row[p]]
        # The inequality, but for q: (two - k q) T² + 2 one T + zero - k q ν > 0.
        two, one, zero = r * r - k * prior[p, 2], g * r - k * prior[p, 1] / 2, g * g - k * prior[p, 0]
        if b == 0.0:
            q = 0.0 if fresh else 1.0
            found[p] = region(g, r, two - k * q, one, zero - k * q * nu, own_tail, own_shape)
            continue
        middle = two * nu + zero
        inside = middle * middle + 4 * nu * (one * one - two * zero)
        vanishes = (middle + math.sqrt(max(inside, 0.0))) / (2 * nu)
        end[0], rest[0], end[2], rest[2] = first, 1 - first, 1 - last, last
        if vanishes <= 0.0:
            found[p] = 0.0
            continue
        for special, place in ((vanishes, 0), (two, 1)):
            at = k / (special + k if fresh else max(special, k)) if special > 0.0 else 1.0
            end[place] = min(max(at, end[0]), end[2])
            rest[place] = 1 - end[place]
        total = 0.0
        for panel in range(2):
            length = end[panel + 1] - end[panel]
            if length <= 0.0:
                continue
            for i in range(len(point)):
                at = end[panel] + length * point[i]
                to_1 = rest[panel + 1] + length * complement[i]
                if to_1 <= 0.0:
                    continue
                q = to_1 / at if fresh else 1 / at
                density = math.exp((a - 1) * math.log(at) + (b - 1) * math.log(to_1) - log_norm)
                share = region(g, r, two - k * q, one, zero - k * q * nu, own_tail, own_shape)
                total += weight[i] * length * density * share
        found[p] = min(max(total, 0.0), 1.0)
