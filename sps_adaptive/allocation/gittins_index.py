r"""The Gittins index of an arm with yes-or-no outcomes, and the forward-looking rule that randomises by it.

The index of an arm is the charge a patient at which an optimal player breaks even who treats patients with the arm one
after the other, may leave it for good at any time, and values a response d times as much with every patient it comes
later,

.. math:: G(\alpha, \beta) = \sup_{\tau \ge 1}
    \frac{E \sum_{t<\tau} d^t Y_t}{E \sum_{t<\tau} d^t}, \qquad Y_t \sim \mathrm{Bernoulli}(\theta),
    \quad \theta \sim \mathrm{Beta}(\alpha, \beta).

To give every patient the arm with the highest index is the treatment of patients, one at a time and without end, that
has the most responses, so discounted (Gittins and Jones 1974; Gittins, Glazebrook and Weber 2011; the charge: Weber
1992). The index is above the mean, by more the less is known: that is what learning is worth.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, log
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

CHARGES = 8000
"""Charges of the grid. The error of the index, measured against 16 times as many, is below 1e-5."""
FORGOTTEN = 2e-5
"""What a response counts after the last patient who is looked ahead to. Indices move by less than 1e-9."""


class Tables(NamedTuple):
    """The Gittins indices of the arms of a trial."""

    priors: Float[Array, "T 2"]
    """The different priors among the arms, as (alpha, beta)."""
    indices: Float[Array, "T S F"]
    """The index after so many successes and failures; NaN where there are more than the table was made for."""
    of_arm: tuple[int, ...]
    """Which of them is that of each arm."""


def gittins_table(prior: tuple[float, float], discount: float, most: int) -> Float[Array, "S F"]:
    r"""Return the index after s successes and f failures, for all s + f of at most `most`; NaN beyond.

    The gain from an arm at the charge :math:`\lambda` obeys

    .. math:: W(s, f) = \max\{0,\; p - \lambda + d\,[p W(s + 1, f) + (1 - p) W(s, f + 1)]\}, \quad
        p = \frac{\alpha + s}{\alpha + \beta + s + f},

    and the index is where what stands after the comma is 0. One backward recursion gives this for all states at one
    charge; here it is done for thousands of charges, and the root is bracketed by lines on either side (the gain is
    convex in the charge). The charges are spaced like the angle t of (1 - cos t)/2, that is, evenly in units of the
    posterior standard deviation.

    Parameters
    ----------
    prior
        Alpha and beta, any positive numbers.
    discount
        d, from 0 (the index is the mean) to below 1. About 1/(1 - d) future patients count; the time it takes grows
        as the power 3/2 of that: 0.4 s for d = 0.99, 1 s for 0.995, 10 s for 0.999.
    most
        The largest number of outcomes.

    Returns
    -------
    The table, kept for the next call and therefore not to be written to. The error is below 1e-5.
    """
    return index_bounds(prior, discount, most)[0]


@lru_cache(maxsize=32)
def index_bounds(
    prior: tuple[float, float], discount: float, most: int, charges: int = CHARGES
) -> tuple[Float[Array, "S F"], Float[Array, "S F"]]:
    """Return a lower and an upper bound of the table; the lower one is usually ten times as close."""
    from sps_adaptive.allocation.gittins_kernels import fair_charges

    if not (min(prior) > 0 and 0 <= discount < 1 and most >= 0):
        raise ValueError(f"no Gittins index for the prior {prior}, the discount {discount}, {most} outcomes")
    grid = (1 - np.cos(np.linspace(0, np.pi, charges + 1))) / 2
    grid = np.concatenate([[-grid[1]], grid, [1 + grid[1]]])  # an index is never the first or the last of them
    ahead = 10 + (ceil(log(FORGOTTEN) / log(discount)) if discount > 0 else 0)
    lower, upper = np.full((2, most + 1, most + 1), np.nan)
    fair_charges(float(prior[0]), float(prior[1]), float(discount), most, most + ahead, grid, lower, upper)
    lower.setflags(write=False)
    upper.setflags(write=False)
    return lower, upper


@lru_cache(maxsize=32)
def gittins_tables(priors: tuple[tuple[float, float], ...], discount: float, most: int) -> Tables:
    """Return the tables of arms with these priors (alpha, beta); arms with the same prior share one."""
    different = tuple(dict.fromkeys(priors))
    index = np.stack([gittins_table(prior, discount, most) for prior in different])
    return Tables(np.array(different, np.float64), index, tuple(different.index(prior) for prior in priors))


def flgi_probabilities(
    successes: Int[Array, "R A"],
    failures: Int[Array, "R A"],
    is_open: Bool[Array, "R A"],
    tables: Tables,
    block: int,
) -> Float[Array, "R A"]:
    r"""Return the probabilities of the forward-looking Gittins index rule (Villar, Wason and Bowden 2015).

    .. math:: \pi_a = \frac{1}{b} E\left[\text{number of the next b patients whom the Gittins rule sends to arm } a
        \right],

    where the rule treats each patient with the open arm of the highest index, knowing the outcomes of those before;
    arms that tie get equal parts of the patient. The outcomes inside the block follow the posterior predictive
    distribution. Everybody in the block is then randomised with these probabilities. With b = 1 this is the Gittins
    rule itself.

    The expectation is a sum over all courses of the block, not a simulation. Rows that differ only in the order of
    arms with the same prior, or in what closed arms have seen, are computed once.

    Parameters
    ----------
    successes, failures
        Outcomes known by arm; none of them is above what the table was made for, less b - 1.
    is_open
        The arms that take patients; the others get 0.
    tables
        From `gittins_tables`.
    block
        b, the number of patients who are randomised before the probabilities change.
    """
    from sps_adaptive.allocation.gittins_kernels import plays

    arms, size = successes.shape[1], tables.indices.shape[1]
    if block < 1 or 2 * arms * max((block - 1).bit_length(), 1) > 62:
        raise ValueError(f"no forward-looking rule for blocks of {block} patients on {arms} arms")
    most = int((successes + failures).max(initial=0, where=is_open)) + block - 1
    if most >= size:
        raise ValueError(f"a table of Gittins indices for {size - 1} outcomes where {most} can be reached")
    state = (np.array(tables.of_arm) * size + successes) * size + failures
    state = np.where(is_open, state, -1)
    order = np.argsort(state, axis=1, kind="stable")
    different, row = np.unique(np.take_along_axis(state, order, axis=1), axis=0, return_inverse=True)
    expected = np.zeros(different.shape)
    table, outcomes = np.divmod(different, size * size)
    plays(table, *np.divmod(outcomes, size), tables.indices, tables.priors, block, expected)
    # The sum is the block but for rounding; dividing by it, no probability is above 1.
    expected /= np.where(table >= 0, expected.sum(axis=1, keepdims=True), 1.0)
    probabilities = np.empty(successes.shape)
    np.put_along_axis(probabilities, order, expected[row.reshape(-1)], axis=1)
    return probabilities


def controlled_flgi_probabilities(
    successes: Int[Array, "R A"],
    failures: Int[Array, "R A"],
    is_open: Bool[Array, "R A"],
    tables: Tables,
    block: int,
    control: int,
) -> Float[Array, "R A"]:
    """Return the probabilities of the controlled rule: the control gets 1/K beside the other open arms, K with it.

    The other open arms share the rest by the forward-looking rule among themselves. A control alone gets everybody;
    when it has closed, the others share everything.
    """
    rivals, share = beside_control(is_open, control)
    probabilities = flgi_probabilities(successes, failures, rivals, tables, block) * (1 - share)[:, None]
    probabilities[:, control] = share
    return probabilities


def beside_control(is_open: Bool[Array, "R A"], control: int) -> tuple[Bool[Array, "R A"], Float[Array, " R"]]:
    """Return the open arms without the control, and the control's equal share among the open arms."""
    rivals = is_open.copy()
    rivals[:, control] = False
    share = np.where(is_open[:, control], 1 / np.maximum(is_open.sum(axis=1), 1), 0.0)
    return rivals, share
