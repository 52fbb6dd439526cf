"""Patients who leave because of how they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

Hazard = Annotated[float, Field(gt=0, lt=1)]


class OutcomeDropout(Part):
    r"""Dropout between two visits that depends on the score, beside the dropout of the population.

    A patient seen until now misses the next visit t, and all that follow, and has left on the day it was planned for,
    with the probability

    .. math::
        \operatorname{logit} h_{it} = \operatorname{logit} h + \gamma\,(y_{i,t-1} - r) + \delta\,(y_{it} - r),

    with the last score that was observed and the one that would be. With :math:`\delta = 0` the scores are missing at
    random: an analysis of all visits, such as `mmrm`, is not biased, one of those who finished is. With
    :math:`\delta \ne 0` they are not, and no analysis of what was seen can know (Little and Rubin 2002, section 15.4).
    Before the first visit the last observed score is that at enrolment; where the endpoint has no baseline the
    probability is then h. An arm may have a hazard of its own, for example because of side effects.
    """

    hazard: Hazard | dict[str, Hazard]
    """Probability h of leaving before the next visit, at the reference score; or one by arm."""
    reference: float
    """The score r at which it is stated, on the endpoint's own scale (for changes from baseline, a change)."""
    per_point_seen: float = 0.0
    """Change of the log odds of leaving for each point of the last observed score; negative where low scores leave."""
    per_point_unseen: float = 0.0
    """The same for the score that is then not observed."""

    def visits(
        self,
        score: Float[Array, "R N A V"],
        start: Float[Array, "R N"] | None,
        luck: Float[Array, "R N V"],
        arms: tuple[str, ...],
    ) -> Float[Array, "R N A"]:
        """Return the number of visits before the patient leaves on each arm.

        Parameters
        ----------
        score
            What the patients' scores would be, on the endpoint's own scale.
        start
            Their scores at enrolment; None where they are not measured.
        luck
            A uniform for each visit.
        arms
            Names of the arms.
        """
        from scipy.special import expit, logit

        rate = np.array([self.hazard[arm] if isinstance(self.hazard, dict) else self.hazard for arm in arms])
        stays, number = np.ones(score.shape[:3], bool), np.zeros(score.shape[:3], np.int64)
        for visit in range(score.shape[3]):
            if visit == 0:
                seen = np.zeros((1, 1, 1)) if start is None else start[:, :, None] - self.reference
            else:
                seen = score[..., visit - 1] - self.reference
            unseen = score[..., visit] - self.reference
            chance = expit(logit(rate) + self.per_point_seen * seen + self.per_point_unseen * unseen)
            stays &= luck[:, :, None, visit] >= chance
            number += stays
        return number
