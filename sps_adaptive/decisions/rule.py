"""What the rules share: a condition on arms, and what follows where it is met."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Protocol, Self

import numpy as np
from pydantic import Field

from sps_adaptive.arrays import TIE
from sps_adaptive.contracts import AllocationRule, Look, Scale, Stop, Verdict
from sps_adaptive.part import Part
from sps_adaptive.words import listed, percent

if TYPE_CHECKING:
    from jaxtyping import Bool

    from sps_adaptive.contracts import Array

Effect = Literal["claim", "close", "give_up", "promote"]
"""What follows for arms that meet a condition: they are declared effective; they take no more patients; the trial stops
if all of them meet it; the best of them becomes the control."""

Path = tuple[str | int, ...]
"""Keys and positions from a section of the file down."""

Place = tuple[Path, str, str]
"""Something that cannot be: where, what, and a hint."""


class Measured(NamedTuple):
    """What a rule needs to know of its trial to be told in plain English."""

    control: str
    """Name of the control."""
    is_share: bool
    """Whether the endpoint is a share of patients."""
    unit: str
    """Unit of the endpoint, where it has one."""
    others: Mapping[str, Measured] = {}
    """The same of the endpoints beside the primary one, by name."""

    def difference(self, size: float) -> str:
        """Return a difference with its unit."""
        return f"{100 * size:g} percentage points" if self.is_share else f"{size:g} {self.unit}".strip()

    def value(self, size: float) -> str:
        """Return a value with its unit."""
        return percent(size) if self.is_share else f"{size:g} {self.unit}".strip()


class Condition(Protocol):
    """What a conclusion is drawn from."""

    @property
    def effect(self) -> Effect:
        """What follows for arms that meet the condition."""
        ...

    @property
    def reason(self) -> Stop:
        """Why a trial stops in which no experimental arm is left."""
        ...

    @property
    def stops(self) -> bool:
        """Whether the trial stops when the condition is met."""
        ...

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms meet the condition."""
        ...

    def judged(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms are judged."""
        ...


ScaleOf = Callable[[str | None], Scale]
"""Returns the scale of an endpoint by its name; of the primary one for None."""


class Rule(Part):
    """A condition that arms meet or do not, and when it is heard.

    A rule defines `met`; `verdict` draws the conclusion that belongs to its `effect`. Rules with the same effect
    can be joined (`all_of`, `any_of`), because only their conditions are.
    """

    from_look: Annotated[int, Field(ge=1)] = 1
    """First look at which the rule applies (1 is the first); the final analysis always counts as late enough."""
    at_looks: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=1000)] | None = None
    """The looks at which the rule applies, by number, in order; left out: all of them from `from_look` on. The final
    analysis is not in the list, and the rule is heard there if it is one for the final analysis."""

    @property
    def word(self) -> str:
        """What the kind of rule is called in the file: the name of its module."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def effect(self) -> Effect:
        """What follows for arms that meet the condition."""
        raise NotImplementedError

    @property
    def at_final(self) -> bool:
        """Whether the rule also speaks at the final analysis."""
        raise NotImplementedError

    @property
    def reason(self) -> Stop:
        """Why a trial stops in which the rule has closed the last experimental arm."""
        return Stop.FUTILITY

    @property
    def stops(self) -> bool:
        """Whether the trial stops when the rule has declared an arm effective."""
        return False

    @property
    def is_binding(self) -> bool:
        """Whether the type I error may count on the rule being followed."""
        return True

    @property
    def claims_beyond(self) -> float | None:
        """By how much an arm must truly be better to count as effective, if the rule declares arms effective."""
        return None

    @property
    def inner(self) -> tuple[Rule, ...]:
        """The rules that this one joins; none for most."""
        return ()

    def leaves(self) -> Iterator[tuple[Path, Rule]]:
        """Yield the rules that join no others, each with its path from here; the rule itself for most."""
        if not self.inner:
            yield (), self
        for position, rule in enumerate(self.inner):
            for path, leaf in rule.leaves():
                yield ("rules", position, *path), leaf

    def oriented(self, scale_of: ScaleOf) -> Self:
        """Return the rule with its fixed values turned so that larger is better."""
        return self

    def planned(self, fractions: tuple[float, ...]) -> Self:
        """Return the rule for a trial whose looks are planned at these information fractions."""
        return self

    def within(self, rules: Sequence[Rule], allocation: AllocationRule) -> Self:
        """Return the rule of a trial with these rules and this allocation."""
        return self

    def for_final(self) -> Rule:
        """Return the rule of a trial without looks."""
        return self.model_copy(update={"from_look": 1, "at_looks": None})

    def applies(self, look: Look) -> bool:
        """Return whether the rule speaks at this look."""
        return self.at_final if look.is_final else self.heard_at(look.k + 1)

    def heard_at(self, number: int) -> bool:
        """Return whether the rule is heard at a look before the final analysis, by its number from 1."""
        return number >= self.from_look and (self.at_looks is None or number in self.at_looks)

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which of the arms that the rule judges meet its condition."""
        raise NotImplementedError

    def judged(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms the rule judges: the open ones, but for the control."""
        return experimental(look)

    def verdict(self, look: Look) -> Verdict:
        """Return what the rule says."""
        return conclude(self, look) if self.applies(look) else Verdict.silent(look)

    def words(self, measured: Measured) -> str:
        """Return the rule in plain English, without a full stop."""
        raise NotImplementedError

    def sentence(self, measured: Measured) -> str:
        """Return the rule in plain English, with the endpoint that it is about where that is not the primary one."""
        name: str = getattr(self, "endpoint", None) or ""
        return f"on {name}, {self.words(measured.others[name])}" if name in measured.others else self.words(measured)

    def when(self) -> str:
        """Return in plain English at which looks the rule is heard, and that it need not be followed where it need not.

        With a comma before; nothing if it is heard at all of them and binding.
        """
        free = "" if self.is_binding or self.inner else " (not binding)"
        if self.at_looks is not None:
            end = " and at the final analysis" if self.at_final else ""
            return f", at look{'s' * (len(self.at_looks) > 1)} {listed(self.at_looks)}{end}{free}"
        return f", from look {self.from_look}{free}" if self.from_look > 1 else free

    def problems(self, n_looks: int, at_final: bool) -> list[Place]:
        """Return what does not fit the looks of the trial, as (path, message, hint)."""
        found: list[Place] = []
        needed = n_looks + at_final
        if self.from_look > max(needed, 1):
            found.append(
                (
                    ("from_look",),
                    f"the rule begins at look {self.from_look}, but the trial has {n_looks} before the final analysis",
                    f"use a number from 1 to {needed}",
                )
            )
        found += [
            (
                ("at_looks", place),
                f"there is no look {number}: the trial has {n_looks} before the final analysis",
                f"use numbers from 1 to {n_looks}",
            )
            for place, number in enumerate(self.at_looks or [])
            if number > n_looks
        ]
        return found + self._looks_out_of_order()

    def _looks_out_of_order(self) -> list[Place]:
        """Return looks listed that come before `from_look`, or not in order, as (path, message, hint)."""
        numbers, found = self.at_looks or [], list[Place]()
        if early := [number for number in numbers if number < self.from_look]:
            found.append(
                (
                    ("at_looks", numbers.index(early[0])),
                    f"the rule is never heard at look{'s' * (len(early) > 1)} {listed(early)}: from_look is "
                    f"{self.from_look}",
                    "leave out from_look, or these numbers in at_looks",
                )
            )
        for place, (before, number) in enumerate(pairwise(numbers), start=1):
            if number <= before:
                what = f"look {number} is listed twice" if number == before else f"look {number} after look {before}"
                found.append((("at_looks", place), what, "list each look once, in order"))
        return found


class Ignored:
    """A rule that nobody follows, in its place, so that the numbers of the others remain."""

    at_final = False
    reason = Stop.NO

    def applies(self, look: Look) -> bool:
        """Return that the rule is not heard."""
        return False

    def verdict(self, look: Look) -> Verdict:
        """Return that nothing follows."""
        return Verdict.silent(look)


def conclude(rule: Condition, look: Look) -> Verdict:
    """Return what follows from a rule that applies at a look."""
    met, said = rule.met(look), Verdict.silent(look)
    if rule.effect == "claim":
        if not rule.stops:
            return said._replace(claim=met, close=met)
        return said._replace(claim=met, stop=np.where(met.any(axis=1), Stop.EFFICACY, Stop.NO).astype(np.int8))
    if rule.effect == "close":
        stop = np.where(met.any(axis=1) & rule.stops, rule.reason, Stop.NO).astype(np.int8)
        return said if look.is_final else said._replace(close=met, stop=stop)
    if rule.effect == "give_up":
        judged = rule.judged(look)
        hopeless = judged.any(axis=1) & (met | ~judged).all(axis=1)  # without an open arm nothing is hopeless
        return said._replace(stop=np.where(hopeless, rule.reason, Stop.NO).astype(np.int8))
    return promote(said, look, met)


def promote(said: Verdict, look: Look, met: Bool[Array, "R A"]) -> Verdict:
    """Return the claims of arms that beat the control; at a look the best of them takes its place."""
    if look.is_final:
        return said._replace(claim=met)
    better = np.where(met, look.posterior.prob_better(look.control), -1.0)
    best = (better >= better.max(axis=1, keepdims=True) - TIE).argmax(axis=1)  # of equals the first in the file
    there = np.asarray(met.any(axis=1))
    arms = np.arange(met.shape[1])
    chosen = there[:, None] & (arms == best[:, None])
    leaves = there[:, None] & np.equal(arms, look.control)
    return said._replace(claim=chosen, close=leaves, promote=np.where(there, best, -1).astype(np.int8))


def experimental(look: Look) -> Bool[Array, "R A"]:
    """Return which arms are open and not the control."""
    others = look.is_open.copy()
    others[:, look.control] = False
    return others
