"""Keeping allocation probabilities between a floor and a ceiling (shared by the rules)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array


def project(
    weights: Float[Array, "R A"],
    lower: Float[Array, "R A"],
    upper: Float[Array, "R A"],
    total: Float[Array, " R"],
) -> Float[Array, "R A"]:
    r"""Return the allocation within bounds that is closest to the weights.

    The Kullback-Leibler projection onto :math:`\{l \le \pi \le h, \sum \pi = t\}` is
    :math:`\pi_a = \min(h_a, \max(l_a, \lambda w_a))` with the one :math:`\lambda` that makes the sum right.
    The sum is piecewise linear in :math:`\lambda` with corners at l/w and h/w, so :math:`\lambda` is found
    exactly, without iteration, on the line between the two corners around the total. Clipping and rescaling
    in turn, as some programs do, depends on the order of the steps and can leave the bounds.

    Parameters
    ----------
    weights
        Non-negative; an arm with weight 0 gets its floor unless there is no one else to give to.
    lower, upper
        Floors and ceilings; arms that take no patients have both at 0.
    total
        What the arms share; the caller has made sure that the floors sum to at most this, the ceilings to
        at least this.
    """
    from sps_adaptive.allocation.kernels import project_rows

    projected = np.empty(weights.shape)
    project_rows(_floats(weights), _floats(lower), _floats(upper), _floats(total), projected)
    return projected


def share_equally(is_open: Bool[Array, "R A"]) -> Float[Array, "R A"]:
    """Return equal probabilities for the open arms, 0 for the others."""
    return is_open / np.maximum(is_open.sum(axis=1, keepdims=True), 1)


def control_first(
    weights: Float[Array, "R A"],
    is_open: Bool[Array, "R A"],
    control: int,
    share: Float[Array, " R"] | None,
    floor: float,
    ceiling: float,
) -> Float[Array, "R A"]:
    """Return probabilities in proportion to weights, within bounds, with the control's share set aside.

    Parameters
    ----------
    share
        What the control gets; None where it competes with the other arms. The others share the rest, with
        the floor and the ceiling. A trial with only the control left gives it everything.
    """
    from sps_adaptive.allocation.kernels import share_rows

    apart, given = (-1, np.empty(0)) if share is None else (control, _floats(share))
    probabilities = np.empty(weights.shape)
    open_arms = np.ascontiguousarray(is_open)
    share_rows(_floats(weights), open_arms, apart, given, float(floor), float(ceiling), probabilities)
    return probabilities


def _floats(numbers: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return numbers as the kernels take them: one layout in memory and one type, so that they compile once."""
    return np.ascontiguousarray(numbers, np.float64)
