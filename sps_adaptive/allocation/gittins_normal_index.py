r"""The Gittins index of an arm with normal outcomes of known variance, and the forward-looking rule that goes with it.

With mean m after n observations (those the prior is worth counted in) and standard deviation :math:`\sigma` of an
outcome, the index is

.. math:: G = m + \sigma\, v(n, d),

where v depends on n and the discount alone (Gittins 1989; tables in Gittins, Glazebrook and Weber 2011). It is the
mean, turned round, at which an arm of standard deviation 1 breaks even at the charge 0. See `gittins_index` for what
an index is.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, log
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.allocation.gittins_index import FORGOTTEN, beside_control

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

NODES = 24
"""Of the Gauss-Legendre rule for expectations over one outcome."""
CELLS = 32
"""Levels between an arm's index and the lowest it can fall to in a block; the probabilities err by less than 5e-4."""


class NormalTables(NamedTuple):
    """What the rule needs to know about the arms of a trial; T are the different priors among them."""

    first: Float[Array, " T"]
    """How many observations the prior is worth."""
    bonus: Float[Array, "T S"]
    """v after so many outcomes: what the index is above the mean, in standard deviations of an outcome."""
    left: Float[Array, "T B S G"]
    """Probability of falling below a level within so many patients, by outcomes and the height above the level."""
    of_arm: tuple[int, ...]
    """Which of the priors is that of each arm."""


@lru_cache(maxsize=32)
def normal_bonus(first: float, discount: float, most: int) -> Float[Array, " S"]:
    r"""Return v after 0, 1, ..., `most` outcomes.

    The gain from an arm of standard deviation 1 at the charge 0 obeys

    .. math:: W_n(m) = \max\{0,\; m + d\,E\,W_{n+1}(m')\}, \quad m' \sim N\left(m, \tfrac{1}{n(n+1)}\right),

    and v is -m where what stands after the comma is 0. The recursion goes backwards from a time after which outcomes
    no longer count. The error is below 2e-6 for up to 200 outcomes.

    Parameters
    ----------
    first
        How many observations the prior is worth; any positive number.
    discount
        d, from 0 to below 1. It takes 0.5 s for d = 0.99, ten times as long for 0.999.
    most
        The largest number of outcomes.
    """
    from sps_adaptive.allocation.gittins_normal_kernels import fair_means

    if not (first > 0 and 0 <= discount < 1 and most >= 0):
        raise ValueError(f"no Gittins index for a prior of {first} observations, the discount {discount}")
    ahead = 10 + (ceil(log(FORGOTTEN) / log(discount)) if discount > 0 else 0)
    bonus = np.empty(most + 1)
    fair_means(float(first), float(discount), most + ahead, *np.polynomial.legendre.leggauss(NODES), bonus)
    bonus.setflags(write=False)
    return bonus


@lru_cache(maxsize=8)
def normal_tables(firsts: tuple[float, ...], discount: float, most: int, block: int) -> NormalTables:
    """Return the tables of arms whose priors are worth so many observations, for blocks of so many patients."""
    from sps_adaptive.allocation.gittins_normal_kernels import POINTS, fill_left

    if block < 1:
        raise ValueError(f"no forward-looking rule for blocks of {block} patients")
    different = tuple(dict.fromkeys(firsts))
    bonus = np.stack([normal_bonus(first, discount, most) for first in different])
    left = np.zeros((len(different), block, most + 1, POINTS))
    for t, first in enumerate(different):
        fill_left(float(first), bonus[t], *np.polynomial.legendre.leggauss(NODES), left[t])
    return NormalTables(np.array(different, np.float64), bonus, left, tuple(different.index(first) for first in firsts))


def flgi_normal_probabilities(
    mean: Float[Array, "R A"],
    n: Int[Array, "R A"],
    sd: Float[Array, "R A"],
    is_open: Bool[Array, "R A"],
    tables: NormalTables,
    cells: int = CELLS,
) -> Float[Array, "R A"]:
    r"""Return the probabilities of the forward-looking rule for normal outcomes (Williamson and Villar 2020).

    As for outcomes yes or no, these are the expected parts of the next b patients whom the Gittins rule sends to the
    arms. Outcomes being continuous, courses of the block cannot be counted. But the rule stays with an arm until its
    index has fallen below all others, so that it takes the patients of all arms in the order of the lowest value x
    that the index of the arm has had before the patient. If :math:`N_k(x)` patients come to arm k before its index
    falls below x, its i-th patient is among the next b when :math:`i + \sum_{l \ne k} N_l(x) \le b`; the arms are
    independent, and the law of :math:`N_k(x)` comes from a table by outcomes and :math:`(m_k - x)\sqrt{n_k} / \sigma`.
    What is left is an integral over x (by the trapezoidal rule), and a sum where arms tie.

    Parameters
    ----------
    mean
        Posterior means.
    n
        Outcomes known by arm, those of the prior not counted; none is above what the tables were made for, less b - 1.
    sd
        Standard deviation of an outcome, known or an estimate.
    is_open
        The arms that take patients; the others get 0.
    tables
        From `normal_tables`, which were made for the block.
    cells
        Levels of the integral for each arm; the error falls with their square.
    """
    from sps_adaptive.allocation.gittins_normal_kernels import normal_plays

    block, size = tables.left.shape[1:3]
    most = int(n.max(initial=0, where=is_open)) + block - 1
    if most >= size:
        raise ValueError(f"a table of Gittins indices for {size - 1} outcomes where {most} can be reached")
    expected = np.zeros(mean.shape)
    normal_plays(
        np.ascontiguousarray(mean, np.float64),
        np.ascontiguousarray(n, np.int64),
        np.ascontiguousarray(sd, np.float64),
        np.ascontiguousarray(is_open),
        np.array(tables.of_arm),
        tables.first,
        tables.bonus,
        tables.left,
        cells,
        expected,
    )
    return expected / np.where(is_open, expected.sum(axis=1, keepdims=True), 1.0)


def controlled_flgi_normal_probabilities(
    mean: Float[Array, "R A"],
    n: Int[Array, "R A"],
    sd: Float[Array, "R A"],
    is_open: Bool[Array, "R A"],
    tables: NormalTables,
    control: int,
) -> Float[Array, "R A"]:
    """Return the probabilities of the controlled rule, as `gittins_index.controlled_flgi_probabilities` does."""
    rivals, share = beside_control(is_open, control)
    probabilities = flgi_normal_probabilities(mean, n, sd, rivals, tables) * (1 - share)[:, None]
    probabilities[:, control] = share
    return probabilities
