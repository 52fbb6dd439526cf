"""Keeping the best arms only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sps_adaptive.arrays import above
from sps_adaptive.contracts import Look
from sps_adaptive.decisions.rule import Effect, Measured, Rule

if TYPE_CHECKING:
    from jaxtyping import Bool

    from sps_adaptive.contracts import Array


class Prune(Rule):
    r"""Only the most promising experimental arms go on; the others close.

    At a look where the rule is heard, experimental arm a closes if at least `keep` other open experimental arms have a
    larger posterior probability of being the best of the open experimental arms; ties keep more. However weak the
    evidence, so many arms go on: selection in stages with a planned number of arms for each (Thall, Simon and
    Ellenberg 1988 keep one; Magirr, Jaki and Whitehead 2012 treat several stages). Say at which looks with `at_looks`,
    and add one rule for each stage. The patients of closed arms are followed to the end. The rule does not apply to the
    final analysis.
    """

    kind: Literal["prune"]
    keep: Annotated[int, Field(ge=1, le=49)]
    """How many experimental arms go on."""

    @property
    def effect(self) -> Effect:
        """The arm takes no more patients."""
        return "close"

    @property
    def at_final(self) -> bool:
        """Nothing is left to close at the final analysis."""
        return False

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms have enough better ones."""
        judged = self.judged(look)
        among = judged | (look.is_open & ~judged.any(axis=1, keepdims=True))  # nobody is best of no arms
        best = look.posterior.prob_best(among)
        ahead = above(best[:, None, :], best[:, :, None]) & judged[:, None, :]
        return judged & (ahead.sum(axis=2) >= self.keep)

    def words(self, measured: Measured) -> str:
        """Return the rule in plain English, without a full stop."""
        which = "only the best experimental arm goes" if self.keep == 1 else f"only the best {self.keep} arms go"
        return f"{which} on, by the probability of being the best experimental arm{self.when()}; the others close"
