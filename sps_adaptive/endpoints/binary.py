"""Response, yes or no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sps_adaptive.contracts import Cohort, Potential
from sps_adaptive.endpoints.assessment import Assessed
from sps_adaptive.endpoints.course import Course, by_arm, numbers

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

    kind: Literal["binary"]

    def potential(self, cohort: Cohort, name: str, arms: tuple[str, ...], truth: BinaryTruth) -> Potential:
        """Return the oriented outcome (True is good) of each patient on each arm."""
        event = cohort.u_outcome[name][:, :, None, 0] < self._probability(cohort, arms, truth)
        good = event if self.better == "higher" else ~event
        return Potential(good[..., None], self.known_at(cohort))

    def true_means(self, cohort: Cohort, arms: tuple[str, ...], truth: BinaryTruth) -> Float[Array, " A"]:
        """Return the oriented true probability of each arm, averaged over the patients' enrolment days."""
        mean = self._probability(cohort, arms, truth).mean(axis=(0, 1))
        return mean if self.better == "higher" else 1 - mean

    def natural(self, oriented: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return probabilities of the event as stated."""
        return oriented if self.better == "higher" else 1 - oriented

    def natural_difference(self, oriented: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return differences in the probability of the event as stated."""
        return self.sign * oriented

    def truth_problems(self, truth: BinaryTruth) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return what cannot be about a truth, as (path, message, hint)."""
        return [
            ((arm,), f"a probability of {number:g}", "give a number from 0 to 1")
            for arm, course in truth.items()
            for number in numbers(course)
            if not 0 <= number <= 1
        ]

    @staticmethod
    def _probability(cohort: Cohort, arms: tuple[str, ...], truth: BinaryTruth) -> Float[Array, "#R #N A"]:
        return by_arm([truth[arm] for arm in arms], cohort.enrolled_at)
