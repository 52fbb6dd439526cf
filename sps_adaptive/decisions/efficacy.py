"""Declaring an arm effective."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from sps_adaptive.arrays import above
from sps_adaptive.contracts import Look, Stop, Verdict
from sps_adaptive.decisions.threshold import Threshold, experimental, nobody


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

    def verdict(self, look: Look) -> Verdict:
        """Return the claims, and what follows from them."""
        if not self.applies(look):
            return Verdict.silent(look)
        claim = experimental(look) & above(self.better(look), self.at(look))
        if self.then == "close_arm":
            return Verdict(np.zeros(len(claim), np.int8), claim, claim)
        stop = np.where(claim.any(axis=1), Stop.EFFICACY, Stop.NO).astype(np.int8)
        return Verdict(stop, nobody(look), claim)
