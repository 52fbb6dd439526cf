"""Independent Student-t posteriors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, stdtr, stdtrit

from sps_adaptive.posteriors.gaussian import begun_with, stated
from sps_adaptive.posteriors.independent import (
    NODE,
    NODE_WEIGHT,
    fill_best,
    fill_better,
    fill_quantiles,
    standards,
)

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array
    from sps_adaptive.posteriors.predictive_normal import NormalPriors


@dataclass(frozen=True, eq=False)
class StudentPosterior:
    r"""Independent posteriors :math:`(\theta_a - \mu_a) / s_a \sim t_{\nu_a}`.

    A difference of such arms follows no standard distribution (Behrens-Fisher); `prob_best`, `prob_better`
    and `difference` are one-dimensional integrals by Gauss-Legendre panels, and roots of them.
    """

    location: Float[Array, "R A"]
    scale: Float[Array, "R A"]
    """Scales of the t distributions, positive."""
    df: Float[Array, "R A"]
    """Degrees of freedom, positive; infinite for a normal posterior."""
    spread: Float[Array, "R A"] | None = None
    """Estimated standard deviation of one patient's outcome, where the analysis says."""
    patients: Float[Array, "R A"] | None = None
    """How many outcomes each centre rests on, those of the prior included, where the analysis says."""
    start: NormalPriors | None = None
    """What the analysis began with, where success can be predicted."""

    def mean(self) -> Float[Array, "R A"]:
        """Return the centre of each arm: the posterior mean where it exists (more than one degree of freedom)."""
        return self.location.copy()

    def sd(self) -> Float[Array, "R A"]:
        """Return the posterior standard deviation of each arm; where infinite, half the central 68.3% interval."""
        return self.scale * student_sd(self.df)

    def outcome_sd(self) -> Float[Array, "R A"]:
        """Return an estimate of the standard deviation of one patient's outcome on each arm."""
        return stated(self.spread)

    def prob_above(self, value: float) -> Float[Array, "R A"]:
        """Return P(arm > value) for each arm."""
        return np.asarray(stdtr(self.df, (self.location - value) / self.scale))

    def interval(self, level: float) -> Float[Array, "R A 2"]:
        """Return the equal-tailed credible interval of each arm."""
        half = stdtrit(self.df, (1 + level) / 2) * self.scale
        return np.stack([self.location - half, self.location + half], axis=-1)

    def prob_best(self, among: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        """Return P(arm is the best of `among`); 0 outside it, rows sum to 1."""
        tables, row = standards(self.df)
        best = np.zeros(self.location.shape)
        location, scale = np.ascontiguousarray(self.location), np.ascontiguousarray(self.scale)
        fill_best(location, scale, row, np.ascontiguousarray(among), *tables, NODE, NODE_WEIGHT, best)
        return best

    def prob_better(self, than: int, by: float = 0.0) -> Float[Array, "R A"]:
        """Return P(arm - arm `than` > by) for each arm; for `than` itself 1 if by < 0, else 0."""
        tables, row = standards(self.df)
        better = np.full(self.location.shape, 1.0 if by < 0 else 0.0)
        location, scale = np.ascontiguousarray(self.location), np.ascontiguousarray(self.scale)
        fill_better(location, scale, row, than, float(by), *tables, NODE, NODE_WEIGHT, better)
        return better

    def difference(self, than: int, level: float) -> Float[Array, "R A 3"]:
        """Return mean and equal-tailed interval (mean, lower, upper) of arm - arm `than`; 0 for `than` itself."""
        tables, row = standards(self.df)
        location, scale = np.ascontiguousarray(self.location), np.ascontiguousarray(self.scale)
        upper_tail = np.array([(1 + level) / 2, (1 - level) / 2])
        # Start from the quantiles of a sum of squares: Student-t quantiles of either arm, added in quadrature.
        half = stdtrit(self.df, (1 + level) / 2) * scale
        half = np.hypot(half, half[:, [than]])
        answer = np.zeros((*location.shape, 3))
        quantile = np.zeros((*location.shape, 2))
        fill_quantiles(
            location, scale, row, than, upper_tail, np.stack([-half, half], axis=-1), *tables, NODE, NODE_WEIGHT,
            quantile,
        )  # fmt: skip
        answer[..., 0] = location - location[:, [than]]
        answer[..., 1:] = quantile
        return answer

    def prob_success(
        self, than: int | None, by: float, threshold: float, more: Int[Array, "R A"], fresh: bool = False
    ) -> Float[Array, "R A"]:
        """Return P(success after `more` outcomes of each arm); see `predictive_student`."""
        from sps_adaptive.posteriors.predictive_student import success_of_student

        start, patients = begun_with(self.start), stated(self.patients)
        known = self.location, self.scale, self.df, patients
        return success_of_student(*known, than, by, threshold, more, start if fresh else None)


def student_sd(df: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the standard deviation of a standard Student-t; where infinite, half its central 68.3% interval."""
    finite = np.maximum(df, 2 + 1e-9)
    return np.where(df > 2, np.sqrt(1 / (1 - 2 / finite)), stdtrit(np.minimum(df, 2.0), ndtr(1.0)))
