"""A randomisation list for each stratum."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import Cohort, Dealer
from sps_adaptive.realisation.blocks import Blocked
from sps_adaptive.realisation.realisation import Factors, Problems, levels

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

MOST_STRATA = 10_000
"""More strata than this are a mistake: each would hold less than a patient."""


class Stratified(Blocked):
    """Randomisation blocks that follow the probabilities, a list of them for each combination of levels of the factors.

    Each stratum has a list of its own, of blocks as `quota` deals them; they are always of full length, since nobody
    knows how many patients of a stratum are still to come. Balance within strata is close, but the blocks that stay
    unfinished add up: with nearly as many strata as patients the arms are balanced hardly better than by independent
    draws (Pocock and Simon 1975), and `minimisation` is the way out. After each look all strata begin new blocks, as
    the probabilities may have changed; with looks more frequent than a stratum fills a block, little balance is left.

    Stratifying gains power where the covariates are prognostic and the analysis adjusts for them; where no truth gives
    them effects it changes balance only.
    """

    remembers: ClassVar[str] = "the stratum of each patient"

    kind: Literal["stratified"]
    factors: Factors
    """Covariates of the population, by name, or `site`."""
    block: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Patients in a randomisation block of a stratum; left out: twice the number of arms."""

    def balances(self) -> tuple[str, ...]:
        """Return the factors between whose levels the arms are balanced."""
        return tuple(self.factors)

    def strata(self, factors: Mapping[str, int]) -> int:
        """Return the number of strata."""
        return prod(factors[name] for name in self.factors)

    def dealer(self, usual: int, factors: Mapping[str, int]) -> Dealer:
        """Return what makes the randomisation list."""
        columns = tuple(list(factors).index(name) for name in self.factors)
        return StratifiedList(columns, tuple(factors[name] for name in self.factors), self.block_length(usual))

    def words(self, usual: int) -> str:
        """Return in plain English how probabilities become a list."""
        return (
            f"in randomisation blocks of {self.block_length(usual)} within each stratum of {' by '.join(self.factors)}"
        )

    def problems(self, factors: Mapping[str, int]) -> Problems:
        """Return what cannot be about the factors, as (path, message, hint)."""
        found = super().problems(factors)
        if not found and self.strata(factors) > MOST_STRATA:
            found.append(
                (
                    ("factors",),
                    f"{self.strata(factors):,} strata, more than {MOST_STRATA:,}",
                    "take fewer factors, or minimisation",
                )
            )
        return found


class StratifiedList(NamedTuple):
    """Randomisation lists of blocks within strata."""

    columns: tuple[int, ...]
    """Where the factors stand in `Cohort.strata`; one after the last is the site."""
    sizes: tuple[int, ...]
    """Levels of each factor."""
    block: int

    @property
    def keeps_account(self) -> bool:
        """Whether the list asks what the arms are owed."""
        return False

    def deal(
        self,
        arm: Int[Array, "R N"],
        probabilities: Float[Array, "R A"],
        cohort: Cohort,
        start: Int[Array, " R"],
        owed: Float[Array, "R A"],
    ) -> Int[Array, "R N"]:
        """Return the arms with everybody from `start` on dealt again; the others keep theirs."""
        from sps_adaptive.realisation.kernels import spread_in_strata
        from sps_adaptive.timeline import deal

        place = np.zeros(cohort.u_arm.shape)
        stratum = np.zeros(arm.shape, np.int64)
        for size, level in zip(self.sizes, np.moveaxis(levels(cohort, self.columns), 2, 0), strict=True):
            stratum = stratum * size + level
        spread_in_strata(place, cohort.u_arm, cohort.u_block, start, stratum, prod(self.sizes), self.block)
        return deal(arm, probabilities, place, start)
