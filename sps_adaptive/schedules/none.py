"""No look before the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sps_adaptive.contracts import Cohort, Outcome
from sps_adaptive.part import Part
from sps_adaptive.schedules.schedule import Directed, Place

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class NoLooks(Part):
    """A fixed design: the data are analysed once, after everyone's follow-up.

    Nothing can adapt or stop. The benchmark of every run is such a design.
    """

    kind: Literal["none"]

    def n_looks(self, patients: int) -> int:
        """Return 0."""
        return 0

    def bind(self, endpoint: Directed) -> NoLooks:
        """Return the schedule itself."""
        return self

    def words(self, patients: int) -> str:
        """Return in plain English when the looks are; nothing if there are none."""
        return ""

    def day(self, index: int, cohort: Cohort, outcome: Outcome, after: Float[Array, " R"]) -> Float[Array, " R"]:
        """Never called."""
        raise IndexError("a fixed design has no looks")

    def analysed(self, due: Float[Array, " R"], cohort: Cohort, outcome: Outcome) -> Float[Array, " R"]:
        """Never called."""
        raise IndexError("a fixed design has no looks")

    def problems(self, patients: int) -> list[Place]:
        """Return nothing: no look can be wrong."""
        return []
