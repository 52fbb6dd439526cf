"""Giving up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sps_adaptive.contracts import Look
from sps_adaptive.decisions.rule import Effect, Measured
from sps_adaptive.decisions.threshold import Threshold

if TYPE_CHECKING:
    from jaxtyping import Bool

    from sps_adaptive.contracts import Array


class Futility(Threshold):
    r"""The trial stops when no open arm is likely to be better than the control.

    It stops if :math:`P(\theta_a > \theta_0 + \text{margin} \mid \text{data}) < \text{probability}` for
    every open experimental arm a. At the final analysis the same condition tells a futile trial from an
    inconclusive one.
    """

    kind: Literal["futility"]
    binding: bool = True
    """Whether the rule must be followed. If not, the run also tells the type I error of the trial in which nobody does,
    as authorities ask for (FDA 2019): giving up may lower the error, but only if one does give up."""

    @property
    def upper(self) -> bool:
        """Arms are given up below the threshold."""
        return False

    @property
    def is_binding(self) -> bool:
        """Whether the type I error may count on the rule being followed."""
        return self.binding

    @property
    def effect(self) -> Effect:
        """The trial is given up."""
        return "give_up"

    @property
    def at_final(self) -> bool:
        """The rule speaks at the final analysis."""
        return True

    def words(self, measured: Measured) -> str:
        """Return the rule in plain English, without a full stop."""
        return (
            f"the trial stops for futility when no open arm is {self.better_than(measured)} with probability of at "
            f"least {self.level()}{self.when()}"
        )

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms are hopeless."""
        return self.falls_short(look)
