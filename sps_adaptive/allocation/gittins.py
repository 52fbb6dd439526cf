"""Randomisation by the forward-looking Gittins index: what is best for the patients in the trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

from pydantic import Field

from sps_adaptive.allocation.bounded import Bounded
from sps_adaptive.allocation.realisation import Problems, Setting
from sps_adaptive.contracts import Look

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array, ProportionPosterior


class Gittins(Bounded):
    r"""Arms get patients as the Gittins rule would give them to the next b patients, on average.

    .. math:: \pi_a = \frac{1}{b} E\left[\text{number of the next b patients whom the Gittins rule sends to arm } a
        \mid \text{data} \right]

    The Gittins rule gives each patient the arm with the highest index, which is the mean of its posterior plus what
    learning about it is worth to the patients to come (Gittins and Jones 1974); with responses that count d times as
    much with every patient they come later, it has the most of them. Looking ahead over the b patients of a block makes
    a randomised rule of it (Villar, Wason and Bowden 2015). The expectation is a sum over all courses of the block,
    where the authors and other programs simulate.

    Few patients fail, and few learn: the control hardly gets any patients, so that the power against it collapses.
    `controlled` sets its equal share aside and divides the rest by the rule among the experimental arms. Use it where
    the patients in the trial are most of those who will ever be treated, and as the yardstick of what the others
    leave on the table. For outcomes that are yes or no.

    References
    ----------
    Villar SS, Wason J, Bowden J (2015). Response-adaptive randomization for multi-arm clinical trials using the forward
    looking Gittins index rule. Biometrics 71:969-978.
    """

    kind: Literal["gittins"]
    ahead: Annotated[int, Field(ge=1, le=15)] = 6
    """The patients b to look ahead to: as many as are enrolled between two looks."""
    discount: Annotated[float, Field(gt=0, le=0.999)] = 0.99
    """The weight d of a response one patient later: 0.99 looks ahead to some hundred patients."""
    controlled: bool = False
    """Whether the control keeps an equal share of the patients, 1 / K beside K - 1 other open arms."""

    def weights(self, look: Look) -> Float[Array, "R A"]:
        """Return the expected parts of the next patients."""
        from sps_adaptive.allocation.gittins_index import (
            controlled_flgi_probabilities,
            flgi_probabilities,
            gittins_tables,
        )

        among = look.is_open
        if self.control_share not in (None, "matched"):  # the control stands beside the rule
            among = look.is_open.copy()
            among[:, look.control] = False
        posterior = cast("ProportionPosterior", look.posterior)
        known, successes = posterior.counts()
        tables = gittins_tables(posterior.priors, self.discount, look.patients + self.ahead)
        if self.controlled:
            return controlled_flgi_probabilities(
                successes, known - successes, look.is_open, tables, self.ahead, look.control
            )
        return flgi_probabilities(successes, known - successes, among, tables, self.ahead)

    @property
    def protects_control(self) -> bool:
        """Whether the control gets its patients even where it looks bad."""
        return self.controlled or super().protects_control

    def problems(self, setting: Setting) -> Problems:
        """Return bounds that cannot be kept, an endpoint without an index, and a second protection of the control."""
        found = super().problems(setting)
        if not setting.is_binary:
            found.append((("kind",), "the Gittins index here is one of outcomes that are yes or no", "use thompson"))
        if self.controlled and self.control_share is not None:
            found.append((("control_share",), "the controlled rule has a share for the control", "leave it out"))
        if 2 * len(setting.arms) * max((self.ahead - 1).bit_length(), 1) > 62:
            found.append(
                (
                    ("ahead",),
                    f"looking {self.ahead} patients ahead on {len(setting.arms)} arms has too many courses",
                    "use a smaller number",
                )
            )
        return found

    def in_proportion_to(self) -> str:
        """Return in plain English what the weights are."""
        return (
            f"what the Gittins rule (discount {self.discount:g}) would give the next {self.ahead} patients, on average"
        )

    def control_in_words(self) -> str:
        """Return in plain English what the control gets."""
        return "the control keeps an equal share" if self.controlled else super().control_in_words()
