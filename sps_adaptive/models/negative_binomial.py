"""Counts of events in diaries: rates, with patients who differ."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import AnalysisModel, AnalysisSetting, Posterior, Snapshot
from sps_adaptive.models.arm_priors import by_arm
from sps_adaptive.models.controls import Controlled
from sps_adaptive.models.covariates import CoefficientPrior, columns, covariate_problems
from sps_adaptive.part import Name, Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float

    from sps_adaptive.contracts import Array

FOLD = 1.959963984540054
"""Standard deviations from the median to the end of an interval of 95%."""

NO_DISPERSION = -30.0, 1.0
"""Mean and standard deviation of the log dispersion that stand for Poisson counts in a regression."""

NODES, POINTS = 20, 40
"""Points of the grids of the log dispersion and of each log rate: errors of probabilities are some 1e-7."""


class RatePrior(Part):
    """A log-normal distribution for the rate of an arm."""

    median: Annotated[float, Field(gt=0, le=1e6)]
    """Prior median: events a week."""
    fold: Annotated[float, Field(gt=1, le=1e6)] = 20.0
    """With a probability of 95% the rate is at most this many times larger or smaller than the median."""


class DispersionPrior(Part):
    """A log-normal distribution for the dispersion, which is the squared coefficient of variation between patients."""

    median: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Prior median; 1 is that of exponentially distributed rates."""
    fold: Annotated[float, Field(gt=1, le=1e6)] = 8.0
    """With a probability of 95% the dispersion is at most this many times larger or smaller than the median."""


class NegativeBinomial(Controlled):
    r"""Negative binomial counts with a log-normal prior for the rate of each arm and for the dispersion.

    A patient of arm a with t weeks of diary has a count of mean :math:`\mu = t e^{\theta_a}` and variance
    :math:`\mu + \phi \mu^2`. The priors are :math:`\theta_a \sim N(\log m_a, s_a^2)` and
    :math:`\log \phi \sim N(\log m_\phi, s_\phi^2)`, with :math:`s = \log(\text{fold}) / 1.96`; one dispersion for all
    arms. Given :math:`\phi` the arms are independent, and the posterior is

    .. math:: p(\theta, \phi \mid y) \propto p(\phi) \prod_i \frac{\Gamma(y_i + 1/\phi)}{\Gamma(1/\phi)\,\phi^{-y_i}}
        \prod_a e^{s_a \theta_a} p(\theta_a) \prod_{i \in a} (1 + \phi t_i e^{\theta_a})^{-(y_i + 1/\phi)}

    with the sum :math:`s_a` of the counts of an arm. All integrals are taken on grids that follow the posterior, with
    errors of probabilities below 1e-6. With covariates, :math:`\log \mu_i = \log t_i + \theta_{a(i)} + \gamma^\top x_i`
    and :math:`\gamma_c \sim N(0, t^2)`, they come from Laplace's method, applied anew at every value of the contrast
    (Tierney and Kadane 1986), with errors of some 1e-4. The scale of the analysis is the log rate of the average
    patient: differences are logs of rate ratios, and a margin of 0.22 is a rate ratio of 1.25.

    Use it for spasms, falls or attacks in a diary, complete or not. Counts of patients who differ are more variable
    than Poisson counts, and an analysis that does not know it claims too much (Lawless 1987); `dispersion: poisson` is
    for comparison, or for events that come to all patients alike. Patients without an assessment say nothing.

    References
    ----------
    Lawless JF (1987). Negative binomial and mixed Poisson regression. Canadian Journal of Statistics 15:209-225.
    Tierney L, Kadane JB (1986). Accurate approximations for posterior moments and marginal densities. Journal of the
    American Statistical Association 81:82-86.
    """

    takes: ClassVar[frozenset[str]] = frozenset({"count"})
    scale: ClassVar[str] = "log_rate"
    needs_baseline: ClassVar[bool] = False

    kind: Literal["negative_binomial"]
    prior: RatePrior
    """The prior of the rate of every arm that has none of its own: `prior: {median: 5}` for some 5 events a week."""
    arm_priors: dict[str, RatePrior] = Field(default_factory=dict)
    """Priors of single arms, for example of a control with historical data."""
    dispersion: DispersionPrior | Literal["poisson"] = DispersionPrior()
    """The prior of the dispersion; `poisson` for none."""
    covariates: tuple[Name, ...] = ()
    """What the analysis adjusts for: covariates of the population, or `baseline`."""
    coefficients: CoefficientPrior = CoefficientPrior(sd=1.0)
    """The prior of each covariate's coefficient, the log of a rate ratio."""

    def problems(self, setting: AnalysisSetting) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return what cannot be about the covariates."""
        return covariate_problems(setting, self.covariates)

    def bind(self, setting: AnalysisSetting) -> AnalysisModel:
        """Return the model for these arms, oriented: larger is better."""
        priors = by_arm(self.prior, self.arm_priors, setting.arms)
        sign = 1.0 if setting.higher_is_better else -1.0
        dispersion = None if self.dispersion == "poisson" else log_normal(self.dispersion)
        arms = BoundNegativeBinomial(*_arrays(priors), dispersion, sign, getattr(setting.endpoint, "over_weeks", 1.0))
        if not self.covariates:
            return arms
        return BoundRegression(arms, columns(setting, self.covariates), self.coefficients.sd)

    def prior_means(self, setting: AnalysisSetting, n: int, generator: np.random.Generator) -> Float[Array, "n A"]:
        """Return draws of each arm's log rate."""
        mean, sd = _arrays(by_arm(self.prior, self.arm_priors, setting.arms))
        return mean + sd * generator.standard_normal((n, len(mean)))

    def prior_predictive(self, setting: AnalysisSetting, n: int, generator: np.random.Generator) -> Float[Array, "n A"]:
        """Return the counts of new average patients with complete diaries."""
        weeks = getattr(setting.endpoint, "over_weeks", 1.0)
        expected = weeks * np.exp(self.prior_means(setting, n, generator))
        if self.dispersion != "poisson":
            centre, spread = log_normal(self.dispersion)
            dispersion = np.exp(centre + spread * generator.standard_normal((n, 1)))
            expected = expected * generator.gamma(1 / dispersion, dispersion, expected.shape)
        return generator.poisson(np.minimum(expected, 1e15)).astype(np.float64)


