"""The best arm becomes the control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sps_adaptive.contracts import Look
from sps_adaptive.decisions.efficacy import Efficacy
from sps_adaptive.decisions.rule import Effect, Measured, Rule
from sps_adaptive.decisions.threshold import Threshold

if TYPE_CHECKING:
    from jaxtyping import Bool

    from sps_adaptive.contracts import Array


class Promote(Threshold):
    r"""An arm that beats the control takes its place, and the trial goes on against the new control.

    Of the open arms with
    :math:`P(\theta_a > \theta_0 + \text{margin} \mid \text{data}) > \text{probability}` the one most probably better
    than the control (of equals the first in the file) becomes the control and counts as declared effective. The
    old control takes no more patients. At the same look all rules are then asked again, in their order, about the arms
    that are left against the new control, until no arm is promoted; rules behind this one are not heard in a round in
    which it promotes. When only the control is left, the trial stops. This is how adaptr treats a common control
    (Granholm et al. 2022): it suits comparisons of treatments in use, in which the best of all is wanted. In a trial
    against placebo `efficacy` is the usual rule: after a promotion nothing more is learned about the placebo.

    At the final analysis every open arm above the threshold is declared effective. Of arms promoted before, it asks
    whether they are still better than the first control. The benchmark without looks declares arms effective by the
    same threshold.
    """

    kind: Literal["promote"]
    against: Literal["control"] = "control"
    """What an arm is compared with: always the control."""

    @property
    def upper(self) -> bool:
        """Arms are promoted above the threshold."""
        return True

    @property
    def claims_beyond(self) -> float | None:
        """By how much an arm must truly be better to count as effective."""
        return self.margin

    @property
    def effect(self) -> Effect:
        """The best of the arms becomes the control."""
        return "promote"

    @property
    def at_final(self) -> bool:
        """The rule speaks at the final analysis."""
        return True

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms are above the threshold."""
        return self.exceeds(look)

    def for_final(self) -> Rule:
        """Return the rule of a trial without looks: there is no one to go on against the new control."""
        return Efficacy(kind="efficacy", probability=self.stated[-1], margin=self.margin, source=self.source)

    def words(self, measured: Measured) -> str:
        """Return the rule in plain English, without a full stop."""
        return (
            f"an arm that is {self.better_than(measured)}, or than the control of the time, with probability above "
            f"{self.level()}{self.when()} is declared effective and becomes the control (if several are, the one most "
            "probably better); the old control takes no more patients, and all rules are asked again"
        )
