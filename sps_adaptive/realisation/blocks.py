"""Randomisation lists without memory, of blocks or of independent draws; and their share of a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from sps_adaptive.contracts import Cohort, Dealer
from sps_adaptive.realisation.realisation import Block, Realisation

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array


class Blocks(NamedTuple):
    """Randomisation lists of blocks, or of independent draws."""

    length: int
    """Patients in a block; 0 for independent draws."""

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
        from sps_adaptive.timeline import deal, positions

        return deal(arm, probabilities, positions(cohort, start, self.length), start)


class Blocked(Realisation):
    """Lists of randomisation blocks."""

    block: Block | None = None
    """Patients in a randomisation block; left out: twice the number of arms. After each look a new block begins."""

    def block_length(self, usual: int) -> int:
        """Return the length of a randomisation block."""
        return self.block or usual

    def dealer(self, usual: int, factors: Mapping[str, int]) -> Dealer:
        """Return what makes the randomisation list."""
        return Blocks(self.block_length(usual))