@dataclass(frozen=True, eq=False)
class BoundNegativeBinomial:
    """The analysis of counts on given arms."""

    prior_mean: Float[Array, " A"]
    """Of the log rate, not oriented."""
    prior_sd: Float[Array, " A"]
    dispersion: tuple[float, float] | None
    """Mean and standard deviation of the log dispersion before any data; None for Poisson counts."""
    sign: float
    """1 where more events are better, -1 where fewer are."""
    weeks: float
    """How long a complete diary is."""

    def fit(self, snapshot: Snapshot) -> Posterior:
        """Return the posterior of the oriented log rates given the diaries that are known."""
        from sps_adaptive.models.negative_binomial_kernels import fill_posterior
        from sps_adaptive.posteriors.tabulated import TabulatedPosterior

        known = np.ascontiguousarray(snapshot.known[..., -1])
        weeks, count = np.ascontiguousarray(snapshot.value[..., 0]), self.sign * snapshot.value[..., -1]
        nodes = 1 if self.dispersion is None else NODES
        shape = len(known), nodes, snapshot.n_arms
        log_dispersion, weight = np.zeros((2, *shape[:2]))
        start, step = np.empty((2, *shape))
        table = np.empty((*shape, POINTS, 3))
        fill_posterior(
            snapshot.arm, known, weeks, count, self.prior_mean, self.prior_sd, *(self.dispersion or (0.0, 1.0)),
            self.sign, log_dispersion, weight, start, step, table,
        )  # fmt: skip
        posterior = TabulatedPosterior(weight, start, step, table, np.ones(shape[::2]), snapshot.arm_known)
        dispersion = 0.0 if self.dispersion is None else np.exp((weight * log_dispersion).sum(axis=1, keepdims=True))
        mean = self.weeks * np.exp(np.clip(self.sign * posterior.mean(), -300, 300))
        return replace(posterior, spread=np.sqrt(1 / mean + dispersion))


@dataclass(frozen=True, eq=False)
class BoundRegression:
    """The analysis of counts on given arms, adjusted for covariates."""

    arms: BoundNegativeBinomial
    columns: Callable[[Snapshot], Float[Array, "R N C"]]
    coefficient_sd: float

    def fit(self, snapshot: Snapshot) -> Posterior:
        """Return the posterior of the oriented log rates given the diaries that are known."""
        from sps_adaptive.models.negative_binomial_density import NegativeBinomialDensity
        from sps_adaptive.posteriors.marginal import MarginalPosterior

        of, n_arms = self.arms, snapshot.n_arms
        covariates = np.ascontiguousarray(self.columns(snapshot))
        more, dispersion = covariates.shape[2], of.dispersion or NO_DISPERSION
        density = NegativeBinomialDensity(
            snapshot.arm,
            np.ascontiguousarray(snapshot.known[..., -1]),
            np.ascontiguousarray(snapshot.value[..., 0]),
            of.sign * snapshot.value[..., -1],
            covariates,
            np.concatenate([of.prior_mean, np.zeros(more), [dispersion[0]]]),
            np.concatenate([of.prior_sd, np.full(more, self.coefficient_sd), [dispersion[1]]]),
            n_arms,
        )
        picks = of.sign * np.eye(n_arms, density.n_parameters)
        posterior = MarginalPosterior(density, picks, np.ones(snapshot.arm_known.shape), snapshot.arm_known)
        mode = np.clip(posterior.modes.at, -300, 300)
        spread = np.sqrt(1 / (of.weeks * np.exp(mode[:, :n_arms])) + np.exp(mode[:, -1:]))
        return replace(posterior, spread=spread)


def log_normal(prior: RatePrior | DispersionPrior) -> tuple[float, float]:
    """Return mean and standard deviation of the logarithm."""
    return math.log(prior.median), math.log(prior.fold) / FOLD


def _arrays(priors: tuple[RatePrior, ...]) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
    mean, sd = np.array([log_normal(prior) for prior in priors]).T
    return np.ascontiguousarray(mean), np.ascontiguousarray(sd)
