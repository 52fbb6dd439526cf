"""Randomisation by the probability of beating the control, which keeps up with the largest arm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.allocation.bounded import Bounded
from sps_adaptive.allocation.realisation import Problems, Setting
from sps_adaptive.contracts import Look

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

LARGEST_EXPONENT = 50.0
"""Of the control's weight: beyond it the control gets everything anyway."""


class Trippa(Bounded):
    r"""Experimental arms by the probability of being better than the control; the control follows the largest of them.

    With n of at most N patients enrolled, :math:`n_a` of them on arm a, and k open experimental arms,

    .. math::
        \pi_a \propto \frac{P(\theta_a > \theta_0 \mid \text{data})^{h}}
            {\sum_b P(\theta_b > \theta_0 \mid \text{data})^{h}}, \qquad h = \gamma (n / N)^{\eta}, \qquad
        \pi_0 \propto \frac{1}{k} \exp\bigl( \max_a n_a - n_0 \bigr)^{\nu(n)}

    (Trippa and others 2012). All are divided by their sum. The further the control falls behind the largest open
    experimental arm, the more it gets, so that the comparison that matters keeps its power; :math:`\nu(n) = \nu n / N`
    lets this grow with the trial, as in the paper, or stays at :math:`\nu`. The exponent of the control is held at 50.
    Use it where one of several experimental arms is to be shown better than a control. The defaults are those of
    other programs; the vignette of the R package BATSS has 3, 1.4 and a constant 0.1 instead.

    References
    ----------
    Trippa L, Lee EQ, Wen PY and others (2012). Bayesian adaptive randomized trial design for patients with recurrent
    glioblastoma. Journal of Clinical Oncology 30:3258-3263.
    """

    kind: Literal["trippa"]
    gamma: Annotated[float, Field(ge=0, le=100)] = 3.0
    """The exponent at the end of the trial."""
    eta: Annotated[float, Field(ge=0, le=10)] = 0.75
    """How late the exponent grows: 0 is constant, 1 in proportion to the patients enrolled."""
    nu: Annotated[float, Field(ge=0, le=10)] = 0.25
    """How strongly the control follows the largest arm; 0: it always gets the share of an average arm."""
    nu_grows: bool = True
    """Whether the control's exponent grows with the patients enrolled, from 0 to nu, or is nu from the start."""

    @property
    def counts_enrolled(self) -> bool:
        """Whether the probabilities depend on the patients enrolled on each arm."""
        return self.nu > 0 or super().counts_enrolled

    @property
    def protects_control(self) -> bool:
        """Whether the control gets its patients even where it looks bad, without a share of its own."""
        return True

    def bound_to_size(self) -> str | None:
        """Return what ties the rule to a number of patients: exponents that grow until the last."""
        grows = (self.gamma > 0 and self.eta > 0) or (self.nu > 0 and self.nu_grows)
        return "trippa's exponents" if grows else None

    def weights(self, look: Look) -> Float[Array, "R A"]:
        """Return the experimental arms' shares, and what the control gets beside them."""
        rival = look.is_open.copy()
        rival[:, look.control] = False
        fraction = look.n_enrolled / look.patients
        better = np.maximum(look.posterior.prob_better(look.control), 1e-300)
        # Logarithms, and the largest taken out: powers of small probabilities would all be 0.
        log_weight = np.where(rival, np.log(better) * (self.gamma * fraction**self.eta)[:, None], -np.inf)
        any_rival = rival.any(axis=1)
        largest = np.where(any_rival, log_weight.max(axis=1), 0.0)
        weight = np.exp(log_weight - largest[:, None])
        shares = weight / np.where(any_rival, weight.sum(axis=1), 1.0)[:, None]
        behind = np.where(rival, look.arm_enrolled, 0).max(axis=1) - look.arm_enrolled[:, look.control]
        nu = self.nu * fraction if self.nu_grows else np.full(len(fraction), self.nu)
        shares[:, look.control] = np.exp(np.minimum(nu * behind, LARGEST_EXPONENT)) / np.maximum(rival.sum(axis=1), 1)
        return shares

    def problems(self, setting: Setting) -> Problems:
        """Return bounds that cannot be kept, and a second protection of the control."""
        found = super().problems(setting)
        if self.control_share is not None:
            found.append((("control_share",), "the rule has a share of its own for the control", "leave it out"))
        return found

    def in_proportion_to(self) -> str:
        """Return in plain English what the weights are."""
        power = f"{self.gamma:g} (n/N)^{self.eta:g}"
        return (
            f"the probability of being better than the control to the power {power} (n of at most N patients enrolled)"
        )

    def control_in_words(self) -> str:
        """Return in plain English what the control gets."""
        power = f"{self.nu:g} n/N" if self.nu_grows else f"{self.nu:g}"
        return (
            "the control gets as much as an average arm, times exp(patients by which it is behind the largest open "
            f"arm) to the power {power}"
        )
