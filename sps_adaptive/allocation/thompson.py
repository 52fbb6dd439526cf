"""Response-adaptive randomisation by the probability of being best."""

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

Power = Annotated[float, Field(ge=0, le=10)]


class Thompson(Bounded):
    r"""Arms get patients in proportion to a power of their posterior probability of being the best.

    .. math:: \pi_a \propto P(\theta_a = \max_b \theta_b \mid \text{data})^c

    Thompson (1933) is c = 1. A constant c = 1/2 or :math:`c = n / (2N)`, with n of at most N patients
    enrolled (Thall and Wathen 2007), tempers it: small trials otherwise chase chance. Until the first
    look the arms share equally, but for a protected control.

    The control can be protected: it keeps a fixed share; or, `matched`, its probability of being best is
    set to that of the best other arm before all are scaled; or, `square_root`, it gets
    :math:`1 / (1 + \sqrt{k})` beside k open experimental arms, which minimises the variance of the
    comparisons with it when these share the rest equally (Dunnett 1955). Floors and ceilings are kept by an
    exact projection; a control with a share of its own stands outside them.
    """

    kind: Literal["thompson"]
    power: Power | Literal["n/2N"] | Annotated[list[Power], Field(min_length=1, max_length=1000)] = "n/2N"
    """The exponent c: 0 is equal randomisation, 1 untempered; or one for each look."""

    def weights(self, look: Look) -> Float[Array, "R A"]:
        """Return the probabilities of being best."""
        return look.posterior.prob_best(look.is_open)

    def in_proportion_to(self) -> str:
        """Return in plain English what the weights are."""
        if isinstance(self.power, list):
            powers = " / ".join(f"{power:g}" for power in self.power) + " (look by look)"
        else:
            powers = "n/2N (n of at most N patients enrolled)" if self.power == "n/2N" else f"{self.power:g}"
        return f"the probability of being the best arm to the power {powers}"

    def bound_to_size(self) -> str | None:
        """Return what ties the rule to a number of patients: a power that grows, or is stated look by look."""
        if self.power == "n/2N":
            return "power: n/2N"
        return "powers look by look" if isinstance(self.power, list) else None

    def problems(self, setting: Setting) -> Problems:
        """Return bounds that cannot be kept, and a list of powers that does not fit the looks."""
        found = super().problems(setting)
        if isinstance(self.power, list) and setting.n_looks is not None and len(self.power) != setting.n_looks:
            hint = f"give one number, or a list of {setting.n_looks}" if setting.n_looks else "give one number"
            found.append((("power",), f"{len(self.power)} powers for {setting.n_looks} looks", hint))
        return found

    def tempered(self, weights: Float[Array, "R A"], look: Look) -> Float[Array, "R A"]:
        """Return the weights to the power c."""
        power = self.power[min(look.k, len(self.power) - 1)] if isinstance(self.power, list) else self.power
        if power == 1:
            return weights
        exponent = look.n_enrolled / (2 * look.patients) if power == "n/2N" else power
        # A probability of 0 to the power 0 is equal randomisation, not 0: the smallest number stands in for 0.
        # Powers are numpy's: it computes several at once where the processor can, a compiled loop would not.
        return np.maximum(weights, 1e-300) ** np.reshape(exponent, (-1, 1))
