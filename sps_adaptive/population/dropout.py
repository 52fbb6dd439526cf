"""Leaving the trial before the outcome is assessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class Exponential(Part):
    r"""Dropout at a constant rate, whatever the arm and the outcome.

    The time from enrolment to dropout is exponential with the rate
    :math:`-\log(1 - p) / m` that makes a share p leave by month m. An outcome that falls after the
    dropout is never known; the analysis leaves it out (missing at random).
    """

    kind: Literal["exponential"]
    proportion: Annotated[float, Field(ge=0, lt=1)]
    """Share of patients who have dropped out by the stated month."""
    by_month: Annotated[float, Field(gt=0, le=600)]
    """Months after enrolment at which that share is reached."""

    def days(self, u: Float[Array, "R N"]) -> Float[Array, "R N"]:
        """Return days from enrolment to dropout, larger for larger u; inf where the proportion is 0."""
        if self.proportion == 0:
            return np.full(u.shape, np.inf)
        return np.log1p(-u) / np.log1p(-self.proportion) * (self.by_month * DAYS_PER_MONTH)

    def proportion_by(self, month: float) -> float:
        """Return the share of patients who have dropped out by a month after enrolment."""
        return float(-np.expm1(np.log1p(-self.proportion) * month / self.by_month))
