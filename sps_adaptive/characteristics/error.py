r"""Monte Carlo errors: how far a simulated figure may be from what infinitely many replicates would give.

Every function takes sums, not samples, so that the blocks of a run can be added up. Intervals have the level 95%.

References
----------
Morris TP, White IR, Crowther MJ (2019). Using simulation studies to evaluate statistical methods.
Statistics in Medicine 38:2074-2102.
Clopper CJ, Pearson ES (1934). The use of confidence or fiducial limits illustrated in the case of the
binomial. Biometrika 26:404-413.
Woodruff RS (1952). Confidence intervals for medians and other position measures.
Journal of the American Statistical Association 47:635-646.
David HA, Nagaraja HN (2003). Order Statistics, 3rd ed., section 7.1. Wiley.
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

LEVEL = 0.95
"""Level of the Monte Carlo intervals."""

Z = 1.959963984540054
"""The 97.5% quantile of the standard normal distribution."""

ROUNDING = 1e-12
"""A sum of squared deviations below this share of the sum of squares is rounding error, that is, zero."""


class Figure(NamedTuple):
    """A figure with its Monte Carlo error; None where the error is undefined."""

    estimate: float
    mcse: float | None
    """Monte Carlo standard error."""
    lower: float | None
    upper: float | None


def proportion(successes: int, n: int) -> Figure:
    r"""Return a proportion with the Clopper-Pearson interval.

    :math:`\mathrm{MCSE} = \sqrt{\hat p (1 - \hat p) / n}` (Morris et al. 2019, table 6). Where the proportion is
    0 or 1 that would be 0, which is wrong: there, half the width of the Clopper-Pearson interval over 1.96.
    The bounds are quantiles of beta distributions, :math:`B^{-1}(0.025; x, n - x + 1)` and
    :math:`B^{-1}(0.975; x + 1, n - x)`; 0 and 1 at the ends.
    """
    from scipy.special import betaincinv

    p, tail = successes / n, (1 - LEVEL) / 2
    lower = float(betaincinv(successes, n - successes + 1, tail)) if successes > 0 else 0.0
    upper = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    mcse = sqrt(p * (1 - p) / n) if 0 < successes < n else (upper - lower) / (2 * Z)
    return Figure(p, mcse, lower, upper)


def mean(n: int, s1: float, s2: float, origin: float = 0.0) -> Figure:
    r"""Return a mean with the t interval, from sums of powers about an origin.

    :math:`\mathrm{MCSE} = s / \sqrt n` (Morris et al. 2019, table 6, bias).
    With one value there is no error.
    """
    from scipy.special import stdtrit

    estimate = origin + s1 / n
    if n < 2:
        return Figure(estimate, None, None, None)
    mcse = sqrt(squared_deviations(n, s1, s2) / (n - 1) / n)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * mcse
    return Figure(estimate, mcse, estimate - half, estimate + half)


def sd(n: int, s1: float, s2: float, s3: float, s4: float) -> Figure:
    r"""Return a standard deviation (n - 1 in the denominator) from at least two values.

    By the delta method,
    :math:`\mathrm{MCSE} = \sqrt{\{m_4 - m_2^2 (n - 3)/(n - 1)\} / n} \,/\, (2 s)`
    with the second and fourth central moments :math:`m_2, m_4` (n in the denominator), from the exact variance
    of :math:`s^2`. For normal values this is near :math:`s / \sqrt{2 (n - 1)}` (Morris et al. 2019, table 6,
    empirical SE), but patients and months are not normal. Normal interval, not below 0.
    """
    if n < 2:
        raise ValueError("a standard deviation needs two values")
    squares = squared_deviations(n, s1, s2)
    if squares == 0.0:
        return Figure(0.0, 0.0, 0.0, 0.0)
    estimate, m2, d = sqrt(squares / (n - 1)), squares / n, s1 / n
    m4 = (s4 - 4 * d * s3 + 6 * d**2 * s2) / n - 3 * d**4
    mcse = sqrt(max(m4 - m2**2 * (n - 3) / (n - 1), 0.0) / n) / (2 * estimate)
    return Figure(estimate, mcse, max(estimate - Z * mcse, 0.0), estimate + Z * mcse)


def rmse(n: int, s2: float, s4: float) -> Figure:
    r"""Return a root mean squared error, from sums of powers of the errors.

    The mean squared error has
    :math:`\mathrm{MCSE} = \sqrt{\sum (e_i^2 - \mathrm{MSE})^2 / \{n (n - 1)\}}`
    (Morris et al. 2019, table 6); by the delta method its root has this over twice the root.
    Normal interval, not below 0.
    """
    estimate = sqrt(s2 / n)
    if n < 2:
        return Figure(estimate, None, None, None)
    if estimate == 0.0:
        return Figure(0.0, 0.0, 0.0, 0.0)
    mcse = sqrt(squared_deviations(n, s2, s4) / (n - 1) / n) / (2 * estimate)
    return Figure(estimate, mcse, max(estimate - Z * mcse, 0.0), estimate + Z * mcse)


def quantile(values: Float[Array, " B"], counts: Int[Array, " B"], level: float) -> Figure:
    r"""Return a quantile of counted values: the smallest value that at least a share `level` does not exceed.

    The interval lies between the order statistics l and u with :math:`P(B < l) \le 0.025` and
    :math:`P(B \ge u) \le 0.025`, :math:`B \sim \mathrm{Bin}(n, \mathrm{level})` (David and Nagaraja 2003); it needs no
    density and holds for discrete values. The standard error is its half width over 1.96 (Woodruff 1952), and 0
    where the interval is one value. A bound that needs more replicates than there are is None.

    Parameters
    ----------
    values
        Distinct values, increasing.
    counts
        How often each occurs.
    """
    upto = np.cumsum(counts)
    n, tail = int(upto[-1]), (1 - LEVEL) / 2

    def order_statistic(rank: int) -> float | None:
        return float(values[np.searchsorted(upto, rank)]) if 1 <= rank <= n else None

    estimate = order_statistic(max(ceil(n * level - 1e-9), 1))
    if estimate is None:
        raise ValueError("a level lies between 0 and 1")
    lower = order_statistic(binomial_quantile(tail, n, level))
    upper = order_statistic(binomial_quantile(1 - tail, n, level) + 1)
    mcse = None if lower is None or upper is None else (upper - lower) / (2 * Z)
    return Figure(estimate, mcse, lower, upper)


def squared_deviations(n: int, s1: float, s2: float) -> float:
    """Return the sum of squared deviations from the mean, 0 where it is rounding error."""
    squares = s2 - s1 * s1 / n
    return squares if squares > ROUNDING * s2 else 0.0


def binomial_quantile(q: float, n: int, p: float) -> int:
    """Return the smallest k with P(B <= k) >= q for B ~ Bin(n, p)."""
    from scipy.special import bdtr, bdtrik

    k = int(np.clip(np.ceil(np.nan_to_num(bdtrik(q, n, p))), 0, n))
    while k > 0 and bdtr(k - 1, n, p) >= q:
        k -= 1
    while bdtr(k, n, p) < q:
        k += 1
    return k
