"""Randomisation between the two arms that are likely to be best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.allocation.bounded import Bounded
from sps_adaptive.arrays import TIE
from sps_adaptive.contracts import Look
from sps_adaptive.words import percent

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class TopTwo(Bounded):
    r"""Thompson sampling that looks away from the favourite every other time, to find out whether it is the best.

    With probability :math:`\beta` an arm is drawn by its posterior probability :math:`p_a` of being the best;
    otherwise the arm so drawn is set aside and another is drawn, by the probabilities of the others (Russo 2016):

    .. math:: \psi_a = p_a \Bigl[ \beta + (1 - \beta) \sum_{b \ne a} \frac{p_b}{1 - p_b} \Bigr]

    Thompson sampling (:math:`\beta = 1`) stops comparing once one arm has drawn ahead; here the favourite's share
    goes to :math:`\beta` and not to 1, and its closest rival gets most of the rest. Use it where the aim is to
    identify the best arm. As :math:`p_b` goes to 1, the sum for arm a goes to :math:`p_a` over what the arms other
    than b have together: this is computed from their probabilities and not as a difference from 1. Below the
    accuracy of the posterior (1e-12) rivals count as equal.

    References
    ----------
    Russo D (2016). Simple Bayesian algorithms for best arm identification. Conference on Learning Theory 49:1417-1418;
    Operations Research 68 (2020):1625-1647.
    """

    kind: Literal["top_two"]
    beta: Annotated[float, Field(gt=0, le=1)] = 0.5
    """How often the first arm drawn is taken; 1 is Thompson sampling."""

    def weights(self, look: Look) -> Float[Array, "R A"]:
        """Return the probabilities of being the first of the two, or the second."""
        best = look.posterior.prob_best(look.is_open)
        held = best + np.where(look.is_open, TIE, 0.0)
        second = np.zeros_like(best)
        for first in range(best.shape[1]):
            rivals = held.copy()
            rivals[:, first] = 0.0
            whole = rivals.sum(axis=1, keepdims=True)
            second += best[:, [first]] * rivals / np.where(whole > 0, whole, 1.0)
        return self.beta * best + (1 - self.beta) * second

    def in_proportion_to(self) -> str:
        """Return in plain English what the weights are."""
        return (
            f"the probability of being the best arm in {percent(self.beta)} of draws and the best of the others in the "
            "rest"
        )
