"""Response, yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from sps_adaptive.contracts import Cohort, Potential, Scale
from sps_adaptive.endpoints.assessment import Assessed
from sps_adaptive.endpoints.course import Course, by_arm, numbers
from sps_adaptive.endpoints.endpoint import Place

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

BinaryTruth = dict[str, Course]
"""The probability of the event on each arm."""


class Binary(Assessed):
    r"""An event that has or has not happened at the assessment, such as response.

    A patient with luck u has the event on arm a if and only if :math:`u < p_a`. So the truth enters by
    comparison: every truth and every design meets the same patients. `better: lower` is for events that
    harm; the analysis then sees their absence.
    """

    has_events: ClassVar[bool] = True
    luck_rises: ClassVar[bool] = False

    kind: Literal["binary"]

    def potential(
        self,
        cohort: Cohort,
        name: str,
        arms: tuple[str, ...],
        truth: BinaryTruth,
        shift: Float[Array, "R N #A"] | None = None,
    ) -> Potential:
        """Return the oriented outcome (True is good) of each patient on each arm; `shift` adds to the log odds."""
        event = cohort.u_outcome[name][:, :, None, 0] < self._probability(cohort, arms, truth, shift)
        good = event if self.better == "higher" else ~event
        return Potential(good[..., None], self.known_at(cohort))

    def scales(self) -> tuple[str, ...]:
        """Return `probability`, the share of all patients; and `log_odds`, of the average patient."""
        return ("probability", "log_odds")

    def scale(self, name: str) -> Scale:
        """Return how values are turned: an event that harms has the probability 1 - x of not happening."""
        if name == "log_odds" or self.better == "higher":
            return Scale(name, sign=self.sign)
        return Scale(name, sign=-1.0, origin=1.0)

    def true_values(
        self,
        cohort: Cohort,
        arms: tuple[str, ...],
        truth: BinaryTruth,
        scale: str,
        shift: Float[Array, "R N #A"] | None = None,
        control: int = 0,
    ) -> Float[Array, " A"]:
        """Return the oriented true probability of each arm, or the log odds of the average patient."""
        from scipy.special import logit

        if scale == "log_odds":
            return self.sign * logit(self._probability(cohort, arms, truth, None).mean(axis=(0, 1)))
        mean = self._probability(cohort, arms, truth, shift).mean(axis=(0, 1))
        return mean if self.better == "higher" else 1 - mean

    def describe(self) -> str:
        """Return what kind of outcome it is."""
        return "yes or no"

    def natural(self, oriented: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return probabilities of the event as stated."""
        return oriented if self.better == "higher" else 1 - oriented

    def natural_difference(self, oriented: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return differences in the probability of the event as stated."""
        return self.sign * oriented

    def truth_problems(self, truth: Mapping[str, Any]) -> list[Place]:
        """Return what cannot be about a truth, as (path, message, hint)."""
        return [
            ((arm,), f"a probability of {number:g}", "give a number from 0 to 1")
            for arm, course in truth.items()
            for number in numbers(course)
            if not 0 <= number <= 1
        ]

    @staticmethod
    def _probability(
        cohort: Cohort, arms: tuple[str, ...], truth: BinaryTruth, shift: Float[Array, "R N #A"] | None
    ) -> Float[Array, "#R #N A"]:
        from scipy.special import expit, logit

        stated = by_arm([truth[arm] for arm in arms], cohort.enrolled_at)
        return stated if shift is None else np.asarray(expit(logit(stated) + shift))
