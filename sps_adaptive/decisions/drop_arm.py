"""Closing an arm that does not do well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sps_adaptive.contracts import Look
from sps_adaptive.decisions.efficacy import problems_of_control_too
from sps_adaptive.decisions.rule import Effect, Measured, Place
from sps_adaptive.decisions.threshold import Threshold, only_against_first

if TYPE_CHECKING:
    from jaxtyping import Bool

    from sps_adaptive.contracts import Array


class DropArm(Threshold):
    r"""An experimental arm closes when it is unlikely to be better than the control.

    Arm a takes no more patients if
    :math:`P(\theta_a > \theta_0 + \text{margin} \mid \text{data}) < \text{probability}`; its patients are
    followed to the end, and it cannot be declared effective any more. When no experimental arm is left the
    trial stops for futility. The rule does not apply to the final analysis.

    Compared with the best of the other open arms (`against: best`), it closes arms that are unlikely to be the best,
    and asks again about those that are left until none is below the threshold; the one most likely to be the best never
    closes. In trials of equals, in which being the control is only a name, it may close the control as well
    (`control_too`).
    """

    kind: Literal["drop_arm"]
    binding: bool = True
    """Whether the rule must be followed. If not, the run also tells the type I error of the trial in which nobody does,
    as authorities ask for (FDA 2019): giving up may lower the error, but only if one does give up."""
    control_too: bool = False
    """Whether the control may close as well; only with `against: best`."""
    first_control_only: bool = False
    """Whether the rule is silent once another arm has been promoted to control."""

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
        """The arm takes no more patients."""
        return "close"

    @property
    def at_final(self) -> bool:
        """Nothing is left to close at the final analysis."""
        return False

    def words(self, measured: Measured) -> str:
        """Return the rule in plain English, without a full stop."""
        only = f", as long as {measured.control} is the control" if self.first_control_only else ""
        return (
            f"an arm{' (the control too)' * self.control_too} takes no more patients when it is "
            f"{self.better_than(measured)} with probability below {self.level()}{self.when()}{only}"
        )

    def judged(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms the rule judges."""
        judged = look.is_open if self.control_too else super().judged(look)
        return only_against_first(judged, look, self.first_control_only)

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms are below the threshold."""
        if self.against != "best":
            return self.falls_short(look)
        closed = np.zeros_like(look.is_open)
        while True:
            left = look._replace(is_open=look.is_open & ~closed)
            best = self.better(left.on(self.endpoint))
            now = self.falls_short(left)
            now[np.arange(len(now)), best.argmax(axis=1)] = False
            if not now.any():
                return closed
            closed |= now

    def problems(self, n_looks: int, at_final: bool) -> list[Place]:
        """Return what cannot be, as (path, message, hint)."""
        return problems_of_control_too(self) + super().problems(n_looks, at_final)
