"""When an outcome is assessed (shared by the endpoints that have one visit)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import DAYS_PER_MONTH, Cohort
from sps_adaptive.endpoints.endpoint import Endpoint, Place

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class Assessed(Endpoint):
    """An endpoint measured once, some months after enrolment, within a window."""

    assessed_at_month: Annotated[float, Field(ge=0, le=600)]
    """Months from enrolment to the assessment."""
    window_months: Annotated[float, Field(ge=0, le=120)] = 0.0
    """The visit falls at most this many months before or after the planned day, anywhere alike."""

    def known_at(self, cohort: Cohort) -> Float[Array, "R N 1 1"]:
        """Return the day of the assessment, inf for those who drop out before it."""
        planned = cohort.enrolled_at + self.assessed_at_month * DAYS_PER_MONTH
        if self.window_months:
            planned += self.window_months * DAYS_PER_MONTH * (2 * cohort.u_visit - 1)
        planned[planned > cohort.dropout_at] = np.inf
        return planned[:, :, None, None]

    def problems(self) -> list[Place]:
        """Return what cannot be about the assessment."""
        if self.window_months <= self.assessed_at_month:
            return []
        return [
            (
                ("window_months",),
                f"a window of {self.window_months:g} months around month {self.assessed_at_month:g} "
                "begins before enrolment",
                "make the window at most as long as assessed_at_month",
            )
        ]
