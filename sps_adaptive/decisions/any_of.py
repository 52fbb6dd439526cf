"""Several conditions, of which one is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sps_adaptive.contracts import Look
from sps_adaptive.decisions.joined import Joined
from sps_adaptive.decisions.rule import Measured

if TYPE_CHECKING:
    from jaxtyping import Bool

    from sps_adaptive.contracts import Array


class AnyOf(Joined):
    """A consequence that follows for an arm where at least one of several conditions is met.

    The conditions are those of other rules with the same consequence, asked arm by arm; rules that are not heard at a
    look are passed over. For arms that are declared effective or closed this is the same as listing the rules one after
    the other. It differs for futility: the trial stops if every open experimental arm meets some condition, one arm
    perhaps this and another that, where separate rules ask that all arms meet the same one. Inside `all_of` it is the
    way to say "A, and B or C".
    """

    kind: Literal["any_of"]

    @property
    def at_final(self) -> bool:
        """Whether one of the rules speaks at the final analysis."""
        return any(rule.at_final for rule in self.rules)

    def applies(self, look: Look) -> bool:
        """Return whether one of the rules is heard at this look."""
        return super().applies(look) and any(rule.applies(look) for rule in self.rules)

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms meet one of the conditions."""
        return np.logical_or.reduce([rule.met(look) for rule in self.rules if rule.applies(look)])

    def judged(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms one of the rules judges."""
        return np.logical_or.reduce([rule.judged(look) for rule in self.rules if rule.applies(look)])

    def words(self, measured: Measured) -> str:
        """Return the rule in plain English, without a full stop."""
        return f"where any of these holds: {self.told(measured, 'or')}"
