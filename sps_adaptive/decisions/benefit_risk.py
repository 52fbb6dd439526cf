"""Closing an arm whose benefits do not outweigh its harms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import Look, Stop
from sps_adaptive.decisions.rule import Effect, Measured, ScaleOf
from sps_adaptive.decisions.threshold import Crossing
from sps_adaptive.part import Name
from sps_adaptive.words import listed

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array

LEVEL = 0.95
"""Level of the intervals from which the spread of a difference is read."""


class BenefitRisk(Crossing):
    r"""An experimental arm closes when its benefits are unlikely to outweigh its harms, over several endpoints.

    With the value :math:`w_e` of one unit of each endpoint e to a patient, the net benefit of arm a over the control is

    .. math:: B_a = \sum_e w_e (\theta_{ea} - \theta_{e0}),

    and the arm closes if :math:`P(B_a > \text{margin} \mid \text{data}) < \text{probability}`. Weights are on the
    scales on which the endpoints are stated: {response: 1, serious adverse event: -2} says that one serious adverse
    event costs as much as two responses are worth (a linear utility; Mussen, Salek and Walker 2007). The endpoints'
    posteriors are taken as independent given the data and the sum as normal, with the means and the 95% intervals of
    the differences; for shares and 10 to 30 patients an arm the probability is right to 0.03. The rule does not apply
    to the final analysis. To ask for safety before an arm is declared effective, join efficacy and non_inferiority of
    the safety endpoint by all_of.
    """

    kind: Literal["benefit_risk"]
    weights: Annotated[dict[Name, float], Field(min_length=2, max_length=20)]
    """The value of one unit of each endpoint to a patient, on the scale on which it is stated; negative for what
    harms."""
    margin: Annotated[float, Field(ge=-1e6, le=1e6)] = 0.0
    """By how much benefits must outweigh harms."""

    @property
    def upper(self) -> bool:
        """Arms are given up below the threshold."""
        return False

    @property
    def effect(self) -> Effect:
        """The arm takes no more patients."""
        return "close"

    @property
    def at_final(self) -> bool:
        """Nothing is left to close at the final analysis."""
        return False

    @property
    def reason(self) -> Stop:
        """The trial stops for harm."""
        return Stop.HARM

    @property
    def by(self) -> float:
        """Never a margin of the primary endpoint."""
        return 0.0

    @property
    def asks(self) -> frozenset[str]:
        """The endpoints that the rule must know."""
        return frozenset(self.weights)

    def oriented(self, scale_of: ScaleOf) -> Self:
        """Return the rule with weights for outcomes of which more is better."""
        turned = {name: weight * scale_of(name).sign for name, weight in self.weights.items()}
        return self.model_copy(update={"weights": turned})

    def better(self, look: Look) -> Float[Array, "R A"]:
        """Return the probability that the benefits of each arm outweigh its harms by the margin."""
        from scipy.special import ndtr, ndtri

        mean, variance = np.zeros(look.is_open.shape), np.zeros(look.is_open.shape)
        for name, weight in self.weights.items():
            gap = look.on(name).posterior.difference(look.control, LEVEL)
            sd = (gap[..., 2] - gap[..., 1]) / (2 * ndtri((1 + LEVEL) / 2))
            mean, variance = mean + weight * gap[..., 0], variance + (weight * sd) ** 2
        return np.asarray(ndtr((mean - self.margin) / np.sqrt(np.where(variance > 0, variance, 1.0))))

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms are below the threshold."""
        return self.falls_short(look)

    def compares(self, control: str) -> str:
        """Return what the rule compares with its threshold, as short as in a formula."""
        return f"P(net benefit over {control}{f' > {self.margin:g}' if self.margin else ''})"

    def words(self, measured: Measured) -> str:
        """Return the rule in plain English, without a full stop."""
        weighed = listed([f"{name} ({weight:g})" for name, weight in self.weights.items()])
        by = f" by more than {self.margin:g}" if self.margin else ""
        return (
            f"an arm takes no more patients when its benefits outweigh its harms, {weighed}, against {measured.control}"
            f"{by} with probability below {self.level()}{self.when()}"
        )
