r"""Adjusting tail areas for the number of comparisons (shared by the rules that declare arms effective).

Each function takes tail areas :math:`p_1, \dots, p_m` of m comparisons and returns *adjusted* ones: comparing an
adjusted tail area with :math:`\alpha` is the same as the procedure at level :math:`\alpha`, at every level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

Multiplicity = Literal["none", "bonferroni", "holm", "closed"]


def adjusted(p: Float[Array, "R M"], method: Multiplicity) -> Float[Array, "R M"]:
    """Return adjusted tail areas, each row a family of its own."""
    if method == "none" or p.shape[1] == 0:
        return p
    if method == "bonferroni":
        return np.minimum(p * p.shape[1], 1.0)
    order = np.argsort(p, axis=1, kind="stable")
    step = holm if method == "holm" else closed
    found = np.empty_like(p)
    np.put_along_axis(found, order, step(np.take_along_axis(p, order, axis=1)), axis=1)
    return found


def holm(p: Float[Array, "R M"]) -> Float[Array, "R M"]:
    r"""Return Holm's (1979) step-down adjustment of tail areas in increasing order.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min\bigl(1, (m - j + 1)\, p_{(j)}\bigr)
    """
    m = p.shape[1]
    return np.asarray(np.maximum.accumulate(np.minimum(p * np.arange(m, 0, -1), 1.0), axis=1))


def closed(p: Float[Array, "R M"]) -> Float[Array, "R M"]:
    r"""Return the closed test with Simes's (1986) local tests (Hommel 1988), for tail areas in increasing order.

    An arm is rejected if every intersection hypothesis that holds it is, and that of a set S of n arms is rejected if
    :math:`p_{(k:S)} < k \alpha / n` for some k. So

    .. math:: \tilde p_i = \max_{S \ni i} \min_k \frac{n\, p_{(k:S)}}{k},

    and of the sets of n arms that hold i the one with the largest tail areas decides: i and the n - 1 largest others.
    With the :math:`n - 1` largest at places :math:`m - n + 2, \dots, m`, that is
    :math:`\min\bigl(n \min(p_i, p_{(m-n+1)}),\ \min_{k \ge 2} n\, p_{(m-n+k)} / k\bigr)`.
    """
    m = p.shape[1]
    found = np.zeros_like(p)
    for n in range(1, m + 1):
        others = (n * p[:, m - n + 1 :] / np.arange(2, n + 1)).min(axis=1, initial=np.inf)
        own = n * np.minimum(p, p[:, [m - n]])
        np.maximum(found, np.minimum(own, others[:, None]), out=found)
    return found
