"""Randomisation towards an estimated target with the smallest possible variance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.allocation.bounded import Bounded
from sps_adaptive.allocation.realisation import Problems, Setting
from sps_adaptive.allocation.targets import WORDS, Target, compares_sds, needs_rates, proportions, target
from sps_adaptive.arrays import above, below
from sps_adaptive.contracts import Look

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class Erade(Bounded):
    r"""The efficient randomised-adaptive design: a coin of one fixed bias towards the arm that is short of its target.

    With the estimated target :math:`\rho_a` and the proportion :math:`x_a` of patients enrolled on arm a,

    .. math:: \pi_a = \begin{cases} \alpha \rho_a & x_a > \rho_a \\ \rho_a & x_a = \rho_a \\
        1 - \alpha (1 - \rho_a) & x_a < \rho_a \end{cases}

    (Hu, Zhang and He 2009). As the trial grows, the variance of the proportions comes down to the lower bound among
    all rules with this target. A small :math:`\alpha` keeps closer to the target; below 0.4 assignments become too
    easy to guess. It is for two arms. What is said of looks under `doubly_adaptive` holds here as well: look often, for
    the coin keeps its side until the next look.

    References
    ----------
    Hu F, Zhang LX, He X (2009). Efficient randomized-adaptive designs. Annals of Statistics 37:2543-2560.
    """

    may_be_certain: ClassVar[bool] = False

    kind: Literal["erade"]
    target: Target
    """What to aim at: `neyman` (power), `rsihr` (fewest failures for the power; yes or no only), or `equal`."""
    alpha: Annotated[float, Field(ge=0.4, le=0.7)] = 0.5
    """What an arm beyond its target gets, as a share of the target."""

    @property
    def counts_enrolled(self) -> bool:
        """Whether the probabilities depend on the patients enrolled on each arm; they always do."""
        return True

    @property
    def protects_control(self) -> bool:
        """Whether the control gets its patients even where it looks bad, without a share of its own."""
        return self.target != "rsihr"

    @property
    def costs_power(self) -> bool:
        """Whether two arms compared by this rule tend to need more patients than with equal randomisation."""
        return self.target == "rsihr"

    def bound_to_scale(self) -> str | None:
        """Return what ties the probabilities to the unit of the endpoint: the guess of a standard deviation."""
        return compares_sds(self.kind) if self.target == "neyman" else None

    def weights(self, look: Look) -> Float[Array, "R A"]:
        """Return the probabilities: what arms beyond their target give up goes to those that are short of it."""
        wanted, reached = target(self.target, look), proportions(look)
        beyond = look.is_open & above(reached, wanted)
        short = look.is_open & below(reached, wanted)
        kept = np.where(beyond, self.alpha * wanted, wanted)
        room = np.where(short, wanted, 0.0)
        gained = (1.0 - kept.sum(axis=1, keepdims=True)) / np.maximum(room.sum(axis=1, keepdims=True), 1e-300)
        return kept + room * np.where(short.any(axis=1, keepdims=True), gained, 0.0)

    def problems(self, setting: Setting) -> Problems:
        """Return bounds that cannot be kept, arms too many, and a target that the endpoint does not have."""
        found = super().problems(setting) + (needs_rates(("target",), setting) if self.target == "rsihr" else [])
        if len(setting.arms) > 2:
            found.append(
                (("kind",), f"erade is for two arms, and the trial has {len(setting.arms)}", "use doubly_adaptive")
            )
        return found

    def in_proportion_to(self) -> str:
        """Return in plain English what the weights are."""
        return (
            f"a target ({WORDS[self.target]}), of which an arm beyond it gets {self.alpha:g} and the other one the rest"
        )
