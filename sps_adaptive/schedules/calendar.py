"""Looks at stated months after the trial opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from sps_adaptive.contracts import DAYS_PER_MONTH, Cohort, Outcome
from sps_adaptive.schedules.schedule import Month, Place, Schedule
from sps_adaptive.words import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class Calendar(Schedule):
    """A look at the end of stated months, whatever the accrual by then.

    Committees meet on such dates. Looks that fall after the last patient's follow-up do not take place. When
    accrual is slower than expected, so is the information at each look.
    """

    kind: Literal["calendar"]
    first_month: Month | None = None
    """Month of the first look."""
    every_months: Month | None = None
    """Months from one look to the next."""
    last_month: Month | None = None
    """No look after this month."""
    at_months: Annotated[list[Month], Field(min_length=1, max_length=1000)] | None = None
    """The months themselves, instead of a series."""

    @model_validator(mode="after")
    def _series_or_list(self) -> Calendar:
        series = (self.first_month, self.every_months, self.last_month)
        if self.at_months is None and None in series:
            raise ValueError("give first_month, every_months and last_month, or the list at_months")
        if self.at_months is not None and series != (None, None, None):
            raise ValueError("give the list at_months or a series, not both")
        if self.at_months is not None and sorted(set(self.at_months)) != self.at_months:
            raise ValueError(f"the months must increase, got {', '.join(f'{m:g}' for m in self.at_months)}")
        if self.last_month and self.every_months and self.last_month / self.every_months > 1000:
            raise ValueError("more than 1000 looks")
        return self

    def months(self) -> list[float]:
        """Return the month of each look."""
        if self.at_months is not None:
            return list(self.at_months)
        assert self.first_month and self.every_months and self.last_month
        beyond = self.last_month + self.every_months / 2**20  # so that rounding cannot lose the last look
        return [float(month) for month in np.arange(self.first_month, beyond, self.every_months)]

    def n_due(self, patients: int) -> int:
        """Return how many looks fall due, if the trial lasts that long."""
        return len(self.months())

    def when(self, patients: int) -> str:
        """Return in plain English when looks are due."""
        return f"at months {listed([f'{month:g}' for month in self.months()])}"

    def due(self, which: Sequence[int], cohort: Cohort, outcome: Outcome) -> Float[Array, "R K"]:
        """Return the days on which looks fall due, the same in every replicate."""
        months = self.months()
        days = np.array([months[number] * DAYS_PER_MONTH for number in which])
        return np.tile(days, (len(cohort.enrolled_at), 1))

    def due_problems(self, patients: int) -> list[Place]:
        """Return looks that cannot be: a series that ends before it begins."""
        if self.first_month and self.last_month and self.last_month < self.first_month:
            return [
                (
                    ("last_month",),
                    "the looks end before the first one",
                    "make last_month at least first_month",
                )
            ]
        return []
