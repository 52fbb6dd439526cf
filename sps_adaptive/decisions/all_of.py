"""Several conditions at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sps_adaptive.contracts import Look
from sps_adaptive.decisions.joined import Joined
from sps_adaptive.decisions.rule import Measured

if TYPE_CHECKING:
    from jaxtyping import Bool

    from sps_adaptive.contracts import Array


class AllOf(Joined):
    """A consequence that follows for an arm only where every one of several conditions is met.

    The conditions are those of other rules with the same consequence, asked arm by arm: an arm is declared effective,
    or closes, if all of them say so of this arm; the trial stops for futility if all of them say so of every open
    experimental arm. At a look where one of the rules is not heard, nothing follows; the final analysis asks only if
    all of them speak there. Use it for double criteria - probably better, and probably better by what matters
    (Neuenschwander et al. 2011 call them dual) - or for guarding a threshold by a second condition.
    """

    kind: Literal["all_of"]

    @property
    def at_final(self) -> bool:
        """Whether all the rules speak at the final analysis."""
        return all(rule.at_final for rule in self.rules)

    def applies(self, look: Look) -> bool:
        """Return whether all the rules are heard at this look."""
        return super().applies(look) and all(rule.applies(look) for rule in self.rules)

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms meet all the conditions."""
        return np.logical_and.reduce([rule.met(look) for rule in self.rules])

    def judged(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms all the rules judge."""
        return np.logical_and.reduce([rule.judged(look) for rule in self.rules])

    def words(self, measured: Measured) -> str:
        """Return the rule in plain English, without a full stop."""
        return f"only where all of these hold: {self.told(measured, 'and')}"
