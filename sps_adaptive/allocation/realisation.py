"""From probabilities to patients (shared by the rules)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field

from sps_adaptive.contracts import Cohort, Dealer
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array


class Blocks(NamedTuple):
    """Randomisation lists of blocks, or of independent draws."""

    length: int
    """Patients in a block; 0 for independent draws."""

    def deal(
        self, arm: Int[Array, "R N"], probabilities: Float[Array, "R A"], cohort: Cohort, start: Int[Array, " R"]
    ) -> Int[Array, "R N"]:
        """Return the arms with everybody from `start` on dealt again; the others keep theirs."""
        from sps_adaptive.timeline import deal, positions

        return deal(arm, probabilities, positions(cohort, start, self.length), start)


class Realised(Part):
    """How allocation probabilities become a randomisation list.

    In a small trial this matters: with 24 independent draws at probability 1/3 the number on an arm has a
    standard deviation of 2.3 patients; with quotas each block holds the number that the probability asks
    for, rounded up or down at random, so that it is right on average.
    """

    realisation: Literal["quota", "independent"] = "quota"
    """`quota`: randomisation blocks that follow the probabilities as closely as whole patients allow
    (permuted blocks, where they divide evenly); `independent`: a draw for each patient."""
    block: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Patients in a randomisation block; left out: twice the number of arms. After each look a new block begins."""

    @property
    def counts_enrolled(self) -> bool:
        """Whether the probabilities depend on the patients enrolled on each arm; most rules ask for outcomes only."""
        return False

    def block_length(self, n_arms: int) -> int:
        """Return the length of a randomisation block; 0 for independent draws."""
        return 0 if self.realisation == "independent" else self.block or 2 * n_arms

    def realised(self, n_arms: int) -> str:
        """Return in plain English how probabilities become a list."""
        block = self.block_length(n_arms)
        return f"in randomisation blocks of {block}" if block else "by independent draws"

    def dealer(self, n_arms: int) -> Dealer:
        """Return what makes the randomisation list."""
        return Blocks(self.block_length(n_arms))
