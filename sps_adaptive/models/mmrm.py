"""Scores at several visits, with patients who drop out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import AnalysisModel, AnalysisSetting, Posterior, Snapshot
from sps_adaptive.models.arm_priors import by_arm
from sps_adaptive.models.controls import Controlled
from sps_adaptive.models.normal import LEAST_SD, VAGUE
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

Sd = Annotated[float, Field(gt=0)]


class VisitsPrior(Part):
    """A normal distribution for the means of an arm at the visits, worth the outcomes of some patients."""

    mean: float | list[float] = 0.0
    """The prior mean, on the scale of the endpoint: one for all visits, or one for each."""
    patients: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    """How many patients, seen at all visits, the prior mean is worth; 0 is a flat prior."""


class Mmrm(Controlled):
    r"""Mixed model for repeated measures: a mean for each arm and visit, any covariances of the visits.

    .. math::
        (y_{i1}, \dots, y_{iV}) \sim N(\mu_{a(i)} + \Gamma x_i, \Sigma), \quad
        \mu_a \mid \Sigma \sim N(m_a, \Sigma / \kappa_a), \quad
        \Gamma_c \mid \Sigma \sim N(0, \Sigma / \lambda), \quad
        \Sigma \sim \text{inverse-Wishart}(d + V - 1, d\,\Sigma_0),

    with covariates x that are 0 for the average patient, so that :math:`\mu_a` is the mean of arm a. The analysis is
    about the last visit. Patients seen at some visits only count with these: where they are likely to be at the last
    one follows from how those went on who were like them. That is right if, given what was seen of a patient, dropping
    out does not depend on what was not (missing at random), and a patient whose last visit is still to come
    informs a look for the same reason.

    Patients are seen at the first visits, up to their last; visits after a gap are left out. Then the likelihood is a
    product of regressions of each visit on those before (Anderson 1957), the prior becomes a conjugate prior of each
    (Liu 1993), and the posterior is closed: a chain of Student-t distributions. With everybody seen at all visits the
    answer is that of :class:`~sps_adaptive.models.ancova.Ancova` for the last visit alone: earlier visits say nothing
    more. The prior guess of :math:`\Sigma` has the standard deviations `sd` and one correlation; it is worth d =
    `sd_patients` patients, and with 2 each correlation is about as likely to be anywhere between -1 and 1. A flat
    prior of an arm (:math:`\kappa_a = 0`) costs one degree of freedom at each visit. An arm with a flat prior that
    nobody on it has finished gets a posterior a million times wider than all else, as in
    :class:`~sps_adaptive.models.normal.Normal`.
    """

    takes: ClassVar[frozenset[str]] = frozenset({"longitudinal"})
    scale: ClassVar[str] = "mean"
    needs_baseline: ClassVar[bool] = False
    left_out: ClassVar[str] = "Patients who drop out count with the visits at which they were seen."

    kind: Literal["mmrm"]
    sd: Sd | list[Sd]
    """Prior guess of the standard deviation within an arm, given the covariates: one for all visits or one for each."""
    correlation: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Prior guess of the correlation between any two visits."""
    sd_patients: Annotated[float, Field(ge=0.5, le=10_000)] = 2.0
    """How many patients the two guesses are worth."""
    prior: VisitsPrior = VisitsPrior()
    """The prior of every arm that has none of its own. The default is flat."""
    arm_priors: dict[str, VisitsPrior] = Field(default_factory=dict)
    """Priors of single arms, for example of a control with historical data."""
    adjust_for_baseline: bool = True
    """Whether the standard score of the baseline is a covariate, where the endpoint has one."""
    slope_patients: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    """How many patients the prior of the slopes on the baseline (mean 0) is worth."""

    def bind(self, setting: AnalysisSetting) -> AnalysisModel:
        """Return the model for these arms, oriented: larger is better."""
        priors = by_arm(self.prior, self.arm_priors, setting.arms)
        sign = 1.0 if setting.higher_is_better else -1.0
        adjusts = self.adjust_for_baseline and setting.baseline is not None
        return BoundMmrm(
            self.sd,
            self.correlation,
            self.sd_patients,
            tuple(sign * np.asarray(prior.mean, np.float64) for prior in priors),
            np.array([prior.patients for prior in priors]),
            self.slope_patients if adjusts else None,
        )

    def problems(self, setting: AnalysisSetting) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return what cannot be about the model in its trial, as (path, message, hint)."""
        visits = setting.endpoint.outcomes
        lists = [(("sd",), self.sd), (("prior", "mean"), self.prior.mean)]
        lists += [(("arm_priors", arm, "mean"), prior.mean) for arm, prior in self.arm_priors.items()]
        return [
            (path, f"{len(given)} values, and there are {visits} visits", "give one for each, or one number for all")
            for path, given in lists
            if isinstance(given, list) and len(given) != visits
        ]

    def prior_predictive(
        self, setting: AnalysisSetting, n: int, generator: np.random.Generator
    ) -> Float[Array, "n A"] | None:
        """Return scores at the last visit of new patients with an average baseline; None where a prior is flat."""
        from sps_adaptive.models.normal import NormalPrior, drawn_scores

        priors = tuple(
            NormalPrior(mean=float(np.atleast_1d(prior.mean)[-1]), patients=prior.patients)
            for prior in by_arm(self.prior, self.arm_priors, setting.arms)
        )
        return drawn_scores(priors, float(np.atleast_1d(self.sd)[-1]), self.sd_patients, n, generator)


@dataclass(frozen=True, eq=False)
class BoundMmrm:
    """The repeated-measures analysis of given arms."""

    sd: float | list[float]
    correlation: float
    sd_patients: float
    prior_mean: tuple[Float[Array, "..."], ...]
    """Of each arm, oriented: one for all visits or one for each."""
    prior_patients: Float[Array, " A"]
    slope_patients: float | None
    """None without the baseline as a covariate."""

    def fit(self, snapshot: Snapshot) -> Posterior:
        """Return the posterior given the visits that are known."""
        from sps_adaptive.models.mmrm_kernels import regress
        from sps_adaptive.posteriors.sequential import SequentialPosterior

        replicates, arms, visits = len(snapshot.arm), snapshot.n_arms, snapshot.value.shape[2]
        sd = np.broadcast_to(np.asarray(self.sd, np.float64), (visits,))
        covariates = 0 if self.slope_patients is None else 1
        size = covariates + visits
        number = np.zeros((replicates, arms, visits), np.int64)
        centre, slope = np.zeros((replicates, arms, visits, size)), np.zeros((replicates, visits, size))
        root, variance = np.zeros((replicates, visits, size, size)), np.zeros((replicates, visits))
        df = np.zeros((replicates, visits))
        regress(
            snapshot.arm, np.logical_and.accumulate(snapshot.known, axis=2).sum(axis=2),
            np.ascontiguousarray(snapshot.covariates[..., :covariates]), np.ascontiguousarray(snapshot.value),
            np.array([np.broadcast_to(mean, (visits,)) for mean in self.prior_mean]), self.prior_patients,
            self._prior_products(sd, covariates), self.sd_patients, number, centre, root, slope, variance, df,
        )  # fmt: skip
        variance = np.maximum(variance, (LEAST_SD * sd) ** 2)
        worth = self.prior_patients[:, None] + number
        own = np.divide(1.0, worth, out=np.zeros(worth.shape), where=worth > 0)
        spread = np.repeat(outcome_sd(slope[..., covariates:], variance)[:, None], arms, axis=1)
        known = number[..., -1]
        posterior = SequentialPosterior(own, centre, root, slope, variance, df, spread, known)
        reach = VAGUE * (sd[-1] + np.ptp(posterior.mean(), axis=1))
        vague = (worth[..., -1] == 0) * (reach**2 / variance[:, -1])[:, None]
        own[..., -1] += vague
        return posterior

    def _prior_products(self, sd: Float[Array, " V"], covariates: int) -> Float[Array, "K K"]:
        """Return the sums of products that the prior is worth: of covariates, then of visits."""
        products = np.zeros((covariates + len(sd),) * 2)
        products[:covariates, :covariates] = np.eye(covariates) * (self.slope_patients or 0.0)
        same = np.eye(len(sd)) * (1 - self.correlation) + self.correlation
        products[covariates:, covariates:] = self.sd_patients * same * np.outer(sd, sd)
        return products


def outcome_sd(slope: Float[Array, "R V V"], variance: Float[Array, "R V"]) -> Float[Array, " R"]:
    """Return the standard deviation of the last outcome given the covariates, from the regressions' estimates."""
    replicates, visits = variance.shape
    covariance = np.zeros((replicates, visits, visits))
    for t in range(visits):
        along = (slope[:, t, None, :t] * covariance[:, :t, :t]).sum(axis=2)
        covariance[:, t, :t] = covariance[:, :t, t] = along
        covariance[:, t, t] = variance[:, t] + (along * slope[:, t, :t]).sum(axis=1)
    return np.sqrt(covariance[:, -1, -1])
