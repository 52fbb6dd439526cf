"""Looks when a number of patients has been enrolled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sps_adaptive.contracts import Cohort, Outcome
from sps_adaptive.schedules.counts import AtCounts
from sps_adaptive.words import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class Enrolled(AtCounts):
    """A look on the day the n-th patient is enrolled, whatever is known by then.

    Easy to plan; with slow outcomes the data are thin, because the patients enrolled last are pending.
    """

    kind: Literal["enrolled"]

    def when(self, patients: int) -> str:
        """Return in plain English when looks are due."""
        return f"when {listed(self.counts(patients))} patients have been enrolled"

    def due(self, which: Sequence[int], cohort: Cohort, outcome: Outcome) -> Float[Array, "R K"]:
        """Return the days on which looks fall due."""
        return cohort.enrolled_at[:, np.array(self.counts(cohort.enrolled_at.shape[1]))[which] - 1]
