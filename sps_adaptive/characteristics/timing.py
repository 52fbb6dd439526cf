r"""How long trials take when patients come like clockwork: exact laws of months, given where a trial stops.

A patient enrolled in month e is settled by month t unless neither the visit has come nor the patient has left:
:math:`F(t) = 1 - S_{\text{visit}}(t) \, S_{\text{dropout}}(t)`. The final analysis takes place when the last of those
who were pending is settled, :math:`P(D \le t) = \prod F_i(t)`, and not before the trial stopped.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.characteristics.metrics import METRICS

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array
    from sps_adaptive.exact.calendar import Course

NODES = 24
"""Gauss-Legendre nodes in each piece between two corners of the law: the integrands are smooth in between."""


class Timing(NamedTuple):
    """A random month."""

    mean: float
    square: float
    """Mean of its square."""
    bins: dict[int, float]
    """Probability of each tenth of a month."""


class Months(NamedTuple):
    """When a trial that ends at a certain look is decided, and when everybody is followed."""

    decision: Timing
    duration: Timing


class Times(NamedTuple):
    """The calendar of a trial."""

    pending: tuple[float, ...]
    """For each look, the expected number enrolled, not assessed, and not known to have left."""
    months: tuple[Months, ...] | None
    """For each look at which the trial may stop, and last for the end; None where accrual is random."""


@lru_cache(maxsize=64)
def timing(plan: Course) -> Times:
    """Return the calendar of a trial."""
    if plan.enrolled_month is None:
        return Times((0.0,) * len(plan.looks), None)
    enrolled = np.array(plan.enrolled_month)
    pending, months = [], []
    for look in plan.looks:
        assert look.month is not None
        waiting = enrolled[look.settled : look.enrolled]
        pending.append(float(np.exp(-plan.dropout_rate * (look.month - waiting)).sum()))
        stop = certain(look.month)
        months.append(Months(stop, last_settled(plan, waiting, look.month)))
    end = last_settled(plan, enrolled, 0.0)
    return Times(tuple(pending), (*months, Months(end, end)))


def certain(month: float) -> Timing:
    """Return a month without chance."""
    return Timing(month, month**2, {int(np.floor(month * METRICS["duration_months"].bins + 0.5)): 1.0})


def last_settled(plan: Course, enrolled: Float[Array, " W"], not_before: float) -> Timing:
    """Return the month in which the last of some patients is settled, at the earliest `not_before`."""
    if len(enrolled) == 0:
        return certain(not_before)
    planned = enrolled + plan.months_to_assessment
    if plan.missing == 0 and plan.window == 0:
        return certain(max(float(planned.max()), not_before))
    visit_from, visit_to = planned - plan.window, planned + plan.window

    def cdf(t: Float[Array, "..."]) -> Float[Array, "..."]:
        t = np.asarray(t, float)[..., None]
        width = np.maximum(visit_to - visit_from, 1e-300)
        still_to_come = np.where(t >= visit_to, 0.0, np.clip((visit_to - t) / width, 0.0, 1.0))
        still_there = np.exp(-plan.dropout_rate * np.maximum(t - enrolled, 0.0))
        return np.asarray(np.prod(1 - still_to_come * still_there, axis=-1) * (t[..., 0] >= not_before))

    low, high = max(not_before, float(enrolled.max())), float(visit_to.max())
    corners = np.unique(np.clip(np.concatenate([[low, high], enrolled, visit_from, visit_to]), low, high))
    node, weight = np.polynomial.legendre.leggauss(NODES)
    left, width = corners[:-1, None], np.diff(corners)[:, None]
    t, w = (left + width * (node + 1) / 2).ravel(), (width * weight / 2).ravel()
    # E D = high - integral of the cdf; E D^2 = high^2 - 2 integral of t times the cdf, below `low` it is 0
    below = cdf(t)
    bins = METRICS["duration_months"].bins
    first, last = int(np.floor(low * bins + 0.5)), int(np.floor(high * bins + 0.5))
    edges = (np.arange(first, last + 1) + 0.5) / bins
    shares = np.diff(np.concatenate([[0.0], np.where(edges >= high, 1.0, cdf(edges))]))
    return Timing(
        high - float(w @ below),
        high**2 - 2 * float(w @ (t * below)),
        {first + k: float(share) for k, share in enumerate(shares) if share > 0},
    )
