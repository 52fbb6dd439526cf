"""Randomisation towards a target that is estimated on the way, correcting for where the trial stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.allocation.bounded import Bounded
from sps_adaptive.allocation.realisation import Problems, Setting
from sps_adaptive.allocation.targets import WORDS, Target, compares_sds, needs_rates, proportions, target
from sps_adaptive.contracts import Look

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class DoublyAdaptive(Bounded):
    r"""The doubly adaptive biased coin: arms that are short of their target get more than it, and the others less.

    With the estimated target :math:`\rho_a` and the proportion :math:`x_a` of patients enrolled on open arm a,

    .. math:: \pi_a \propto \rho_a \left( \frac{\rho_a}{x_a} \right)^{\gamma}

    (Hu and Zhang 2004). :math:`\gamma = 0` follows the estimated target alone; the larger :math:`\gamma`, the more
    closely the trial ends at it, at the price of less random assignments. An arm without a patient counts as having
    one half. The theory is about probabilities that change with every patient: look often, and mind that between two
    looks they stay as they are, so that a long stretch overshoots with a large :math:`\gamma`.

    References
    ----------
    Hu F, Zhang LX (2004). Asymptotic properties of doubly adaptive biased coin designs for multitreatment clinical
    trials. Annals of Statistics 32:268-301.
    """

    kind: Literal["doubly_adaptive"]
    target: Target
    """What to aim at: `neyman` (power), `rsihr` (fewest failures for the power; yes or no only), or `equal`."""
    gamma: Annotated[float, Field(ge=0, le=100)] = 2.0
    """How strongly to correct: 0 not at all."""

    @property
    def counts_enrolled(self) -> bool:
        """Whether the probabilities depend on the patients enrolled on each arm."""
        return self.gamma > 0 or super().counts_enrolled

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
        """Return the target, corrected."""
        wanted, reached = target(self.target, look), proportions(look)
        # Logarithms, and the largest taken out: powers of large quotients would overflow.
        there = look.is_open & (wanted > 0)
        quotient = np.log(np.where(there, wanted, 1.0)) - np.log(np.where(there, reached, 1.0))
        log_weight = np.where(there, np.log(np.where(there, wanted, 1.0)) + self.gamma * quotient, -np.inf)
        largest = log_weight.max(axis=1, keepdims=True)
        return np.exp(log_weight - np.where(np.isfinite(largest), largest, 0.0))

    def problems(self, setting: Setting) -> Problems:
        """Return bounds that cannot be kept, and a target that the endpoint does not have."""
        return super().problems(setting) + (needs_rates(("target",), setting) if self.target == "rsihr" else [])

    def in_proportion_to(self) -> str:
        """Return in plain English what the weights are."""
        return f"a target ({WORDS[self.target]}) times the power {self.gamma:g} of how far an arm falls short of it"
