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
    exactly, without iteration. Clipping and rescaling in turn, as some programs do, depends on the order
    of the steps and can leave the bounds.

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
    weights = np.where(upper > 0, weights, 0.0)
    weights = weights / np.maximum(weights.max(axis=1, keepdims=True), 1e-300)
    weights = np.where(upper > 0, np.maximum(weights, 1e-12), 0.0)
    share = weights * (total / np.maximum(weights.sum(axis=1), 1e-300))[:, None]
    outside = ((share < lower) | (share > upper)).any(axis=1)
    if outside.any():  # inside the bounds the proportional share is the projection
        share[outside] = _project(weights[outside], lower[outside], upper[outside], total[outside])
    return share


def _project(
    weights: Float[Array, "R A"], lower: Float[Array, "R A"], upper: Float[Array, "R A"], total: Float[Array, " R"]
) -> Float[Array, "R A"]:
    weights = np.where(upper > 0, weights, 1.0)
    corners = np.sort(np.concatenate([lower / weights, upper / weights], axis=1), axis=1)
    reached = np.clip(corners[:, :, None] * weights[:, None, :], lower[:, None, :], upper[:, None, :]).sum(axis=2)
    after = np.clip((reached < total[:, None] - 1e-15).sum(axis=1), 1, corners.shape[1] - 1)
    row = np.arange(len(weights))
    low, high = corners[row, after - 1], corners[row, after]
    below, above = reached[row, after - 1], reached[row, after]
    rise = np.where(above > below, above - below, 1.0)
    scale = low + (high - low) * np.clip((total - below) / rise, 0.0, 1.0)
    return np.clip(scale[:, None] * weights, lower, upper)


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
    rivals = is_open.copy()
    given = np.zeros(len(is_open))
    if share is not None:
        rivals[:, control] = False
        given = np.where(rivals.any(axis=1), np.where(is_open[:, control], share, 0.0), 1.0)
    left = 1.0 - given
    # When arms have closed a ceiling may leave no place for everybody: then it is the equal share.
    equal = (left / np.maximum(rivals.sum(axis=1), 1))[:, None]
    upper = np.where(rivals, np.maximum(ceiling, equal), 0.0)
    lower = np.where(rivals, np.minimum(floor, equal), 0.0)
    probabilities = project(np.where(rivals, weights, 0.0), lower, upper, left)
    if share is not None:
        probabilities[:, control] = given
    return probabilities
