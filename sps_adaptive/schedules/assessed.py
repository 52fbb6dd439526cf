"""Looks when a number of patients has been assessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sps_adaptive.arrays import nth_days
from sps_adaptive.contracts import Cohort, Outcome
from sps_adaptive.schedules.counts import AtCounts
from sps_adaptive.words import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class Assessed(AtCounts):
    """A look on the day the n-th outcome becomes known; never, if dropouts leave fewer than n.

    The information at each look is fixed; its date and the number enrolled by then are not.
    """

    kind: Literal["assessed"]

    def when(self, patients: int) -> str:
        """Return in plain English when looks are due."""
        return f"when {listed(self.counts(patients))} patients have been assessed"

    def due(self, which: Sequence[int], cohort: Cohort, outcome: Outcome) -> Float[Array, "R K"]:
        """Return the days on which looks fall due, inf where so many outcomes never become known."""
        counts = self.counts(cohort.enrolled_at.shape[1])
        return nth_days(outcome.known_at[..., -1], [counts[number] for number in which])
