"""A probability to cross, constant or by look (shared by the rules)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import Look
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array

Probability = Annotated[float, Field(ge=0, le=1)]


class Threshold(Part):
    """A rule on the probability that an arm is better than the control by a margin."""

    margin: Annotated[float, Field(ge=-1e6, le=1e6)] = 0.0
    """By how much better than the control, in the units of the endpoint, in the good direction."""
    probability: Probability | Annotated[list[Probability], Field(min_length=1)]
    """The threshold: one number, or one for each look and, where the rule speaks there, the final analysis."""
    from_look: Annotated[int, Field(ge=1)] = 1
    """First look at which the rule applies (1 is the first); the final analysis always counts as late enough."""

    def applies(self, look: Look) -> bool:
        """Return whether the rule speaks at this look."""
        return look.is_final or look.k + 1 >= self.from_look

    def at(self, look: Look) -> float:
        """Return the threshold at this look."""
        return self.probability[look.k] if isinstance(self.probability, list) else self.probability

    def better(self, look: Look) -> Float[Array, "R A"]:
        """Return the probability that each arm beats the control by the margin."""
        return look.posterior.prob_better(than=look.control, by=self.margin)

    def compared(self, look: Look) -> tuple[Float[Array, "R A"], Float[Array, " R"]]:
        """Return what the rule compares with what, for those who want to follow it."""
        return self.better(look), np.full(len(look.is_open), self.at(look))

    def problems(self, n_looks: int, at_final: bool) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return thresholds that do not fit the looks, as (path, message, hint)."""
        found: list[tuple[tuple[str | int, ...], str, str]] = []
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
        if self.from_look > max(needed, 1):
            found.append(
                (
                    ("from_look",),
                    f"the rule begins at look {self.from_look}, but the trial has {n_looks} before the final analysis",
                    f"use a number from 1 to {needed}",
                )
            )
        return found


def experimental(look: Look) -> Bool[Array, "R A"]:
    """Return which arms are open and not the control."""
    others = look.is_open.copy()
    others[:, look.control] = False
    return others


def nobody(look: Look) -> Bool[Array, "R A"]:
    """Return False for every arm."""
    return np.zeros(look.is_open.shape, bool)
