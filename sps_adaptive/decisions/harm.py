"""Closing an arm that does harm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sps_adaptive.contracts import Look, Stop
from sps_adaptive.decisions.rule import Effect, Measured
from sps_adaptive.decisions.threshold import Crossing

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array


class Harm(Crossing):
    r"""An experimental arm closes, or the trial stops, when the arm is probably worse than the control.

    It does if :math:`P(\theta_a < \theta_0 - \text{margin} \mid \text{data}) > \text{probability}`. Futility asks
    whether an arm may still help; harm asks whether it hurts, and a data monitoring committee wants to know the two
    apart (Freidlin and Korn 2010). The arm's patients are followed to the end, and it cannot be declared effective any
    more. A trial that this rule has stopped, or left without experimental arms, has stopped for harm. The rule does not
    apply to the final analysis, where nothing is left to close; in the list of how trials end, a stop for harm without
    a claim counts with those for futility.
    """

    kind: Literal["harm"]
    margin: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """By how much worse, in the units of the endpoint."""
    then: Literal["close_arm", "stop"] = "close_arm"
    """What follows: the arm takes no more patients, or the whole trial stops."""

    @property
    def upper(self) -> bool:
        """A large probability of harm counts."""
        return True

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
    def stops(self) -> bool:
        """Whether the trial stops."""
        return self.then == "stop"

    @property
    def by(self) -> float:
        """The difference that the posterior is asked about."""
        return -self.margin

    def better(self, look: Look) -> Float[Array, "R A"]:
        """Return the probability that each arm is worse by the margin."""
        return 1 - look.posterior.prob_better(than=look.control, by=-self.margin)

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms are above the threshold."""
        return self.exceeds(look)

    def compares(self, control: str) -> str:
        """Return what the rule compares with its threshold, as short as in a formula."""
        by = f" by {self.margin:g}" if self.margin else ""
        return f"P(worse than {control}{by})"

    def words(self, measured: Measured) -> str:
        """Return the rule in plain English, without a full stop."""
        by = f" by more than {measured.difference(self.margin)}" if self.margin else ""
        then = "the trial stops for harm" if self.stops else "an arm takes no more patients"
        which = "when an arm is" if self.stops else "when it is"
        return f"{then} {which} worse than {measured.control}{by} with probability above {self.level()}{self.when()}"
