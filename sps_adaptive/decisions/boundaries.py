r"""Thresholds that fall as information grows, and the errors that go with them.

With a flat prior and normal outcomes of known spread, the posterior probability that an arm is better than the control
is :math:`\Phi(z)`, z being the standardised difference. A threshold on that probability is then a group-sequential
boundary on z, and the type I error of a trial with looks can be calculated. At information fraction t (information at
the look by information at the end) the shapes of Wang and Tsiatis (1987) put it at

.. math:: \Phi\bigl(c\, t^{\Delta - 1/2}\bigr)

with :math:`\Delta = 0` for O'Brien and Fleming (1979) and :math:`\Delta = 1/2` for Pocock (1977).

Probabilities of crossing come from the recursion of Armitage, McPherson and Rowe (1969): the density of the score
:math:`z\sqrt t` among trials that go on is carried from look to look. Each integral is taken by Gauss-Legendre rules on
short panels between the boundaries; the result is good to about 1e-11.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

REACH = 8.0
"""Standard deviations from the mean beyond which a score counts as impossible: two tails of 6e-16."""

CLOSEST = 1e-3
"""Two looks closer than this part of their information would need thousands of nodes between them."""


class Crossings(NamedTuple):
    """Probabilities of crossing a boundary for the first time, look by look."""

    upper: Float[Array, " K"]
    lower: Float[Array, " K"]


class Survivors(NamedTuple):
    """Trials that have crossed no boundary: the nodes of their score, and the probability that each stands for."""

    score: Float[Array, " G"]
    probability: Float[Array, " G"]


class Panels(NamedTuple):
    """A quadrature rule on an interval."""

    node: Float[Array, " G"]
    weight: Float[Array, " G"]


def shape_threshold(constant: float, delta: float, fraction: Float[Array, "..."] | float) -> Float[Array, "..."]:
    """Return the threshold on the posterior probability at information fractions.

    Where there is next to no information it is 1, which no probability exceeds (with Pocock's shape it is the same
    everywhere).

    Parameters
    ----------
    constant : float
        The standardised difference to exceed at fraction 1; above 0.
    delta : float
        0 for O'Brien and Fleming, 1/2 for Pocock.
    fraction : array
        Information fractions, 0 or more.
    """
    if not 0 < constant < np.inf:
        raise ValueError(f"the constant of a shape must be above 0, not {constant}: a probability above 1/2")
    fraction = np.asarray(fraction, float)
    if not (fraction >= 0).all():
        raise ValueError("information fractions must be 0 or more")
    with np.errstate(divide="ignore", over="ignore"):  # at and near 0 the boundary is infinite, and so it should be
        return np.asarray(ndtr(constant * fraction ** (delta - 0.5)))


def crossing_probabilities(
    upper: Float[Array, " K"] | float,
    lower: Float[Array, " K"] | float,
    fractions: Sequence[float] | Float[Array, " K"],
    drift: float = 0.0,
) -> Crossings:
    """Return the probability that each look is the first at which a boundary is crossed.

    Parameters
    ----------
    upper, lower : array or float
        Boundaries on the scale of z, one for each look or one for all; infinite where there is none.
    fractions : sequence of float
        Information at each look, increasing, in units of the information for which `drift` holds.
    drift : float
        The expected value of z at fraction 1: the true difference by its standard error there.
    """
    times = increasing(fractions)
    root = np.sqrt(times)
    above, below = np.broadcast_to(upper, times.shape) * root, np.broadcast_to(lower, times.shape) * root
    if not (below <= above).all():  # false for NaN also
        raise ValueError("a lower boundary lies above the upper one")
    steps = np.diff(times, prepend=0.0)
    crossed = Crossings(np.zeros(len(times)), np.zeros(len(times)))
    alive = Survivors(np.zeros(1), np.ones(1))
    for k, step in enumerate(steps):
        moved = alive._replace(score=alive.score + drift * step)
        crossed.upper[k] = beyond(moved, above[k], step)
        crossed.lower[k] = beyond(mirrored(moved), -below[k], step)
        if k + 1 < len(steps):
            middle, reach = drift * times[k], REACH * root[k]
            interval = max(below[k], middle - reach), min(above[k], middle + reach)
            alive = onward(moved, panels(*interval, roughness(step, steps[k + 1])), step)
    return crossed


def wang_tsiatis_constant(delta: float, fractions: Sequence[float], error: float, sides: Literal[1, 2] = 1) -> float:
    r"""Return the constant with which a trial with one comparison has a type I error.

    The boundary on z is :math:`c\, t^{\Delta-1/2}`; with two sides a difference in either direction counts, and `error`
    is the sum of both. A look without new information is no look.

    Parameters
    ----------
    delta : float
        0 for O'Brien and Fleming, 1/2 for Pocock.
    fractions : sequence of float
        Planned information fractions of the looks at which the rule speaks, the final analysis included.
    error : float
        The type I error, above 0 and below 1/2 a side.
    """
    return _wang_tsiatis_constant(float(delta), distinct(fractions), float(error), sides)


@lru_cache(maxsize=256)
def _wang_tsiatis_constant(delta: float, fractions: tuple[float, ...], error: float, sides: int) -> float:
    if not 0 < error < sides / 2:
        raise ValueError(f"a type I error of {error} on {sides} side(s) has no threshold above 1/2")
    shape = increasing(fractions) ** (delta - 0.5)

    def excess(constant: float) -> float:
        boundary = constant * shape
        return float(crossing_probabilities(boundary, -boundary if sides == 2 else -np.inf, fractions)[0].sum())

    # The error is at least that of the look that is easiest to pass, at most the sum over the looks.
    alone = error / sides
    easiest = shape.min()
    return solve(excess, alone, -ndtri(alone) / easiest, -ndtri(alone / len(shape)) / easiest)


def spending_boundary(
    spent: Sequence[float] | Float[Array, " K"],
    fractions: Sequence[float] | Float[Array, " K"],
    sides: Literal[1, 2] = 1,
) -> Float[Array, " K"]:
    """Return the boundary on z that spends a type I error as planned (Lan and DeMets 1983).

    Parameters
    ----------
    spent : sequence of float
        The error spent up to and including each look, not decreasing; of both sides together if there are two, whose
        boundaries then are the one returned and its mirror image.
    fractions : sequence of float
        Information fractions of the looks, increasing.
    """
    times, shares = increasing(fractions), np.diff(spent, prepend=0.0) / sides
    if len(shares) != len(times) or not ((shares >= 0).all() and shares.sum() * sides < 1):
        raise ValueError("the error spent must not decrease, must stay below 1, and needs one number for each look")
    steps = np.diff(times, prepend=0.0)
    boundary = np.full(len(times), np.inf)
    alive = Survivors(np.zeros(1), np.ones(1))
    for k, step in enumerate(steps):
        root = np.sqrt(times[k])
        if shares[k] > 0:
            # On one side all who are left may have to cross; on two, no boundary is below 0.
            lowest = 0.0 if sides == 2 else -REACH
            passed = partial(_passed, alive, step, root)
            boundary[k] = solve(passed, shares[k], lowest, -ndtri(shares[k]))
        if k + 1 < len(steps):
            end = min(boundary[k], REACH) * root
            start = -end if sides == 2 else -REACH * root
            alive = onward(alive, panels(start, end, roughness(step, steps[k + 1])), step)
    return boundary


def _passed(alive: Survivors, step: float, root: float, boundary: float) -> float:
    return beyond(alive, boundary * root, step)


def distinct(fractions: Sequence[float] | Float[Array, " K"]) -> tuple[float, ...]:
    """Return fractions without repetition, as something that can be looked up."""
    return tuple(dict.fromkeys(float(fraction) for fraction in fractions))


def increasing(fractions: Sequence[float] | Float[Array, " K"]) -> Float[Array, " K"]:
    """Return information fractions that can be calculated with."""
    times = np.asarray(fractions, float)
    if times.ndim != 1 or not len(times) or not (np.isfinite(times) & (times > 0)).all():
        raise ValueError("information fractions are a list of numbers above 0")
    if not (np.diff(times, prepend=0.0) >= CLOSEST * times).all():
        raise ValueError(f"each information fraction must exceed the one before by a part of {CLOSEST:g} at least")
    return times


def roughness(step: float, following: float) -> float:
    """Return the length over which an integrand changes: a density of one step times the distribution of the next."""
    return 1 / np.hypot(1 / np.sqrt(step), 1 / np.sqrt(following))


def panels(start: float, end: float, scale: float) -> Panels:
    """Return Gauss-Legendre rules side by side on an interval, two nodes to a length `scale`; none if it is empty."""
    if not start < end:
        return Panels(np.zeros(0), np.zeros(0))
    z, weight = sixteen()
    number = int(np.ceil((end - start) / (8 * scale)))
    half = (end - start) / (2 * number)
    middle = start + half * (2 * np.arange(number) + 1)
    return Panels((middle[:, None] + half * z).ravel(), np.tile(half * weight, number))


@lru_cache(maxsize=1)
def sixteen() -> tuple[Float[Array, " 16"], Float[Array, " 16"]]:
    """Return the Gauss-Legendre rule with 16 nodes."""
    return np.polynomial.legendre.leggauss(16)


def beyond(alive: Survivors, boundary: float, step: float) -> float:
    """Return the probability that the next score lies above a boundary."""
    return float(alive.probability @ ndtr((alive.score - boundary) / np.sqrt(step)))


def onward(alive: Survivors, rule: Panels, step: float) -> Survivors:
    """Return those whose next score lies where the rule has its nodes."""
    return Survivors(rule.node, alive.probability @ density(rule.node - alive.score[:, None], step) * rule.weight)


def mirrored(alive: Survivors) -> Survivors:
    """Return the same trials with the sign of the score turned."""
    return alive._replace(score=-alive.score)


def density(difference: Float[Array, "..."], variance: float) -> Float[Array, "..."]:
    """Return the density of a centred normal distribution."""
    return np.exp(-0.5 * difference**2 / variance) / np.sqrt(2 * np.pi * variance)


def solve(
    decreasing: Callable[[float], float], value: float, low: float, high: float, tolerance: float = 1e-13
) -> float:
    """Return where a decreasing function takes a value, given where to look; rounding may blur the ends."""
    from scipy.optimize import brentq

    return float(brentq(lambda x: decreasing(x) - value, low - 1e-6, high + 1e-6, xtol=tolerance))
