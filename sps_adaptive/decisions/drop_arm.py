"""Closing an arm that does not do well."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from sps_adaptive.arrays import below
from sps_adaptive.contracts import Look, Verdict
from sps_adaptive.decisions.threshold import Threshold, experimental, nobody


class DropArm(Threshold):
    r"""An experimental arm closes when it is unlikely to be better than the control.

    Arm a takes no more patients if
    :math:`P(\theta_a > \theta_0 + \text{margin} \mid \text{data}) < \text{probability}`; its patients are
    followed to the end, and it cannot be declared effective any more. When no experimental arm is left the
    trial stops for futility. The rule does not apply to the final analysis.
    """

    at_final: ClassVar[bool] = False

    kind: Literal["drop_arm"]

    def verdict(self, look: Look) -> Verdict:
        """Return which arms close."""
        if look.is_final or not self.applies(look):
            return Verdict.silent(look)
        close = experimental(look) & below(self.better(look), self.at(look))
        return Verdict(np.zeros(len(close), np.int8), close, nobody(look))
