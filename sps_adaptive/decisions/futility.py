"""Giving up."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from sps_adaptive.arrays import below
from sps_adaptive.contracts import Look, Stop, Verdict
from sps_adaptive.decisions.threshold import Threshold, experimental, nobody


class Futility(Threshold):
    r"""The trial stops when no open arm is likely to be better than the control.

    It stops if :math:`P(\theta_a > \theta_0 + \text{margin} \mid \text{data}) < \text{probability}` for
    every open experimental arm a. At the final analysis the same condition tells a futile trial from an
    inconclusive one.
    """

    at_final: ClassVar[bool] = True

    kind: Literal["futility"]

    def verdict(self, look: Look) -> Verdict:
        """Return whether to stop."""
        if not self.applies(look):
            return Verdict.silent(look)
        judged = experimental(look)
        hopeless = below(self.better(look), self.at(look)) | ~judged  # without an open arm nothing is hopeless
        stop = np.where(judged.any(axis=1) & hopeless.all(axis=1), Stop.FUTILITY, Stop.NO).astype(np.int8)
        return Verdict(stop, nobody(look), nobody(look))
