"""Closing an arm that does not do well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sps_adaptive.contracts import Look
from sps_adaptive.decisions.rule import Effect, Measured
from sps_adaptive.decisions.threshold import Threshold

if TYPE_CHECKING:
    from jaxtyping import Bool

    from sps_adaptive.contracts import Array


class DropArm(Threshold):
    r"""An experimental arm closes when it is unlikely to be better than the control.

    Arm a takes no more patients if
    :math:`P(\theta_a > \theta_0 + \text{margin} \mid \text{data}) < \text{probability}`; its patients are
    followed to the end, and it cannot be declared effective any more. When no experimental arm is left the
    trial stops for futility. The rule does not apply to the final analysis. Compared with the best of the other open
    arms (`against: best`), it closes arms that are unlikely to be the best.
    """

    kind: Literal["drop_arm"]

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

    def words(self, measured: Measured) -> str:
        """Return the rule in plain English, without a full stop."""
        return (
            f"an arm takes no more patients when it is {self.better_than(measured)} with probability below "
            f"{self.level()}{self.when()}"
        )

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms are below the threshold."""
        return self.falls_short(look)
