"""From probabilities to patients (shared by the rules): which randomisation list carries them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from sps_adaptive.contracts import AllocationRule, Dealer
from sps_adaptive.part import Part
from sps_adaptive.realisation import Independent, PermutedBlock, Quota, RealisationKind, Urn
from sps_adaptive.realisation.blocks import Blocked

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

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


class Realised(Part):
    """How allocation probabilities become a randomisation list.

    In a small trial this matters: with 24 independent draws at probability 1/3 the number on an arm has a
    standard deviation of 2.3 patients; with quotas each block holds the number that the probability asks
    for, rounded up or down at random, so that it is right on average.
    """

    learns: ClassVar[bool] = False

    realisation: Literal["quota", "independent", "permuted_block", "urn"] | RealisationKind = "quota"
    """`quota`: randomisation blocks that follow the probabilities as closely as whole patients allow
    (permuted blocks, where they divide evenly); `independent`: a draw for each patient; or a section with a kind."""
    block: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Patients in a randomisation block; left out: twice the number of arms. After each look a new block begins."""

    @property
    def counts_enrolled(self) -> bool:
        """Whether the probabilities depend on the patients enrolled on each arm; most rules ask for outcomes only."""
        return False

    def usual_block(self, n_arms: int) -> int:
        """Return the length of a randomisation block where none is stated."""
        return 2 * n_arms

    def realisation_kind(self) -> RealisationKind:
        """Return the way to make a list that the rule names."""
        match self.realisation:
            case "quota":
                return Quota(kind="quota", block=self.block)
            case "permuted_block":
                return PermutedBlock(kind="permuted_block", block=self.block)
            case "independent":
                return Independent(kind="independent")
            case "urn":
                return Urn(kind="urn")
        return self.realisation

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
        """Return the length of a randomisation block; 0 for lists without blocks."""
        return self.realisation_kind().block_length(self.usual_block(n_arms))

    def rounded(self, rule: AllocationRule, n_arms: int) -> AllocationRule:
        """Return a rule with the probabilities that the list carries out."""
        return self.realisation_kind().rounded(rule, self.usual_block(n_arms))

    def realised(self, n_arms: int) -> str:
        """Return in plain English how probabilities become a list."""
        return self.realisation_kind().words(self.usual_block(n_arms))

    def dealer(self, n_arms: int, factors: Mapping[str, int]) -> Dealer:
        """Return what makes the randomisation list, of patients told apart by these factors."""
        return self.realisation_kind().dealer(self.usual_block(n_arms), factors)

    def realisation_problems(self, factors: Mapping[str, int]) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return what cannot be about the list, as (path, message, hint)."""
        kind = self.realisation_kind()
        found: list[tuple[tuple[str | int, ...], str, str]] = [
            (("realisation", *path), message, hint) for path, message, hint in kind.problems(factors)
        ]
        if self.block is not None and isinstance(self.realisation, Part) and isinstance(kind, Blocked):
            found.append((("block",), "a block length beside the section of the realisation", "write it in there"))
        elif self.block is not None and kind.kind not in ("quota", "permuted_block", "independent"):
            found.append((("block",), f"{kind.kind} has no randomisation blocks", "leave block out"))
        return found
