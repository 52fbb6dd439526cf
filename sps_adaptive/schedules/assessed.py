"""Looks when a number of patients has been assessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sps_adaptive.arrays import nth_day
from sps_adaptive.contracts import Cohort, Outcome
from sps_adaptive.schedules.counts import AtCounts
from sps_adaptive.words import listed

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class Assessed(AtCounts):
    """A look on the day the n-th outcome becomes known; never, if dropouts leave fewer than n.

    The information at each look is fixed; its date and the number enrolled by then are not.
    """

    kind: Literal["assessed"]

    def words(self, patients: int) -> str:
        """Return in plain English when the looks are; nothing if there are none."""
        return f"when {listed(self.counts(patients))} patients have been assessed"

    def day(self, index: int, cohort: Cohort, outcome: Outcome, after: Float[Array, " R"]) -> Float[Array, " R"]:
        """Return the day of the look, inf where so many outcomes never become known."""
        count = self.counts(cohort.enrolled_at.shape[1])[index]
        return nth_day(outcome.known_at[..., -1], count)
