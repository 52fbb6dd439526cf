"""Closing arms that make no difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sps_adaptive.contracts import Look, Stop
from sps_adaptive.decisions.rule import Effect, Measured
from sps_adaptive.decisions.threshold import Threshold, only_against_first

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array


class Equivalence(Threshold):
    r"""An arm closes, or the trial stops, when the difference from the control is probably within a margin.

    Arm a is equivalent if :math:`P(|\theta_a - \theta_0| < \text{margin} \mid \text{data}) > \text{probability}`.
    It then takes no more patients (adaptr; Granholm et al. 2022), or the trial stops when all open experimental
    arms are equivalent. A trial that the rule stops, or in which it has closed the last experimental arm and none
    has been declared effective, stops for equivalence; where an arm has been declared effective before, it is a
    success all the same. The rule does not apply to the final analysis. Use it where the cheaper or milder of two
    equal treatments would be preferred, so that to know them equal is an answer.
    """

    kind: Literal["equivalence"]
    margin: Annotated[float, Field(gt=0, le=1e6)]
    """Differences smaller than this, in either direction, do not matter; in the units of the endpoint."""
    against: Literal["control"] | Annotated[float, Field(ge=-1e6, le=1e6)] = "control"
    """What an arm is compared with: the control, or a fixed value on the scale of the endpoint."""
    then: Literal["close_arm", "stop"] = "close_arm"
    """What follows: an equivalent arm takes no more patients; or the trial stops once all open arms are equivalent."""
    first_control_only: bool = False
    """Whether the rule is silent once another arm has been promoted to control."""

    @property
    def upper(self) -> bool:
        """A large probability of making no difference counts."""
        return True

    @property
    def effect(self) -> Effect:
        """What follows."""
        return "close" if self.then == "close_arm" else "give_up"

    @property
    def at_final(self) -> bool:
        """Nothing is left to close or to stop at the final analysis."""
        return False

    @property
    def reason(self) -> Stop:
        """Why a trial stops."""
        return Stop.EQUIVALENCE

    def better(self, look: Look) -> Float[Array, "R A"]:
        """Return the probability that each arm differs by less than the margin."""
        if self.against == "control":
            beyond = look.posterior.prob_better(look.control, -self.margin)
            return beyond - look.posterior.prob_better(look.control, self.margin)
        value = float(self.against)
        return look.posterior.prob_above(value - self.margin) - look.posterior.prob_above(value + self.margin)

    def compares(self, control: str) -> str:
        """Return what the rule compares with its threshold, as short as in a formula."""
        what = control if self.against == "control" else f"{self.against:g}"
        return f"P(within {self.margin:g} of {what})"

    def judged(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms the rule judges."""
        return only_against_first(super().judged(look), look, self.first_control_only)

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms are equivalent."""
        return self.exceeds(look)

    def words(self, measured: Measured) -> str:
        """Return the rule in plain English, without a full stop."""
        what = measured.control if self.against == "control" else measured.value(float(self.against))
        within = f"within {measured.difference(self.margin)} of {what} with probability above {self.level()}"
        only = f", as long as {measured.control} is the control" if self.first_control_only else ""
        if self.then == "close_arm":
            return f"an arm takes no more patients when it is {within}{self.when()}{only}"
        return f"the trial stops for equivalence when every open arm is {within}{self.when()}{only}"
