"""From probabilities to patients (shared by the rules): which randomisation list carries them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from sps_adaptive.contracts import AllocationRule, Dealer
from sps_adaptive.part import Part
from sps_adaptive.realisation import Independent, PermutedBlock, Quota, RealisationKind, Urn
from sps_adaptive.realisation.blocks import Blocked


class Realised(Part):
    """How allocation probabilities become a randomisation list.

    In a small trial this matters: with 24 independent draws at probability 1/3 the number on an arm has a
    standard deviation of 2.3 patients; with quotas each block holds the number that the probability asks
    for, rounded up or down at random, so that it is right on average.
    """

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
