"""Two treatments compared within patients: differences are Student-t, and so, nearly, is each mean by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr, stdtrit

from sps_adaptive.posteriors.approximate import success
from sps_adaptive.posteriors.joint_student import JointStudentPosterior
from sps_adaptive.posteriors.student import student_sd

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array


@dataclass(frozen=True, eq=False)
class PairedStudentPosterior:
    r"""What is believed of two treatments that each patient had one after the other.

    Half the difference between the two scores of a patient has one mean for each order of the treatments, and the
    difference of these two means is that of the treatments: `halves` is their joint posterior, with the variance within
    patients, and answers all that is about differences, exactly. The mean under a treatment by itself is
    :math:`g \pm \tau / 2` with the general mean g, whose variance is that between patients. The sum of two Student-t
    variables has no closed form; it is taken as one with the sum of their variances and Satterthwaite's (1946) degrees
    of freedom.
    """

    halves: JointStudentPosterior
    """Half differences (first score less second) of those who had each treatment first."""
    location: Float[Array, "R A"]
    """Posterior mean under each treatment."""
    scale: Float[Array, "R A"]
    df: Float[Array, " R"]
    spread: Float[Array, " R"]
    """Standard deviation of a patient's score under a treatment."""
    known: Int[Array, " R"]
    """Patients of whom both scores are known."""

    def mean(self) -> Float[Array, "R A"]:
        """Return the posterior mean under each treatment."""
        return self.location.copy()

    def sd(self) -> Float[Array, "R A"]:
        """Return the posterior standard deviation; where infinite, half the central 68.3% interval."""
        return self.scale * student_sd(self.df)[:, None]

    def outcome_sd(self) -> Float[Array, "R A"]:
        """Return an estimate of the standard deviation of one patient's score, the same under both treatments."""
        return np.repeat(self.spread[:, None], self.location.shape[1], axis=1)

    def prob_above(self, value: float) -> Float[Array, "R A"]:
        """Return P(mean under the treatment > value)."""
        return np.asarray(stdtr(self.df[:, None], (self.location - value) / self.scale))

    def interval(self, level: float) -> Float[Array, "R A 2"]:
        """Return the equal-tailed credible interval of each mean."""
        half = stdtrit(self.df, (1 + level) / 2)[:, None] * self.scale
        return np.stack([self.location - half, self.location + half], axis=-1)

    def prob_best(self, among: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        """Return P(treatment is the better of `among`); 0 outside it, rows sum to 1."""
        return self.halves.prob_best(among)

    def prob_better(self, than: int, by: float = 0.0) -> Float[Array, "R A"]:
        """Return P(treatment - treatment `than` > by); for `than` itself 1 if by < 0, else 0."""
        return self.halves.prob_better(than, by)

    def difference(self, than: int, level: float) -> Float[Array, "R A 3"]:
        """Return mean and equal-tailed interval (mean, lower, upper) of treatment - treatment `than`."""
        return self.halves.difference(than, level)

    def prob_success(
        self, than: int | None, by: float, threshold: float, more: Int[Array, "R A"], fresh: bool = False
    ) -> Float[Array, "R A"]:
        """Return P(success after `more` patients with each treatment first).

        Of differences by `predictive_joint_student`; of a treatment by itself by a normal approximation, in which
        every patient tells about both treatments.
        """
        if than is not None:
            return self.halves.prob_success(than, by, threshold, more, fresh)
        both = np.ones(self.location.shape, np.int64)
        known, coming = self.known[:, None] * both, more.sum(axis=1, keepdims=True) * both
        return success(self.location, self.sd(), known, coming, None, by, threshold, fresh)
