"""What the rules that declare arms effective share: what follows, and how they count their comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sps_adaptive.contracts import Look
from sps_adaptive.decisions.multiplicity import Multiplicity, adjusted
from sps_adaptive.decisions.rule import Effect, Place
from sps_adaptive.decisions.threshold import Crossing

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array

METHODS = {
    "bonferroni": "Bonferroni's correction for the number of arms",
    "holm": "Holm's step-down correction for the number of arms",
    "closed": "a closed test (Simes, Hommel) over the arms",
}
"""Corrections in plain English."""


class Claim(Crossing):
    """A rule that declares arms effective above its threshold."""

    then: Literal["stop", "close_arm"] = "stop"
    """What follows a claim at a look: the trial stops, or only the arm takes no more patients and the
    others go on against the control."""
    multiplicity: Multiplicity = "none"
    """How the number of comparisons counts. With tail areas p = 1 - P(better) of the m experimental arms of the trial
    and the level alpha = 1 - `probability`, `none`: p < alpha; `bonferroni`: p < alpha / m; `holm`: step down through
    the ordered tail areas (Holm 1979); `closed`: closed testing with Simes's local tests (Hommel 1988). An arm declared
    effective before counts as rejected, one that was dropped as not rejected. What is controlled is the familywise
    error at one analysis, and only as far as tail areas are p-values: exactly for normal outcomes with known spread and
    flat priors, nearly so with weak priors, not with informative ones. Looks add to it, as they do without."""

    @property
    def effect(self) -> Effect:
        """The arm is declared effective."""
        return "claim"

    @property
    def at_final(self) -> bool:
        """The rule speaks at the final analysis."""
        return True

    @property
    def stops(self) -> bool:
        """Whether the trial stops."""
        return self.then == "stop"

    @property
    def upper(self) -> bool:
        """Arms are declared effective above the threshold."""
        return True

    @property
    def claims_beyond(self) -> float | None:
        """By how much an arm must truly be better to count as effective."""
        return self.by

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms are above the threshold."""
        return self.exceeds(look)

    def compared(self, look: Look) -> tuple[Float[Array, "R A"], Float[Array, " R"]]:
        """Return one minus the adjusted tail areas, and the threshold."""
        return self.counted(look, self.better(look.on(self.endpoint))), self.at(look)

    def counted(self, look: Look, better: Float[Array, "R A"]) -> Float[Array, "R A"]:
        """Return probabilities that take the number of comparisons into account.

        Arms declared effective before have a tail area of 0, and those that are not judged any more one of 1. At the
        final analysis the former are judged once more: then they count with their own tail areas.
        """
        if self.multiplicity == "none":
            return better
        judged, claimed, nobody = self.judged(look), look.is_claimed, np.zeros_like(look.is_claimed)
        found = self.counted_among(better, judged, claimed, look.control)
        anew = self.counted_among(better, judged, nobody, look.control) if look.is_final else found
        return np.where(claimed, anew, found)

    def counted_among(
        self, better: Float[Array, "R A"], judged: Bool[Array, "R A"], claimed: Bool[Array, "R A"], control: int
    ) -> Float[Array, "R A"]:
        """Return such probabilities for arms judged, given those declared effective before; control is the control."""
        others = np.arange(better.shape[1]) != control
        tail = np.where(claimed, 0.0, np.where(judged, 1 - better, 1.0))[:, others]
        counted = better.copy()
        counted[:, others] = 1 - adjusted(tail, self.multiplicity)
        return counted

    def conclusion(self) -> str:
        """Return in plain English how comparisons are counted and what follows."""
        then = "the trial stops" if self.stops else "it takes no more patients and the others go on"
        return f"{', after ' + METHODS[self.multiplicity] if self.multiplicity != 'none' else ''}; then {then}"

    def compares(self, control: str) -> str:
        """Return what the rule compares with its threshold, as short as in a formula."""
        asked = super().compares(control)
        return f"{asked}, corrected" if self.multiplicity != "none" else asked

    def problems(self, n_looks: int, at_final: bool) -> list[Place]:
        """Return what cannot be, as (path, message, hint)."""
        found: list[Place] = []
        if self.multiplicity != "none" and getattr(self, "against", "control") == "best":
            found.append(
                (
                    ("multiplicity",),
                    "the probability of being the best is no tail area of a comparison",
                    "compare with control or a fixed value, or leave multiplicity out",
                )
            )
        return super().problems(n_looks, at_final) + found
