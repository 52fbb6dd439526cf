"""Looks at numbers: which numbers (shared by `enrolled`, `assessed` and `events`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from sps_adaptive.schedules.schedule import Count, Place, Schedule


class AtCounts(Schedule):
    """Numbers of patients, or of events, as a regular series or as a list."""

    first: Count | None = None
    """Number at the first look."""
    every: Count | None = None
    """How many more from one look to the next; left out: one look only."""
    last: Count | None = None
    """No look after this number; left out: looks go on to the end of enrolment."""
    at: Annotated[list[Count], Field(min_length=1, max_length=1000)] | None = None
    """The numbers themselves, instead of a series."""

    @model_validator(mode="after")
    def _series_or_list(self) -> AtCounts:
        if (self.at is None) == (self.first is None):
            raise ValueError("give either first (with every), or the list at")
        if self.at is not None and (self.every or self.last):
            raise ValueError("every and last belong to first, not to the list at")
        if self.at is not None and sorted(set(self.at)) != self.at:
            raise ValueError(f"the numbers must increase, got {', '.join(map(str, self.at))}")
        return self

    def counts(self, patients: int) -> list[int]:
        """Return the number of patients at each look before the final analysis.

        The final analysis, when everyone's follow-up is over, always takes place and is not a look of this list;
        a series ends before the last patient.
        """
        if self.at is not None:
            return list(self.at)
        assert self.first is not None
        stop = min(patients, (self.last or patients) + 1)
        return list(range(self.first, stop, self.every)) if self.every else [self.first]

    def n_due(self, patients: int) -> int:
        """Return how many looks may fall due."""
        return len(self.counts(patients))

    def due_problems(self, patients: int) -> list[Place]:
        """Return looks that can never take place, as (path, message, hint)."""
        hint = (
            f"the trial enrols at most {patients} patients, and the final analysis of all of them "
            "takes place without being listed"
        )
        what = "events" if getattr(self, "kind", "") == "events" else "patients"
        found: list[Place] = []
        if self.first is not None and self.first >= patients:
            found.append((("first",), f"the first look, at {self.first} {what}, comes after the last patient", hint))
        if self.first is not None and self.last is not None and self.last < self.first:
            found.append((("last",), "the looks end before the first one", "make last at least first"))
        if self.last is not None and self.last > patients:
            found.append((("last",), f"looks up to {self.last} {what} go on after the last patient", hint))
        for position, count in enumerate(self.at or []):
            if count >= patients:
                found.append((("at", position), f"a look at {count} {what} comes after the last patient", hint))
        return found
