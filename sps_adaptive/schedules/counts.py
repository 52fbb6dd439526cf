"""Looks at numbers of patients: which numbers (shared by `enrolled` and `assessed`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from sps_adaptive.part import Part

Count = Annotated[int, Field(ge=1, le=100_000)]


class AtCounts(Part):
    """Numbers of patients, as a regular series or as a list."""

    first: Count | None = None
    """Number of patients at the first look."""
    every: Count | None = None
    """Number of patients from one look to the next; left out: one look only."""
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

    def n_looks(self, patients: int) -> int:
        """Return the number of looks before the final analysis."""
        return len(self.counts(patients))

    def problems(self, patients: int) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return looks that can never take place, as (path, message, hint)."""
        hint = (
            f"the trial enrols at most {patients} patients, and the final analysis of all of them "
            "takes place without being listed"
        )
        found: list[tuple[tuple[str | int, ...], str, str]] = []
        if self.first is not None and self.first >= patients:
            found.append((("first",), f"the first look, at {self.first} patients, comes after the last patient", hint))
        if self.first is not None and self.last is not None and self.last < self.first:
            found.append((("last",), "the looks end before the first one", "make last at least first"))
        if self.last is not None and self.last > patients:
            found.append((("last",), f"looks up to {self.last} patients go on after the last patient", hint))
        for position, count in enumerate(self.at or []):
            if count >= patients:
                found.append((("at", position), f"a look at {count} patients comes after the last patient", hint))
        return found
