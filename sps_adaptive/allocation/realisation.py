"""From probabilities to patients (shared by the rules)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from sps_adaptive.contracts import AllocationRule, Cohort, Dealer
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array, Look


Problems = list[tuple[tuple[str | int, ...], str, str]]
"""What cannot be, as (path below the allocation, message, hint)."""


class Setting(NamedTuple):
    """What a rule must know of a trial to say whether it has a place in it."""

    arms: tuple[str, ...]
    n_looks: int | None
    """Looks before the final analysis; None where they are ill-defined themselves."""
    is_binary: bool
    """Whether the endpoint is yes or no."""


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

    learns: ClassVar[bool] = False

    realisation: Literal["quota", "independent"] = "quota"
    """`quota`: randomisation blocks that follow the probabilities as closely as whole patients allow
    (permuted blocks, where they divide evenly); `independent`: a draw for each patient."""
    block: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Patients in a randomisation block; left out: twice the number of arms. After each look a new block begins."""

    @property
    def counts_enrolled(self) -> bool:
        """Whether the probabilities depend on the patients enrolled on each arm; most rules ask for outcomes only."""
        return False

    def bound_to_size(self) -> str | None:
        """Return what makes this another rule in a trial with more patients, in a word; None if nothing does."""
        return None

    def bound_to_scale(self) -> str | None:
        """Return what ties the probabilities to the unit of a continuous endpoint, in a sentence; None if nothing."""
        return None

    def bind(self, arms: tuple[str, ...]) -> AllocationRule:
        """Return the rule for a trial with these arms; most rules do not ask for their names."""
        return self

    def start(self, is_open: Bool[Array, "R A"], control: int) -> Float[Array, "R A"]:
        """Return the probabilities before any look."""
        raise NotImplementedError

    def probabilities(self, look: Look) -> Float[Array, "R A"]:
        """Return the probabilities after a look: rows sum to 1, closed arms get 0."""
        raise NotImplementedError

    def problems(self, setting: Setting) -> Problems:
        """Return what cannot be about the rule in a trial."""
        return []

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
