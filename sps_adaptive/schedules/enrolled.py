"""Looks when a number of patients has been enrolled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sps_adaptive.contracts import Cohort, Outcome
from sps_adaptive.schedules.counts import AtCounts
from sps_adaptive.words import listed

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class Enrolled(AtCounts):
    """A look on the day the n-th patient is enrolled, whatever is known by then.

    Easy to plan; with slow outcomes the data are thin, because the patients enrolled last are pending.
    """

    kind: Literal["enrolled"]

    def words(self, patients: int) -> str:
        """Return in plain English when the looks are; nothing if there are none."""
        return f"when {listed(self.counts(patients))} patients have been enrolled"

    def day(self, index: int, cohort: Cohort, outcome: Outcome, after: Float[Array, " R"]) -> Float[Array, " R"]:
        """Return the day of the look."""
        return cohort.enrolled_at[:, self.counts(cohort.enrolled_at.shape[1])[index] - 1]
