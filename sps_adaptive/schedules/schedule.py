"""What all schedules of looks share: when a look is due, how long it waits, and whether enrolment pauses."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

import numpy as np
from pydantic import Field

from sps_adaptive.arrays import nth_days
from sps_adaptive.contracts import DAYS_PER_MONTH, Cohort, Outcome
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from jaxtyping import Float

    from sps_adaptive.contracts import Array

Count = Annotated[int, Field(ge=1, le=100_000)]
Month = Annotated[float, Field(gt=0, le=1200)]
Place = tuple[tuple[str | int, ...], str, str]
"""A problem: where, what, and what to do about it."""


SAME_DAY = 1e-6
"""Days: looks that are due less than this apart are due together. Dates of one day may differ by rounding."""


class Directed(Protocol):
    """What a schedule must know of an endpoint."""

    @property
    def better(self) -> Literal["higher", "lower"]:
        """Which direction is good for the patient."""
        ...


class Pause(Part):
    """A pause of enrolment of a stated length at each look, while outcomes arrive."""

    months: Month
    """How long enrolment pauses; the analysis takes place at the end of it."""


class Schedule(Part):
    """Looks that are *due* on some day, and what may hold them up.

    A look waits until `minimum_assessed` and `minimum_months` are reached. Looks are numbered in the order in which
    they take place: those due on one day, held up to one day, or due while enrolment pauses for the look before,
    are one look.
    """

    minimum_assessed: Count | None = None
    """No look before so many outcomes are known: one that is due earlier waits until then."""
    minimum_months: Month | None = None
    """No look before this month: one that is due earlier waits until then."""
    most: Annotated[int, Field(ge=1, le=1000)] | None = None
    """At most so many looks take place; those after them are left out."""
    pause: Literal["until_assessed"] | Pause | None = None
    """Whether enrolment pauses at each look while outcomes arrive: `until_assessed`, until everybody enrolled has been
    assessed or has dropped out, or {months: 2}. The analysis takes place at the end of the pause, and patients who
    would have come during it or later come later by its length. Left out: the analysis takes place when it is due."""

    # ---------------------------------------------------------------- what a kind says

    @abstractmethod
    def n_due(self, patients: int) -> int:
        """Return how many looks may fall due."""

    @abstractmethod
    def due(self, which: Sequence[int], cohort: Cohort, outcome: Outcome) -> Float[Array, "R K"]:
        """Return the days on which some of them fall due; inf where they never do."""

    @abstractmethod
    def when(self, patients: int) -> str:
        """Return in plain English when looks are due."""

    @abstractmethod
    def due_problems(self, patients: int) -> list[Place]:
        """Return looks that can never take place."""

    def bind(self, endpoint: Directed) -> Self:
        """Return the schedule of a trial with this endpoint."""
        return self

    # ---------------------------------------------------------------- what follows for all

    @property
    def merges(self) -> bool:
        """Whether two looks may become one."""
        return self.minimum_assessed is not None or self.minimum_months is not None or self.pause is not None

    def n_looks(self, patients: int) -> int:
        """Return the number of looks before the final analysis, at most."""
        return min(self.n_due(patients), self.most or 1_000_000)

    def day(self, index: int, cohort: Cohort, outcome: Outcome, after: Float[Array, " R"]) -> Float[Array, " R"]:
        """Return the day on which a look is due: the first after the look before; inf where there is none."""
        if not self.merges:
            return self.due([index], cohort, outcome)[:, 0]
        days = self.due(range(self.n_due(cohort.enrolled_at.shape[1])), cohort, outcome)
        if self.minimum_assessed is not None:
            days = np.maximum(days, nth_days(outcome.known_at[..., -1], [self.minimum_assessed]))
        if self.minimum_months is not None:
            days = np.maximum(days, self.minimum_months * DAYS_PER_MONTH)
        return np.where(days > after[:, None] + SAME_DAY, days, np.inf).min(axis=1)

    def analysed(self, due: Float[Array, " R"], cohort: Cohort, outcome: Outcome) -> Float[Array, " R"]:
        """Return the day of the analysis of a look: the end of its pause."""
        if self.pause is None:
            return due
        if isinstance(self.pause, Pause):
            return due + self.pause.months * DAYS_PER_MONTH
        from sps_adaptive.timeline import last_day, n_enrolled_by

        comes = np.isfinite(due)
        enrolled = np.where(comes, n_enrolled_by(due, cohort), 0)
        return np.maximum(due, last_day(cohort, outcome, enrolled))

    def words(self, patients: int) -> str:
        """Return in plain English when the looks are; nothing if there are none."""
        told = self.when(patients)
        waits = [] if self.minimum_assessed is None else [f"{self.minimum_assessed} patients have been assessed"]
        waits += [] if self.minimum_months is None else [f"month {self.minimum_months:g}"]
        if waits:
            told += f", but not before {' and '.join(waits)}"
        if self.most is not None:
            told += f", {self.most} at most" if self.most > 1 else ", the first of them only"
        if self.pause == "until_assessed":
            told += "; enrolment pauses until all patients enrolled have been assessed or have dropped out"
        elif isinstance(self.pause, Pause):
            told += f"; enrolment pauses for {self.pause.months:g} months before the analysis"
        return told

    def problems(self, patients: int) -> list[Place]:
        """Return looks that can never take place, as (path, message, hint)."""
        found = self.due_problems(patients)
        if self.minimum_assessed is not None and self.minimum_assessed >= patients:
            found.append(
                (
                    ("minimum_assessed",),
                    f"no look before {self.minimum_assessed} patients have been assessed, and then the trial is over",
                    f"the trial enrols at most {patients} patients: give a smaller number, or looks: {{kind: none}}",
                )
            )
        return found
