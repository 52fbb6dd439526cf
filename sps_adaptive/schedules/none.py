"""No look before the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sps_adaptive.contracts import Cohort, Outcome
from sps_adaptive.part import Part

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

    def words(self, patients: int) -> str:
        """Return in plain English when the looks are; nothing if there are none."""
        return ""

    def day(self, index: int, cohort: Cohort, outcome: Outcome, after: Float[Array, " R"]) -> Float[Array, " R"]:
        """Never called."""
        raise IndexError("a fixed design has no looks")

    def problems(self, patients: int) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return nothing: no look can be wrong."""
        return []
