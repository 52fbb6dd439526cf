"""Declaring an arm not much worse than the control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sps_adaptive.contracts import Look
from sps_adaptive.decisions.claim import Claim
from sps_adaptive.decisions.rule import Measured

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class NonInferiority(Claim):
    r"""An open arm is declared non-inferior when it is probably not worse than the control by the margin or more.

    Arm a is claimed if :math:`P(\theta_a > \theta_0 - \text{margin} \mid \text{data}) > \text{probability}`. Use it
    where the control is a treatment that works and the arm has other advantages. The margin must be smaller than what
    the control itself is known to gain over no treatment, or an arm without any effect may pass (ICH E10 2000). A claim
    is right, and an arm counts as effective in the tables, when its true value is above that of the control minus the
    margin; the type I error is that of arms on or beyond the margin.
    """

    kind: Literal["non_inferiority"]
    margin: Annotated[float, Field(gt=0, le=1e6)]
    """By how much worse an arm must not be, in the units of the endpoint."""

    @property
    def by(self) -> float:
        """By how much better an arm is asked to be: less than nothing."""
        return -self.margin

    def better(self, look: Look) -> Float[Array, "R A"]:
        """Return the probability that each arm is not worse by the margin."""
        return look.posterior.prob_better(than=look.control, by=-self.margin)

    def words(self, measured: Measured) -> str:
        """Return the rule in plain English, without a full stop."""
        worse = f"at most {measured.difference(self.margin)} worse than {measured.control}"
        return (
            f"an arm is declared effective, here meaning non-inferior, when it is {worse} with probability above "
            f"{self.level()}{self.when()}{self.conclusion()}"
        )
