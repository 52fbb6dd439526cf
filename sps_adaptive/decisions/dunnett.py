r"""Errors of several arms against one control: the test of Dunnett (1955) with looks.

Each arm is compared with the same control, so the standardised differences of two arms correlate: with r patients on
each arm for one on the control, :math:`\rho = r/(1+r)`. Given what the control does the arms are independent. The
score :math:`z_a\sqrt t` of arm a grows between two looks by

.. math:: \sqrt{\Delta t}\,\bigl(\sqrt{\rho}\, x + \sqrt{1-\rho}\, y_a\bigr)

with one standard normal x for all arms and one :math:`y_a` for each. The joint density of the arms that go on is
carried from look to look on a grid with one axis for each arm; x is integrated by a Gauss-Hermite rule, and given x
each axis is moved by itself. An arm below its lower boundary is dropped (Magirr, Jaki and Whitehead 2012): its axis is
summed away. The result is good to about 1e-9.

The grid grows fast with the number of arms. Two arms may have as many looks as one would plan, three about ten, four
about three; without looks the number of arms hardly matters. All arms have the same number of patients at a look, and
none changes its share in between: with response-adaptive allocation the error is one to be simulated.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import ceil, comb
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from sps_adaptive.decisions.boundaries import (
    Panels,
    density,
    distinct,
    increasing,
    panels,
    roughness,
    solve,
    wang_tsiatis_constant,
)

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

REACH = 6.5
"""Standard deviations from the mean beyond which an arm counts as impossible: 4e-11."""

COARSER = 1.6
"""So much farther apart are the nodes than in the test of one comparison."""

LARGEST = 1e10
"""Products beyond which an error is not computed: some seconds, and finding a constant takes six errors."""


def familywise_error(
    upper: Float[Array, " K"] | float,
    fractions: Sequence[float] | Float[Array, " K"],
    arms: int,
    ratio: float = 1.0,
    lower: Float[Array, " K"] | float = -np.inf,
) -> float:
    """Return the probability that any arm crosses the upper boundary when none is better than the control.

    Parameters
    ----------
    upper : array or float
        Boundary on the scale of z, one for each look or one for all.
    fractions : sequence of float
        Information fractions of the looks, increasing.
    arms : int
        Number of arms beside the control.
    ratio : float
        Patients on each of these arms for one on the control.
    lower : array or float
        Boundary below which an arm is dropped; that of the last look has no effect.
    """
    times = increasing(fractions)
    root = np.sqrt(times)
    above, below = np.broadcast_to(upper, times.shape) * root, np.broadcast_to(lower, times.shape) * root
    if not (arms >= 1 and 0 < ratio < np.inf and (below[:-1] <= above[:-1]).all() and not np.isnan(above[-1])):
        raise ValueError("at least one arm, a ratio above 0, and lower boundaries that are not above the upper ones")
    rho = ratio / (1 + ratio)
    steps = np.diff(times, prepend=0.0)
    # Arms that will never cross need no nodes: those dropped, those too low to come back, and all after the last look.
    below = np.maximum(below, [chance(above[k + 1 :], times[k + 1 :] - times[k]) for k in range(len(times))])
    below = np.minimum(np.maximum(below, -REACH * root), above)
    grids = [
        panels(low, min(high, REACH * r), COARSER * np.sqrt(1 - rho) * roughness(step, following))
        for low, high, r, step, following in zip(below, above, root, steps, steps[1:], strict=False)
    ]
    grids.append(Panels(np.zeros(0), np.zeros(0)))
    number = ceil(12 + 4 * ratio * (arms + 1))  # nodes for what the arms share: error below 1e-9, found by trial
    sizes = [1, *(max(len(grid.node), 1) for grid in grids)]
    if number > 300 or number * effort(sizes, arms) > LARGEST:
        raise ValueError(f"the familywise error of {arms} arms at {len(times)} looks takes too long to compute")
    common, weights = np.polynomial.hermite_e.hermegauss(number)

    node, safe = np.zeros(1), 0.0
    going = {arms: np.ones((1,) * arms)}  # the density by the number of arms that go on; nobody has crossed
    for low, step, rule in zip(below, steps, grids, strict=True):
        after: dict[int, Float[Array, "..."]] = {}
        for x, weight in zip(common, weights / weights.sum(), strict=True):
            centre = node + np.sqrt(rho * step) * x
            stays = density(rule.node - centre[:, None], (1 - rho) * step) * rule.weight
            drops = ndtr((low - centre) / np.sqrt((1 - rho) * step))
            for before, joint in going.items():
                for left in range(before + 1 if len(rule.node) else 1):
                    moved = weight * comb(before, left) * joint
                    for axis in range(before):  # the first axis goes; where it is moved, the new one comes last
                        moved = np.tensordot(moved, stays if axis < left else drops, axes=(0, 0))
                    after[left] = after.get(left, 0.0) + moved
        safe += float(after.pop(0, 0.0))
        node, going = rule.node, after
    return 1 - safe


def chance(above: Float[Array, " L"], ahead: Float[Array, " L"]) -> float:
    """Return the score below which no later boundary can be crossed, `ahead` being the information still to come."""
    return float(np.min(above - REACH * np.sqrt(ahead), initial=np.inf))


def effort(nodes: Sequence[int], arms: int) -> int:
    """Return the products to be summed, and 24 for each number that is moved in memory."""
    held = [(old ** (arms - moved) * new**moved, old, new) for old, new in pairwise(nodes) for moved in range(arms)]
    return sum(size * new + 24 * max(size, size // old * new) for size, old, new in held)


def dunnett_constant(delta: float, fractions: Sequence[float], error: float, arms: int, ratio: float = 1.0) -> float:
    r"""Return the constant with which a trial of several arms has a familywise type I error.

    The boundary on the z of each arm is :math:`c\, t^{\Delta-1/2}`; see `wang_tsiatis_constant`, which this is for one
    arm.
    """
    return _dunnett_constant(float(delta), distinct(fractions), float(error), arms, float(ratio))


@lru_cache(maxsize=256)
def _dunnett_constant(delta: float, fractions: tuple[float, ...], error: float, arms: int, ratio: float) -> float:
    # One arm errs less often than any; and any of independent arms more often than any of these (Slepian 1962).
    low = wang_tsiatis_constant(delta, fractions, error)
    if arms == 1:
        return low
    high = wang_tsiatis_constant(delta, fractions, -np.expm1(np.log1p(-error) / arms))
    shape = increasing(fractions) ** (delta - 0.5)

    def quantile(constant: float) -> float:  # nearly a straight line in the constant
        return float(ndtri(familywise_error(constant * shape, fractions, arms, ratio)))

    return solve(quantile, ndtri(error), low, high, tolerance=1e-9)
