"""What the ways to make a randomisation list share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import SITE, AllocationRule, Cohort, Dealer
from sps_adaptive.part import Part
from sps_adaptive.words import listed

if TYPE_CHECKING:
    from jaxtyping import Int

    from sps_adaptive.contracts import Array

Block = Annotated[int, Field(ge=1, le=1000)]
Factors = Annotated[list[Annotated[str, Field(min_length=1, max_length=60)]], Field(min_length=1, max_length=20)]
Problems = list[tuple[tuple[str | int, ...], str, str]]


class Realisation(Part):
    """How allocation probabilities become a randomisation list."""

    remembers: ClassVar[str] = ""
    """What a list looks back on that sums over all paths do not keep, in words; empty if nothing."""

    def block_length(self, usual: int) -> int:
        """Return the length of a randomisation block, `usual` where none is stated; 0 for lists without blocks."""
        return 0

    def dealer(self, usual: int, factors: Mapping[str, int]) -> Dealer:
        """Return what makes the randomisation list.

        Parameters
        ----------
        usual
            Length of a randomisation block where none is stated.
        factors
            The factors that patients are told apart by, with the number of levels of each, in the order of
            `Cohort.strata`; and after them the site.
        """
        raise NotImplementedError

    def rounded(self, rule: AllocationRule, usual: int) -> AllocationRule:
        """Return the allocation rule as this list carries it out: by default as it is."""
        return rule

    def words(self, usual: int) -> str:
        """Return in plain English how probabilities become a list."""
        raise NotImplementedError

    def balances(self) -> tuple[str, ...]:
        """Return the factors between whose levels the arms are balanced."""
        return ()

    def problems(self, factors: Mapping[str, int]) -> Problems:
        """Return what cannot be about the factors, as (path, message, hint)."""
        found: Problems = []
        for position, name in enumerate(self.balances()):
            if name not in factors:
                covariates = [each for each in factors if each != SITE]
                known = f"population.covariates has: {listed(covariates)}" if covariates else "state it there"
                found.append(
                    (("factors", position), f"there is no '{name}' in population.covariates", f"{known}; or {SITE}")
                )
            elif name in self.balances()[:position]:
                found.append((("factors", position), f"'{name}' stands there twice", "name each factor once"))
        return found


def levels(cohort: Cohort, columns: tuple[int, ...]) -> Int[Array, "R N F"]:
    """Return the levels of some factors; the column after the last covariate is the site."""
    site = cohort.strata.shape[2]
    chosen = [cohort.site if column == site else cohort.strata[:, :, column] for column in columns]
    return np.stack(chosen, axis=2).astype(np.int64)
