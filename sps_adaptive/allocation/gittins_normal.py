"""Randomisation by the forward-looking Gittins index, for outcomes that are scores."""

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


class GittinsNormal(Bounded):
    r"""Arms get patients as the Gittins rule for normal outcomes would give them to the next b patients, on average.

    As `gittins`, with the index of an arm whose outcomes are normal with a known standard deviation :math:`\sigma`,

    .. math:: \mu_a + \sigma\, v(n_a + n_0, d),

    its posterior mean and a bonus for what is not known yet, after :math:`n_a` outcomes and a prior worth
    :math:`n_0` (Gittins, Glazebrook and Weber 2011, chapter 8; Williamson and Villar 2020). The expectation over the
    b patients is an integral, where the authors simulate. The standard deviation is that of the analysis: where it is
    estimated, the estimate is taken for the truth. An arm without outcomes (one that opens late) counts as level
    with the mean of the other open arms, whatever its prior mean, so that the origin of the score does not matter.
    The warnings of `gittins` hold here as well.

    References
    ----------
    Williamson SF, Villar SS (2020). A response-adaptive randomization procedure for multi-armed clinical trials with
    normally distributed outcomes. Biometrics 76:197-209.
    """

    kind: Literal["gittins_normal"]
    ahead: Annotated[int, Field(ge=1, le=15)] = 6
    """The patients b to look ahead to: as many as are enrolled between two looks."""
    discount: Annotated[float, Field(gt=0, le=0.995)] = 0.99
    """The weight d of an outcome one patient later: 0.99 looks ahead to some hundred patients."""
    prior_patients: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """How many outcomes the prior of an arm is worth to the index. State what the analysis says; where its prior is
    flat, one outcome keeps the bonus of an arm of which nothing is known finite."""
    controlled: bool = False
    """Whether the control keeps an equal share of the patients, 1 / K beside K - 1 other open arms."""

    def weights(self, look: Look) -> Float[Array, "R A"]:
        """Return the expected parts of the next patients."""
        from sps_adaptive.allocation.gittins_normal_index import (
            controlled_flgi_normal_probabilities,
            flgi_normal_probabilities,
            normal_tables,
        )

        among = look.is_open
        if self.control_share not in (None, "matched"):  # the control stands beside the rule
            among = look.is_open.copy()
            among[:, look.control] = False
        posterior, arms = look.posterior, look.is_open.shape[1]
        tables = normal_tables((self.prior_patients,) * arms, self.discount, look.patients + self.ahead, self.ahead)
        seen = level_with_the_others(posterior.mean(), look), look.arm_known, posterior.outcome_sd()
        if self.controlled:
            return controlled_flgi_normal_probabilities(*seen, look.is_open, tables, look.control)
        return flgi_normal_probabilities(*seen, among, tables)

    def bound_to_scale(self) -> str | None:
        """Return what ties the rule to the unit of the score: its bonus, before the spread has been seen."""
        return "gittins_normal adds a bonus in proportion to the standard deviation, which is at first the stated one."

    @property
    def protects_control(self) -> bool:
        """Whether the control gets its patients even where it looks bad."""
        return self.controlled or super().protects_control

    def problems(self, setting: Setting) -> Problems:
        """Return bounds that cannot be kept, an endpoint without an index, and a second protection of the control."""
        found = super().problems(setting)
        if setting.is_binary:
            found.append((("kind",), "gittins_normal is for outcomes that are scores", "use kind: gittins"))
        if self.controlled and self.control_share is not None:
            found.append((("control_share",), "the controlled rule has a share for the control", "leave it out"))
        return found

    def in_proportion_to(self) -> str:
        """Return in plain English what the weights are."""
        return (
            f"what the Gittins rule for scores (discount {self.discount:g}) would give the next {self.ahead} patients, "
            "on average"
        )

    def control_in_words(self) -> str:
        """Return in plain English what the control gets."""
        return "the control keeps an equal share" if self.controlled else super().control_in_words()


def level_with_the_others(mean: Float[Array, "R A"], look: Look) -> Float[Array, "R A"]:
    """Return the posterior means; an open arm without outcomes gets the mean of the other open arms."""
    seen = look.is_open & (look.arm_known > 0)
    others = np.where(seen, mean, 0.0).sum(axis=1, keepdims=True) / np.maximum(seen.sum(axis=1, keepdims=True), 1)
    return np.where(look.is_open & ~seen & seen.any(axis=1, keepdims=True), others, mean)
