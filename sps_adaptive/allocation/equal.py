"""The same probability for every open arm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sps_adaptive.allocation.bounds import share_equally
from sps_adaptive.allocation.realisation import Realised
from sps_adaptive.contracts import Look

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array


class Equal(Realised):
    """Equal randomisation among the arms that are open.

    The benchmark of every adaptive rule. With quotas and a block that is a multiple of the number of open arms these
    are permuted blocks; arms that close leave their share to the others.
    """

    kind: Literal["equal"]

    def start(self, is_open: Bool[Array, "R A"], control: int) -> Float[Array, "R A"]:
        """Return equal probabilities."""
        return share_equally(is_open)

    def words(self, arms: tuple[str, ...]) -> str:
        """Return the rule in plain English, without a full stop."""
        return "equal"

    def probabilities(self, look: Look) -> Float[Array, "R A"]:
        """Return equal probabilities for the arms still open."""
        return share_equally(look.is_open)
