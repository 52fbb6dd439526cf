"""Rules joined to one (shared by `all_of` and `any_of`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field

from sps_adaptive.contracts import AllocationRule, Stop
from sps_adaptive.decisions.rule import Effect, Measured, Place, Rule, ScaleOf

if TYPE_CHECKING:
    from sps_adaptive.decisions import DecisionKind


class Joined(Rule):
    """A rule made of the conditions of others, which have the same consequence."""

    rules: list[DecisionKind] = Field(min_length=2, max_length=20)
    """The rules whose conditions are joined. They must have the same consequence; each keeps its own looks."""

    @property
    def inner(self) -> tuple[Rule, ...]:
        """The rules that this one joins."""
        return tuple(self.rules)

    def of(self, rules: Sequence[Any]) -> Self:
        """Return the same rule joining others: such as are bound to their trial, and stand in no file, among them."""
        return self.model_copy(update={"rules": list(rules)})

    @property
    def effect(self) -> Effect:
        """What the joined rules have in common."""
        return self.rules[0].effect

    @property
    def reason(self) -> Stop:
        """Why a trial stops in which the rule has closed the last experimental arm."""
        return self.rules[0].reason

    @property
    def stops(self) -> bool:
        """Whether the trial stops."""
        return self.rules[0].stops

    @property
    def is_binding(self) -> bool:
        """Whether the joined rules must be followed."""
        return self.rules[0].is_binding

    def oriented(self, scale_of: ScaleOf) -> Self:
        """Return the rule with the fixed values of all rules turned."""
        return self.of([rule.oriented(scale_of) for rule in self.rules])

    def planned(self, fractions: tuple[float, ...]) -> Self:
        """Return the rule for a trial whose looks are planned."""
        return self.of([rule.planned(fractions) for rule in self.rules])

    def within(self, rules: Sequence[Rule], allocation: AllocationRule) -> Self:
        """Return the rule with all rules bound to their trial."""
        return self.of([rule.within(rules, allocation) for rule in self.rules])

    def for_final(self) -> Rule:
        """Return the rule of a trial without looks: what is not for the final analysis is left out."""
        last = [rule.for_final() for rule in self.rules if rule.at_final]
        return self.model_copy(update={"from_look": 1, "at_looks": None, "rules": last})

    def told(self, measured: Measured, word: str) -> str:
        """Return the rules in plain English, one after the other."""
        each = f"; {word} ".join(f"({rule.sentence(measured)})" for rule in self.rules)
        return f"{each}{self.when()}"

    def problems(self, n_looks: int, at_final: bool) -> list[Place]:
        """Return what cannot be, with that of the joined rules, as (path, message, hint)."""
        found = super().problems(n_looks, at_final)
        for position, rule in enumerate(self.rules):
            inner = rule.problems(n_looks, rule.at_final)
            found += [(("rules", position, *path), message, hint) for path, message, hint in inner]
        return found
