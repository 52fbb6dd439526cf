"""Continuous outcomes, adjusted for the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import AnalysisModel, AnalysisSetting, Posterior, Snapshot
from sps_adaptive.models.arm_priors import by_arm
from sps_adaptive.models.controls import Controlled
from sps_adaptive.models.normal import (
    NormalPrior,
    Patients,
    arm_products_of,
    degrees_of_freedom,
    drawn_scores,
    own_variance,
    pooled_variance,
    prior_arrays,
    vague_variance,
)
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class SlopePrior(Part):
    """A normal distribution for the slope on the baseline's standard score."""

    mean: float = 0.0
    """The prior mean: change of the outcome with one standard deviation of the baseline."""
    patients: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    """How many outcomes the prior is worth; a positive number keeps the first looks regular."""


class Ancova(Controlled):
    r"""Analysis of covariance: arm means at the average baseline, one slope, one residual variance.

    .. math:: y_i = \theta_{a(i)} + \beta x_i + \varepsilon_i, \qquad \varepsilon_i \sim N(0, \sigma^2)

    with x the standard score of the baseline, :math:`\theta_a \sim N(m_a, \sigma^2 / \kappa_a)`,
    :math:`\beta \sim N(b, \sigma^2 / \lambda)` and a scaled-inverse-chi-square prior for :math:`\sigma^2` (prior
    guess `sd`, worth `sd_patients` outcomes). The prior is conjugate (Gelman et al. 2013, section 14.8): the
    arm means are jointly Student-t, and all is closed. A flat prior of an arm mean
    (:math:`\kappa_a = 0`) costs one degree of freedom, as in :class:`~sps_adaptive.models.normal.Normal`,
    which also says what becomes of an arm of which nothing is known.

    Use it whenever the baseline predicts the outcome: it estimates the change from baseline as well as the
    final value, with a smaller variance than either alone (Senn 2006). The stated `sd` is that of the residuals.
    """

    takes: ClassVar[frozenset[str]] = frozenset({"continuous", "timed_walk"})
    scale: ClassVar[str] = "mean"
    needs_baseline: ClassVar[bool] = True

    kind: Literal["ancova"]
    sd: Annotated[float, Field(gt=0)]
    """Prior guess of the residual standard deviation, given the baseline."""
    sd_patients: Patients = 1.0
    """How many outcomes the guess is worth."""
    prior: NormalPrior = NormalPrior()
    """The prior of the mean of every arm that has none of its own. The default is flat."""
    arm_priors: dict[str, NormalPrior] = Field(default_factory=dict)
    """Priors of single arms, for example of a control with historical data."""
    slope: SlopePrior = SlopePrior()
    """The prior of the slope."""

    def bind(self, setting: AnalysisSetting) -> AnalysisModel:
        """Return the model for these arms, oriented: larger is better."""
        mean, patients = prior_arrays(self.prior, self.arm_priors, setting.arms, setting.higher_is_better)
        slope = self.slope.mean if setting.higher_is_better else -self.slope.mean
        return BoundAncova(self.sd, self.sd_patients, mean, patients, slope, self.slope.patients)

    def prior_predictive(
        self, setting: AnalysisSetting, n: int, generator: np.random.Generator
    ) -> Float[Array, "n A"] | None:
        """Return scores of new patients with an average baseline; None where a prior is flat."""
        priors = by_arm(self.prior, self.arm_priors, setting.arms)
        return drawn_scores(priors, self.sd, self.sd_patients, n, generator)


@dataclass(frozen=True, eq=False)
class BoundAncova:
    """The analysis of covariance of given arms."""

    sd: float
    sd_patients: float
    prior_mean: Float[Array, " A"]
    """Oriented."""
    prior_patients: Float[Array, " A"]
    slope_mean: float
    """Oriented."""
    slope_patients: float

    def fit(self, snapshot: Snapshot) -> Posterior:
        """Return the posterior given the outcomes of the last visit that are known.

        The precision matrix of (arm means, slope) is diagonal but for its last row; the slope comes first,
        from the sums within the arms, then the arm means given the slope. No term is a small difference of
        large ones.
        """
        from sps_adaptive.posteriors.joint_student import JointStudentPosterior
        from sps_adaptive.posteriors.predictive_normal import NormalPriors

        seen = arm_products_of(
            snapshot,
            np.ascontiguousarray(snapshot.covariates[..., 0]),
            np.ascontiguousarray(snapshot.value[..., -1]),
        )
        patients = self.prior_patients + seen.n
        share = seen.n / np.where(patients > 0, patients, 1.0)
        between = self.prior_patients * share  # what the distance of an arm's mean from its prior is worth
        shift = seen.mean_y - self.prior_mean
        precision = self.slope_patients + (seen.xx + between * seen.mean_x**2).sum(axis=1)
        slope = self.slope_patients * self.slope_mean
        slope = (slope + (seen.xy + between * seen.mean_x * shift).sum(axis=1)) / precision
        each = slope[:, None]
        location = self.prior_mean + share * (shift - each * seen.mean_x)
        loading = -share * seen.mean_x / np.sqrt(precision)[:, None]
        residual = seen.yy - 2 * each * seen.xy + each**2 * seen.xx + between * (shift - each * seen.mean_x) ** 2
        spread = residual.sum(axis=1) + self.slope_patients * (slope - self.slope_mean) ** 2
        gained = degrees_of_freedom(seen.n, self.prior_patients).sum(axis=1)
        vague = vague_variance(location, self.sd)
        variance, df = pooled_variance(spread, gained, self.sd, self.sd_patients, vague[:, 0])
        own = own_variance(patients, vague / variance[:, None])
        prior = self.prior_mean, self.prior_patients, self.sd, self.sd_patients, self.slope_patients
        return JointStudentPosterior(location, own, loading, variance, df, 1 / precision, NormalPriors(*prior))
