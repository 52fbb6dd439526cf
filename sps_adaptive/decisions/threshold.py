"""A probability to cross, constant or by look (shared by the rules)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field

from sps_adaptive.arrays import above, below
from sps_adaptive.contracts import Endpoint, Look
from sps_adaptive.decisions.rule import Measured, Place, Rule

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array

Probability = Annotated[float, Field(ge=0, le=1)]


def only_against_first(judged: Bool[Array, "R A"], look: Look, first_only: bool) -> Bool[Array, "R A"]:
    """Return the arms judged; none of them if the rule is about the first control and another arm has its place."""
    return np.zeros_like(judged) if first_only and look.control != look.first_control else judged


class Threshold(Rule):
    """A rule on the probability that an arm is better than the control, the best other arm, or a fixed value."""

    margin: Annotated[float, Field(ge=-1e6, le=1e6)] = 0.0
    """By how much better, in the units of the endpoint, in the good direction."""
    against: Literal["control", "best"] | Annotated[float, Field(ge=-1e6, le=1e6)] = "control"
    """What an arm is compared with: the control; the best of the other open arms, the control among them; or a fixed
    value on the scale of the endpoint."""
    probability: Probability | Annotated[list[Probability], Field(min_length=1)]
    """The threshold: one number, or one for each look and, where the rule speaks there, the final analysis."""

    def at(self, look: Look) -> Float[Array, " R"]:
        """Return the threshold at this look."""
        one = self.probability[look.k] if isinstance(self.probability, list) else self.probability
        return np.full(len(look.is_open), float(one))

    def better(self, look: Look) -> Float[Array, "R A"]:
        """Return the probability that each arm is better by the margin than what it is compared with."""
        if self.against == "control":
            return look.posterior.prob_better(than=look.control, by=self.margin)
        if self.against == "best":
            return look.posterior.prob_best(look.is_open)
        return look.posterior.prob_above(self.against + self.margin)

    def compared(self, look: Look) -> tuple[Float[Array, "R A"], Float[Array, " R"]]:
        """Return what the rule compares with what, for those who want to follow it."""
        return self.better(look), self.at(look)

    def exceeds(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms judged are above the threshold."""
        value, threshold = self.compared(look)
        return self.judged(look) & above(value, threshold[:, None])

    def falls_short(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms judged are below the threshold."""
        value, threshold = self.compared(look)
        return self.judged(look) & below(value, threshold[:, None])

    def oriented(self, endpoint: Endpoint) -> Self:
        """Return the rule with its fixed value turned so that larger is better."""
        if isinstance(self.against, str):
            return self
        return self.model_copy(update={"against": float(endpoint.natural(np.array(self.against)))})

    def for_final(self) -> Threshold:
        """Return the rule of a trial without looks: its threshold is that of the final analysis."""
        last = {"probability": self.probability[-1]} if isinstance(self.probability, list) else {}
        return self.model_copy(update={"from_look": 1, "at_looks": None, **last})

    def level(self) -> str:
        """Return the threshold in plain English."""
        if isinstance(self.probability, list):
            return " / ".join(f"{p:g}" for p in self.probability) + " (look by look)"
        return f"{self.probability:g}"

    def better_than(self, measured: Measured) -> str:
        """Return in plain English what an arm is better than."""
        margin = f" by more than {measured.difference(self.margin)}" if self.margin else ""
        if self.against == "control":
            return f"better than {measured.control}{margin}"
        if self.against == "best":
            return "the best of the open arms"
        return f"above {measured.value(self.against)}{margin}"

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
        if self.against == "best" and self.margin != 0:
            found.append(
                (("margin",), "a margin over the best other arm cannot be had", "leave it out, or compare with control")
            )
        return found + super().problems(n_looks, at_final)
