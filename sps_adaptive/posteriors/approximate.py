"""The predictive probability of success where no closed form is known: a normal approximation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array


def success(
    gap: Float[Array, "R A"],
    sd: Float[Array, "R A"],
    known: Int[Array, "R A"],
    more: Int[Array, "R A"],
    than: int | None,
    by: float,
    threshold: float,
    fresh: bool = False,
) -> Float[Array, "R A"]:
    r"""Return P(an analysis after `more` outcomes of each arm has P(difference > by) > threshold), approximately.

    The difference :math:`\delta` has the posterior :math:`N(g, s^2)`; the variance of its estimate is taken to fall
    with the harmonic mean n of the outcomes known of the two arms, so that after m more it is
    :math:`s'^2 = s^2 n / (n + m)`. Then the posterior mean after the further outcomes is :math:`N(g, s^2 - s'^2)` and

    .. math:: P = \Phi\!\left(\frac{g - d - z_\gamma s'}{\sqrt{s^2 - s'^2}}\right).

    With `fresh` outcomes alone, their estimate is :math:`N(g, s^2 + s^2 n / m)` and the analysis has the standard
    deviation :math:`s \sqrt{n / m}`. With a normal likelihood of known variance, equal arms and a flat prior this is
    exact (Spiegelhalter, Abrams and Myles 2004, section 6.6); elsewhere it is as good as the normal approximation of
    the posterior. An arm of which no outcome is known counts as one of half a patient.

    Parameters
    ----------
    gap, sd
        Posterior mean and standard deviation of arm - arm `than` (or of the arm, without `than`).
    known, more
        Outcomes known of each arm, and to come.
    than, by, threshold, fresh
        As in `Posterior.prob_success`.
    """
    from scipy.special import ndtr, ndtri

    now, later = np.maximum(known, 0.5), np.maximum(known, 0.5) + more
    if than is None:
        share = now / later
        ratio = np.divide(now, more, out=np.full(now.shape, np.inf), where=more > 0)
    else:
        share = _harmonic(now, than) / _harmonic(later, than)
        fresh_size = _harmonic(np.where(more > 0, more, np.nan), than)
        ratio = np.nan_to_num(_harmonic(now, than) / fresh_size, nan=np.inf)
    if fresh:
        own, spread = sd * np.sqrt(ratio), sd * np.sqrt(1 + ratio)
    else:
        own, spread = sd * np.sqrt(share), sd * np.sqrt(1 - share)
    distance = gap - by - ndtri(threshold) * own
    settled = np.where(distance > 0, 1.0, 0.0)
    certain = (spread <= 1e-12 * sd) | ~np.isfinite(spread)
    chance = np.asarray(ndtr(distance / np.where(certain, 1.0, spread)))
    answer = np.where(certain, np.where(np.isfinite(spread), settled, 0.0), chance)
    if than is not None:
        answer[:, than] = 1.0 if by < 0 else 0.0
    return answer


def _harmonic(size: Float[Array, "R A"], than: int) -> Float[Array, "R A"]:
    """Return the size of each arm and of arm `than` that matters for the variance of their difference."""
    return 1 / (1 / size + 1 / size[:, [than]])
