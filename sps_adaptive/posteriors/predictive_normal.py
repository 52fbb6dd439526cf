r"""Predictive probability of success, normal outcomes with a known standard deviation: closed.

Given the data, the posterior mean :math:`\mu_a'` of the coming analysis is normal: its mean is the present posterior
mean, its variance what the posterior variance will lose, :math:`v_a - v_a'` with :math:`1 / v_a' = 1 / v_a + m_a /
\sigma^2` after m further outcomes. Arm a succeeds if :math:`\mu_a' - \mu_0' - \text{margin}` exceeds
:math:`z \sqrt{v_a' + v_0'}`, with z the normal quantile of the threshold:

.. math:: P(\text{success}) = \Phi\left(\frac{\mu_a - \mu_0 - \text{margin} - z \sqrt{v_a' + v_0'}}
    {\sqrt{v_a - v_a' + v_0 - v_0'}}\right)

(Spiegelhalter, Freedman and Blackburn 1986). A separate trial is analysed after its prior, worth :math:`\kappa_a`
outcomes of mean :math:`p_a`: its posterior mean is :math:`p_a + \lambda_a (\bar y_a - p_a)`, :math:`\lambda_a = m_a /
(\kappa_a + m_a)`, with :math:`\bar y_a \sim N(\mu_a, v_a + \sigma^2 / m_a)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from sps_adaptive.arrays import TIE, above

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

VAGUE = 1e6
"""How many times wider than all else the posterior of an arm is of which an analysis knows nothing."""

LEAST_DF = 0.5
"""An analysis with fewer degrees of freedom knows nothing."""


class NormalPriors(NamedTuple):
    """What an analysis of normal outcomes begins with: a separate trial is analysed after it."""

    mean: Float[Array, " A"]
    patients: Float[Array, " A"]
    """How many outcomes the prior mean is worth; 0 is a flat prior."""
    sd: float
    """The known standard deviation of an outcome, or the prior guess of it."""
    sd_patients: float = 0.0
    """How many outcomes the guess is worth; without meaning where the standard deviation is known."""
    slope_patients: float | None = None
    """How many outcomes the prior of the slope on the baseline is worth; None without a baseline."""


class ToCome(NamedTuple):
    """What an analysis to come will say of each arm, in units of the standard deviation of an outcome."""

    centre: Float[Array, "R A"]
    """The mean of the posterior mean that is to come."""
    moves: Float[Array, "R A"]
    """Its variance."""
    after: Float[Array, "R A"]
    """The posterior variance that is to come."""


def continued(location: Float[Array, "R A"], own: Float[Array, "R A"], more: Int[Array, "R A"]) -> ToCome:
    """Return what follows when `more` outcomes are added to those known; `own` is the posterior variance."""
    share = own * more / (1 + own * more)
    return ToCome(location, own * share, own / (1 + own * more))


def begun(
    location: Float[Array, "R A"],
    own: Float[Array, "R A"],
    more: Int[Array, "R A"],
    prior_mean: Float[Array, "R A"],
    prior_patients: Float[Array, " A"],
) -> ToCome:
    """Return what follows when `more` outcomes are analysed alone, after the prior."""
    total = prior_patients + more
    safe = np.where(total > 0, total, 1.0)
    share = more / safe
    vague = (VAGUE * (1 + np.ptp(location, axis=1, keepdims=True))) ** 2
    return ToCome(
        centre=prior_mean + share * (location - prior_mean),
        moves=share**2 * own + more / safe**2,
        after=np.where(total > 0, 1 / safe, vague),
    )


def success_of_gaussian(
    location: Float[Array, "R A"],
    scale: Float[Array, "R A"],
    sd: float,
    than: int | None,
    by: float,
    threshold: float,
    more: Int[Array, "R A"],
    priors: NormalPriors | None = None,
) -> Float[Array, "R A"]:
    r"""Return the probability that each arm will be a success after `more` outcomes of each arm.

    Parameters
    ----------
    location, scale
        Posterior means and standard deviations of the arms, independent.
    sd
        The known standard deviation of an outcome.
    than
        The arm to compare with; None compares each arm with the number `by`.
    by
        Success is :math:`P(\theta_a > \theta_{than} + by) > threshold`.
    threshold
        What the probability must exceed.
    more
        Further outcomes of each arm. Without any, the answer is 0 or 1.
    priors
        If given, the further outcomes are analysed alone, after these priors, as those of a separate trial.

    Returns
    -------
    array
        Probabilities; for `than` itself 0 or 1, as if its probability of being better were that of `prob_better`.
    """
    location, own = location / sd, (scale / sd) ** 2
    if priors is None:
        to_come = continued(location, own, more)
    else:
        to_come = begun(location, own, more, np.broadcast_to(priors.mean / sd, location.shape), priors.patients)
    gap, moves, after = against(to_come, than, by / sd)
    root = np.sqrt(after)
    moving = moves > 0
    success = ndtr((gap - ndtri(min(threshold + TIE, 1.0)) * root) / np.sqrt(np.where(moving, moves, 1.0)))
    return with_itself(np.where(moving, success, above(ndtr(gap / root), threshold)), than, by, threshold)


def against(
    to_come: ToCome, than: int | None, by: float
) -> tuple[Float[Array, "R A"], Float[Array, "R A"], Float[Array, "R A"]]:
    """Return gap, variance of its move and variance afterwards of each arm against another, or against a number."""
    if than is None:
        return to_come.centre - by, to_come.moves, to_come.after
    other = slice(than, than + 1)
    return (
        to_come.centre - to_come.centre[:, other] - by,
        to_come.moves + to_come.moves[:, other],
        to_come.after + to_come.after[:, other],
    )


def with_itself(success: Float[Array, "R A"], than: int | None, by: float, threshold: float) -> Float[Array, "R A"]:
    """Return the answer with 0 or 1 for the arm compared with itself."""
    answer = np.array(success, float)
    if than is not None:
        answer[:, than] = above(np.array(1.0 if by < 0 else 0.0), threshold)
    return answer
