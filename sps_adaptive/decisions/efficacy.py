"""Declaring an arm effective."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from sps_adaptive.arrays import above
from sps_adaptive.contracts import CriticalValues, Look, Stop, Verdict
from sps_adaptive.decisions.threshold import Threshold, experimental, nobody

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class Efficacy(Threshold):
    r"""An open arm is declared effective when it is probably better than the control.

    Arm a is claimed if :math:`P(\theta_a > \theta_0 + \text{margin} \mid \text{data}) > \text{probability}`.
    A claim at a look stands; the final analysis, with the patients who were still being followed, may contradict
    it, and the tables say how often.
    """

    at_final: ClassVar[bool] = True

    kind: Literal["efficacy"]
    then: Literal["stop", "close_arm"] = "stop"
    """What follows a claim at a look: the trial stops, or only the arm takes no more patients and the
    others go on against the control."""

    test: Literal["posterior", "conditional"] = "posterior"
    """`posterior`: the probability must exceed the threshold. `conditional`: an exact test given the total number of
    responders. The probability must exceed a critical value that depends on this number, the smallest with which, given
    it and equal response rates, errors are at most 1 - `probability`; at the final analysis only."""

    def verdict(self, look: Look) -> Verdict:
        """Return the claims, and what follows from them."""
        if self.test == "conditional":
            raise TypeError("a conditional test works only when bound to its trial")
        return self.verdict_above(look, np.full(len(look.is_open), self.at(look)) if self.applies(look) else None)

    def bind(self, critical: CriticalValues) -> BoundConditional:
        """Return the conditional test of a trial whose critical values are known."""
        return BoundConditional(self, critical)

    def verdict_above(self, look: Look, threshold: Float[Array, " R"] | None) -> Verdict:
        """Return the claims of arms above a threshold; None where the rule does not speak."""
        if threshold is None:
            return Verdict.silent(look)
        claim = experimental(look) & above(self.better(look), threshold[:, None])
        if self.then == "close_arm":
            return Verdict(np.zeros(len(claim), np.int8), claim, claim)
        stop = np.where(claim.any(axis=1), Stop.EFFICACY, Stop.NO).astype(np.int8)
        return Verdict(stop, nobody(look), claim)


class BoundConditional:
    """An efficacy rule whose threshold at the final analysis depends on the number of responders."""

    at_final: ClassVar[bool] = True

    def __init__(self, rule: Efficacy, critical: CriticalValues) -> None:
        self.rule, self._critical = rule, critical

    def applies(self, look: Look) -> bool:
        """Return whether the rule speaks at this look."""
        return look.is_final

    def verdict(self, look: Look) -> Verdict:
        """Return the claims."""
        return self.rule.verdict_above(look, self._critical(look) if look.is_final else None)

    def compared(self, look: Look) -> tuple[Float[Array, "R A"], Float[Array, " R"]]:
        """Return what the rule compares with what."""
        return self.rule.better(look), self._critical(look)
