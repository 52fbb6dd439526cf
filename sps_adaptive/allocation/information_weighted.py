"""Randomisation where it promises most: good arms about which little is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.allocation.bounded import Bounded, Probability
from sps_adaptive.allocation.realisation import Problems, Setting
from sps_adaptive.allocation.targets import compares_sds
from sps_adaptive.arrays import TIE, below
from sps_adaptive.contracts import Look

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array


class InformationWeighted(Bounded):
    r"""Weights of being best, or of what one more patient teaches about an arm that may be best, as in FACTS.

    With the posterior probability :math:`p_a` of being the best, the posterior variance :math:`v_a` of the arm's true
    value and :math:`n_a` patients enrolled on it,

    .. math:: V_a = \sqrt{\frac{p_a v_a}{n_a + 1}}^{\,\gamma} \qquad\text{or, without the variance,}\qquad
        V_a = p_a^{\gamma}.

    :math:`v_a / (n_a + 1)` is about what the variance loses by one more patient, so the rule spends patients where
    they sharpen the picture of a good arm; it tempers itself as arms fill (FACTS user guide, adaptive allocation;
    Berry and others 2010, chapter 4). With `control_share: matched` the control is kept as large as the arms it is
    compared with:

    .. math:: V_0 = \min\Bigl( \sum_{a \ne 0} V_a \frac{n_a + 1}{n_0 + 1},\; \max_{a \ne 0} V_a \Bigr)

    `zero_out` spares arms that would get only a few patients: the smallest share below it is set to 0, the others are
    scaled up, and so on, one arm at a time (those that are equal together). The control and the largest of the other
    arms stay.

    References
    ----------
    Berry SM, Carlin BP, Lee JJ, Müller P (2010). Bayesian adaptive methods for clinical trials. CRC Press.
    """

    kind: Literal["information_weighted"]
    variance: bool = True
    """Whether an arm's posterior variance over its number of patients counts beside its probability of being best."""
    gamma: Annotated[float, Field(ge=0, le=10)] = 1.0
    """The exponent: 0 is equal randomisation."""
    zero_out: Probability = 0.0
    """Smallest share that is worth while: arms below it get no patients until the next look."""

    @property
    def counts_enrolled(self) -> bool:
        """Whether the probabilities depend on the patients enrolled on each arm."""
        return self.variance or self.control_share == "matched" or super().counts_enrolled

    def bound_to_scale(self) -> str | None:
        """Return what ties the probabilities to the unit of the endpoint: made-up variances of arms without data."""
        return compares_sds(self.kind) if self.variance else None

    def weights(self, look: Look) -> Float[Array, "R A"]:
        """Return V."""
        value = look.posterior.prob_best(look.is_open)
        if self.variance:
            # Variances are only compared: over the largest of them they are numbers of ordinary size.
            sd = np.where(look.is_open, look.posterior.sd(), 0.0)
            sd = sd / sd.max(axis=1, keepdims=True)
            value = np.sqrt(value / (look.arm_enrolled + 1)) * sd
        return np.where(look.is_open, np.maximum(value, 1e-300) ** self.gamma, 0.0)

    def matched(self, weights: Float[Array, "R A"], look: Look) -> Float[Array, "R A"]:
        """Return the weights with the control's own, where it is `matched`."""
        if self.control_share != "matched":
            return weights
        others = weights.copy()
        others[:, look.control] = 0.0
        n = look.arm_enrolled + 1
        balance = (others * n).sum(axis=1) / n[:, look.control]
        matched = np.minimum(balance, others.max(axis=1))
        alone = others.max(axis=1) == 0
        others[:, look.control] = np.where(alone, weights[:, look.control], matched)
        return others

    def taking(self, weights: Float[Array, "R A"], look: Look) -> Bool[Array, "R A"]:
        """Return the open arms without those whose share is too small."""
        takes = look.is_open.copy()
        if self.zero_out == 0:
            return takes
        for _ in range(takes.shape[1] - 2):
            shares = self._shares(weights, takes, look.control)
            rival = np.where(takes, shares, np.inf)
            rival[:, look.control] = np.inf
            largest = np.where(np.isfinite(rival), rival, -np.inf).max(axis=1, keepdims=True)
            smallest = rival.min(axis=1, keepdims=True)
            small = (rival <= smallest + TIE) & below(shares, self.zero_out) & below(shares, largest)
            takes &= ~small
        return takes

    def problems(self, setting: Setting) -> Problems:
        """Return bounds that cannot be kept, and a smallest share that contradicts them."""
        found = super().problems(setting)
        share = self._control_share_alone(len(setting.arms) - 1)
        equal = 1 / len(setting.arms) if share is None else (1 - share) / (len(setting.arms) - 1)
        if self.floor > 0 and self.zero_out > 0:
            found.append((("zero_out",), "shares below the floor do not exist", "leave out zero_out, or the floor"))
        elif self.zero_out > equal + 1e-12:
            found.append(
                (
                    ("zero_out",),
                    f"at the start every arm's share, {equal:.3g}, is below {self.zero_out:g}",
                    f"use at most {equal:.3g}",
                )
            )
        return found

    def control_in_words(self) -> str:
        """Return in plain English what the control gets."""
        if self.control_share == "matched":
            return "the control is kept as large as the other arms"
        return super().control_in_words()

    def in_proportion_to(self) -> str:
        """Return in plain English what the weights are."""
        what = "the probability of being the best arm"
        if self.variance:
            what = f"the square root of {what} times the posterior variance per patient enrolled"
        what += "" if self.gamma == 1 else f", to the power {self.gamma:g}"
        return what + (f", without arms whose share is below {self.zero_out:g}" if self.zero_out else "")
