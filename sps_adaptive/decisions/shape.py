"""Thresholds that fall as information grows (shared by the rules)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field

from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array
    from sps_adaptive.decisions.rule import Place

DELTAS = {"obrien_fleming": 0.0, "pocock": 0.5}
"""The shapes of Wang and Tsiatis that have names of their own."""


class Shape(Part):
    r"""A threshold on a probability that depends on how much is known.

    With information fraction t - known outcomes as a share of all patients, 1 at the final analysis - the threshold is

    .. math:: \Phi\bigl(c\, t^{\Delta - 1/2}\bigr), \qquad c = \Phi^{-1}(\text{final}),

    the group-sequential boundary of Wang and Tsiatis (1987) on the scale of a posterior probability: with a flat prior
    and normal outcomes of known spread, a probability above it is a z-value above :math:`c\,t^{\Delta - 1/2}`. O'Brien
    and Fleming (1979) have :math:`\Delta = 0`: hard to cross early. Pocock (1977) has :math:`\Delta = 1/2`: always the
    same. Rules that speak below their threshold have a `final` below one half, and the mirrored form: they too are
    careful early. Fractions are those of the looks as they take place, whatever was planned.
    """

    shape: Literal["obrien_fleming", "pocock", "wang_tsiatis"]
    """The form: `obrien_fleming`, `pocock`, or `wang_tsiatis` with a delta of one's own."""
    delta: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Of `wang_tsiatis`: 0 is O'Brien and Fleming, 0.5 Pocock, and 0.25 lies between them."""
    final: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The threshold at the final analysis."""
    error: Annotated[float, Field(ge=1e-9, lt=0.5)] | None = None
    """In place of `final`: the one-sided type I error of one comparison over all analyses at which the rule is heard,
    with normal outcomes of known spread, a flat prior and no difference, if the information is as planned: patients
    enrolled or assessed at each look as a share of all. No other rule is taken into account. Smaller errors than 1e-9
    would need thresholds that cannot be told from 1."""

    @property
    def exponent(self) -> float:
        """Delta, whatever the shape is called."""
        return DELTAS.get(self.shape, 0.0 if self.delta is None else self.delta)

    def at(self, fraction: Float[Array, " R"]) -> Float[Array, " R"]:
        """Return the threshold at these information fractions."""
        from scipy.special import ndtri

        from sps_adaptive.decisions.boundaries import shape_threshold

        if self.final is None:
            raise TypeError("a shape with a type I error has a threshold only when its looks are planned")
        if self.final == 0.5:
            return np.full(fraction.shape, 0.5)
        if self.final < 0.5:
            return np.asarray(1 - shape_threshold(float(-ndtri(self.final)), self.exponent, fraction))
        return np.asarray(shape_threshold(float(ndtri(self.final)), self.exponent, fraction))

    def planned(self, fractions: tuple[float, ...]) -> Self:
        """Return the shape with the final threshold that has the type I error stated, at planned fractions."""
        from scipy.special import ndtr

        from sps_adaptive.decisions.boundaries import wang_tsiatis_constant

        if self.error is None:
            return self
        constant = wang_tsiatis_constant(self.exponent, sorted(set(fractions)), self.error)
        return self.model_copy(update={"final": float(ndtr(constant)), "error": None})

    def problems(self, upper: bool) -> list[Place]:
        """Return what cannot be, as (path, message, hint); `upper`: for a rule that speaks above its threshold."""
        found: list[Place] = []
        if (self.final is None) == (self.error is None):
            what = "neither final nor error is given" if self.final is None else "final and error are both given"
            found.append(((), what, "give the threshold at the final analysis, or its type I error"))
        if (self.delta is None) == (self.shape == "wang_tsiatis"):
            what = "'delta' is missing" if self.delta is None else f"{self.shape} has its own delta"
            found.append((() if self.delta is None else ("delta",), what, "wang_tsiatis takes a delta, others do not"))
        if self.error is not None and not upper:
            found.append((("error",), "a rule that gives up has no type I error", "give final, the last threshold"))
        if self.final is not None and self.exponent != DELTAS["pocock"] and (self.final - 0.5) * (upper - 0.5) <= 0:
            side, does = ("above", "declares effective") if upper else ("below", "gives up")
            found.append(
                (
                    ("final",),
                    f"{self.final:g} cannot be the last threshold of a shape that is harder to cross early",
                    f"a rule that {does} takes a number {side} 0.5 here",
                )
            )
        return found

    def words(self) -> str:
        """Return the threshold in plain English."""
        names = {"obrien_fleming": "O'Brien and Fleming", "pocock": "Pocock"}
        name = names.get(self.shape, f"Wang and Tsiatis, delta {self.exponent:g}")
        if self.final is None:
            return f"a threshold in the shape of {name} with a one-sided type I error of {self.error:g} a comparison"
        return f"a threshold that ends at {self.final:g} in the shape of {name}"
