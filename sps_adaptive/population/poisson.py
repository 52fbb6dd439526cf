"""Accrual by one Poisson process, with a ramp-up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.part import Part
from sps_adaptive.streams import Stream, uniforms

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array


class Poisson(Part):
    r"""Patients come at random at a stated rate, which may take some months to build up.

    The rate rises linearly from 0 to r patients a month over the ramp-up of w months and stays there:
    :math:`\Lambda(t) = r t^2 / (2 w)` up to w, :math:`r (t - w/2)` after. Enrolment days are
    :math:`\Lambda^{-1}` of a unit-rate Poisson process. There is one site.
    """

    kind: Literal["poisson"]
    patients_per_month: Annotated[float, Field(gt=0, le=100_000)]
    """Patients enrolled in a month, once accrual is at full speed."""
    ramp_up_months: Annotated[float, Field(ge=0, le=240)] = 0.0
    """Months until accrual is at full speed."""

    def enrol(
        self, seed: int, block: int, replicates: int, patients: int
    ) -> tuple[Float[Array, "R N"], Int[Array, "R N"]]:
        """Return the day and the site (always 0) of each enrolment."""
        gaps = -np.log1p(-uniforms(seed, Stream.ACCRUAL, block, replicates, patients))
        month = self._month(np.cumsum(gaps, axis=1))
        return month * DAYS_PER_MONTH, np.zeros(month.shape, np.int64)

    def _month(self, arrivals: Float[Array, "..."]) -> Float[Array, "..."]:
        rate, ramp = self.patients_per_month, self.ramp_up_months
        full_speed = arrivals / rate + ramp / 2
        return np.where(full_speed >= ramp, full_speed, np.sqrt(2 * ramp * arrivals / rate))

    def expected_months(self, patients: int) -> float:
        """Return about how long it takes to enrol: the month at which that many are expected."""
        return float(self._month(np.array(float(patients))))
