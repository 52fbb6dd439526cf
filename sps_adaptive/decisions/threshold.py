"""A probability to cross, constant or by look (shared by the rules)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field

from sps_adaptive.arrays import above, below
from sps_adaptive.contracts import Look
from sps_adaptive.decisions.rule import Measured, Place, Rule, ScaleOf
from sps_adaptive.decisions.shape import Shape
from sps_adaptive.part import Name

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array

Probability = Annotated[float, Field(ge=0, le=1)]


def only_against_first(judged: Bool[Array, "R A"], look: Look, first_only: bool) -> Bool[Array, "R A"]:
    """Return the arms judged; none of them if the rule is about the first control and another arm has its place."""
    return np.zeros_like(judged) if first_only and look.control != look.first_control else judged


class Crossing(Rule):
    """A rule that compares a probability of each arm with a threshold."""

    endpoint: Name | None = None
    """The endpoint that the rule is about, for example one of safety; left out: the primary one, which is the first in
    the file."""
    probability: Probability | Annotated[list[Probability], Field(min_length=1)] | Shape
    """The threshold: one number; one for each look and, where the rule speaks there, the final analysis; or a shape."""

    @property
    def asks(self) -> frozenset[str]:
        """The endpoints beside the primary one that the rule must know."""
        return frozenset() if self.endpoint is None else frozenset({self.endpoint})

    @property
    def upper(self) -> bool:
        """Whether the rule speaks above its threshold, and not below it."""
        raise NotImplementedError

    @property
    def by(self) -> float:
        """By how much better than the control, in the good direction, an arm is asked to be."""
        return 0.0

    def better(self, look: Look) -> Float[Array, "R A"]:
        """Return the probability of each arm that the rule is about."""
        raise NotImplementedError

    def compares(self, control: str) -> str:
        """Return what the rule compares with its threshold, as short as in a formula."""
        by = f" by {self.by:g}" if self.by else ""
        return f"P(better than {control}{by})"

    def at(self, look: Look) -> Float[Array, " R"]:
        """Return the threshold at this look."""
        if isinstance(self.probability, Shape):
            return self.probability.at(look.information)
        one = self.probability[look.k] if isinstance(self.probability, list) else self.probability
        return np.full(len(look.is_open), float(one))

    def compared(self, look: Look) -> tuple[Float[Array, "R A"], Float[Array, " R"]]:
        """Return what the rule compares with what, for those who want to follow it."""
        return self.better(look.on(self.endpoint)), self.at(look)

    def exceeds(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms judged are above the threshold."""
        value, threshold = self.compared(look)
        return self.judged(look) & above(value, threshold[:, None])

    def falls_short(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms judged are below the threshold."""
        value, threshold = self.compared(look)
        return self.judged(look) & below(value, threshold[:, None])

    @property
    def stated(self) -> list[float]:
        """The thresholds that stand in the file; none where a shape follows from an error."""
        if isinstance(self.probability, Shape):
            return [] if self.probability.final is None else [self.probability.final]
        return self.probability if isinstance(self.probability, list) else [self.probability]

    @property
    def is_constant(self) -> bool:
        """Whether the threshold is the same at all analyses."""
        if isinstance(self.probability, Shape):
            return self.probability.shape == "pocock"
        return not isinstance(self.probability, list)

    def threshold_at(self, number: int, n_looks: int, fraction: float | None) -> float | None:
        """Return the threshold at an analysis, by its number from 1 and planned information; None if not known."""
        if not isinstance(self.probability, Shape):
            by_look = self.probability if isinstance(self.probability, list) else [self.probability] * number
            return by_look[number - 1] if number <= len(by_look) else None
        fraction = 1.0 if number > n_looks else fraction
        if self.probability.final is None or fraction is None:
            return None
        return float(self.probability.at(np.array([fraction]))[0])

    def with_final(self, threshold: float) -> Self:
        """Return the rule with another threshold at the final analysis; a shape keeps its form, looks their numbers."""
        if isinstance(self.probability, list):
            return self.model_copy(update={"probability": [*self.probability[:-1], threshold]})
        if isinstance(self.probability, Shape):
            moved = self.probability.model_copy(update={"final": threshold, "error": None})
            return self.model_copy(update={"probability": moved})
        return self.model_copy(update={"probability": threshold})

    def planned(self, fractions: tuple[float, ...]) -> Self:
        """Return the rule with a threshold where a type I error is stated."""
        if not isinstance(self.probability, Shape) or self.probability.error is None:
            return self
        heard = [fraction for number, fraction in enumerate(fractions, start=1) if self.heard_at(number)]
        found = self.probability.planned((*heard, *([1.0] if self.at_final else [])))
        return self.model_copy(update={"probability": found})

    def for_final(self) -> Rule:
        """Return the rule of a trial without looks: its threshold is that of the final analysis."""
        last = {} if isinstance(self.probability, float) else {"probability": self.stated[-1]}
        return super().for_final().model_copy(update=last)

    def level(self) -> str:
        """Return the threshold in plain English."""
        if isinstance(self.probability, Shape):
            return self.probability.words()
        if isinstance(self.probability, list):
            return " / ".join(f"{p:g}" for p in self.probability) + " (look by look)"
        return f"{self.probability:g}"

    def problems(self, n_looks: int, at_final: bool) -> list[Place]:
        """Return thresholds that do not fit the looks, as (path, message, hint)."""
        found: list[Place] = []
        needed = n_looks + at_final
        if isinstance(self.probability, list) and len(self.probability) != needed:
            what = f"{n_looks} looks and the final analysis" if at_final else f"{n_looks} looks"
            found.append(
                (
                    ("probability",),
                    f"{len(self.probability)} thresholds for {what}",
                    f"give one number, or a list of {needed}",
                )
            )
        if isinstance(self.probability, Shape):
            problems = self.probability.problems(self.upper)
            found += [(("probability", *path), message, hint) for path, message, hint in problems]
        return found + super().problems(n_looks, at_final)


class Threshold(Crossing):
    """A rule on the probability that an arm is better than the control, the best other arm, or a fixed value."""

    margin: Annotated[float, Field(ge=-1e6, le=1e6)] = 0.0
    """By how much better, in the units of the endpoint, in the good direction."""
    against: Literal["control", "best"] | Annotated[float, Field(ge=-1e6, le=1e6)] = "control"
    """What an arm is compared with: the control; the best of the other open arms, the control among them; or a fixed
    value on the scale of the endpoint."""

    @property
    def by(self) -> float:
        """By how much better an arm is asked to be."""
        return self.margin

    def better(self, look: Look) -> Float[Array, "R A"]:
        """Return the probability that each arm is better by the margin than what it is compared with."""
        if self.against == "control":
            return look.posterior.prob_better(than=look.control, by=self.margin)
        if self.against == "best":
            return look.posterior.prob_best(look.is_open)
        return look.posterior.prob_above(self.against + self.margin)

    def compares(self, control: str) -> str:
        """Return what the rule compares with its threshold, as short as in a formula."""
        if self.against == "best":
            return "P(best)"
        return super().compares(control if self.against == "control" else f"{self.against:g}")

    def oriented(self, scale_of: ScaleOf) -> Self:
        """Return the rule with its fixed value turned so that larger is better."""
        if isinstance(self.against, str):
            return self
        return self.model_copy(update={"against": float(scale_of(self.endpoint).natural(np.array(self.against)))})

    def better_than(self, measured: Measured) -> str:
        """Return in plain English what an arm is better than."""
        margin = f" by more than {measured.difference(self.margin)}" if self.margin else ""
        if self.against == "control":
            return f"better than {measured.control}{margin}"
        if self.against == "best":
            return "the best of the open arms"
        return f"above {measured.value(self.against)}{margin}"

    def problems(self, n_looks: int, at_final: bool) -> list[Place]:
        """Return what cannot be, as (path, message, hint)."""
        found: list[Place] = []
        if self.against == "best" and self.margin != 0:
            found.append(
                (("margin",), "a margin over the best other arm cannot be had", "leave it out, or compare with control")
            )
        return super().problems(n_looks, at_final) + found
