"""Accrual like clockwork."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array


class Steady(Part):
    """Patients come at equal intervals, without chance.

    For comparisons with designs that have no calendar: with outcomes known at once, a look at the n-th patient sees
    exactly n outcomes. Real accrual is random; see `poisson` and `sites`.
    """

    kind: Literal["steady"]
    patients_per_month: Annotated[float, Field(gt=0, le=100_000)]
    """Patients enrolled in a month."""

    def enrol(
        self, seed: int, block: int, replicates: int, patients: int
    ) -> tuple[Float[Array, "R N"], Int[Array, "R N"]]:
        """Return the day and the site (always 0) of each enrolment; the seed does not matter."""
        day = np.arange(1, patients + 1) * (DAYS_PER_MONTH / self.patients_per_month)
        return np.tile(day, (replicates, 1)), np.zeros((replicates, patients), np.int64)

    def expected_months(self, patients: int) -> float:
        """Return how long it takes to enrol that many."""
        return patients / self.patients_per_month
