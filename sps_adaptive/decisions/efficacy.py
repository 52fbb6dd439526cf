"""Declaring an arm effective."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from sps_adaptive.arrays import above
from sps_adaptive.contracts import CriticalValues, Look, Stop, Verdict
from sps_adaptive.decisions.rule import Effect, Measured, Place, conclude
from sps_adaptive.decisions.threshold import Threshold
from sps_adaptive.words import one_less

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array


class Efficacy(Threshold):
    r"""An open arm is declared effective when it is probably better than the control.

    Arm a is claimed if :math:`P(\theta_a > \theta_0 + \text{margin} \mid \text{data}) > \text{probability}`.
    A claim at a look stands; the final analysis, with the patients who were still being followed, may contradict
    it, and the tables say how often. Compared with the best of the other open arms (`against: best`), an arm is claimed
    if it is probably the best of all, as in trials without a control (Trippa et al. 2012 call it selection). In trials
    of equals, in which being the control is only a name, the control may be declared so as well (`control_too`): the
    trial then stops for efficacy with the control as the selected arm.
    """

    kind: Literal["efficacy"]
    then: Literal["stop", "close_arm"] = "stop"
    """What follows a claim at a look: the trial stops, or only the arm takes no more patients and the
    others go on against the control."""

    test: Literal["posterior", "conditional"] = "posterior"
    """`posterior`: the probability must exceed the threshold. `conditional`: an exact test given the total number of
    responders. The probability must exceed a critical value that depends on this number, the smallest with which, given
    it and equal response rates, errors are at most 1 - `probability`; at the final analysis only."""
    control_too: bool = False
    """Whether the control may be declared the best as well; only with `against: best`."""

    @property
    def effect(self) -> Effect:
        """The arm is declared effective."""
        return "claim"

    @property
    def at_final(self) -> bool:
        """The rule speaks at the final analysis."""
        return True

    @property
    def stops(self) -> bool:
        """Whether the trial stops."""
        return self.then == "stop"

    def judged(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms the rule judges."""
        return look.is_open if self.control_too else super().judged(look)

    def problems(self, n_looks: int, at_final: bool) -> list[Place]:
        """Return what cannot be, as (path, message, hint)."""
        return problems_of_control_too(self) + super().problems(n_looks, at_final)

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms are above the threshold."""
        if self.test == "conditional":
            raise TypeError("a conditional test works only when bound to its trial")
        return self.exceeds(look)

    def words(self, measured: Measured) -> str:
        """Return the rule in plain English, without a full stop."""
        better = self.better_than(measured)
        if self.test == "conditional":
            last = self.probability[-1] if isinstance(self.probability, list) else self.probability
            return (
                f"at the final analysis an arm is declared effective when its probability of being {better} exceeds "
                f"the critical value of an exact test given the number of responders, at level {one_less(last)}"
            )
        then = "the trial stops" if self.stops else "it takes no more patients and the others go on"
        return (
            f"an arm{' (the control too)' * self.control_too} is declared effective when it is {better} with "
            f"probability above {self.level()}{self.when()}; then {then}"
        )

    def bind(self, critical: CriticalValues) -> BoundConditional:
        """Return the conditional test of a trial whose critical values are known."""
        return BoundConditional(self, critical)


class MayCloseControl(Protocol):
    """A rule that may be about the control as well."""

    @property
    def control_too(self) -> bool:
        """Whether it is."""
        ...

    @property
    def against(self) -> str | float:
        """What arms are compared with."""
        ...


def problems_of_control_too(rule: MayCloseControl) -> list[Place]:
    """Return that an arm cannot be compared with itself, as (path, message, hint)."""
    if not rule.control_too or rule.against == "best":
        return []
    return [(("control_too",), "the control cannot be compared with itself", "add against: best, or leave it out")]


class BoundConditional:
    """An efficacy rule whose threshold at the final analysis depends on the number of responders."""

    effect: Effect = "claim"
    at_final = True
    reason = Stop.FUTILITY

    def __init__(self, rule: Efficacy, critical: CriticalValues) -> None:
        self.rule, self._critical = rule, critical
        self.stops = rule.stops

    def applies(self, look: Look) -> bool:
        """Return whether the rule speaks at this look."""
        return look.is_final

    def judged(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms the rule judges."""
        return self.rule.judged(look)

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms are above the critical value."""
        value, critical = self.compared(look)
        return self.judged(look) & above(value, critical[:, None])

    def verdict(self, look: Look) -> Verdict:
        """Return the claims."""
        return conclude(self, look) if self.applies(look) else Verdict.silent(look)

    def compared(self, look: Look) -> tuple[Float[Array, "R A"], Float[Array, " R"]]:
        """Return what the rule compares with what."""
        return self.rule.better(look), np.asarray(self._critical(look))
