"""Binary outcomes, adjusted for covariates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import AnalysisModel, AnalysisSetting, Posterior, Snapshot
from sps_adaptive.models.arm_priors import by_arm
from sps_adaptive.models.controls import Controlled
from sps_adaptive.models.covariates import CoefficientPrior, columns, covariate_problems
from sps_adaptive.part import Name, Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class LogOddsPrior(Part):
    """A normal distribution for the log odds of the event, of an average patient on an arm.

    With the default 95% of the prior lie between probabilities of 0.7% and 99.3%.
    """

    mean: Annotated[float, Field(ge=-20, le=20)] = 0.0
    """The prior mean: 0 is a probability of one half."""
    sd: Annotated[float, Field(gt=0, le=100)] = 2.5
    """The prior standard deviation."""


class Logistic(Controlled):
    r"""Logistic regression: a log odds for each arm, and a coefficient for each covariate.

    .. math:: \mathrm{logit}\, P(y_i = 1) = \theta_{a(i)} + \gamma^\top x_i, \qquad
        \theta_a \sim N(m_a, s_a^2), \quad \gamma_c \sim N(0, t^2)

    with the covariates centred, so that :math:`\theta_a` is the log odds of the average patient, and differences of
    arms are log odds ratios given the covariates. The priors are proper, so complete separation and arms without
    patients leave a posterior (Gelman, Jakulin, Pittau and Su 2008 discuss such priors). Probabilities come from
    Laplace's method, applied anew at every value of the contrast (Tierney and Kadane 1986).

    Use it for response yes or no where covariates predict response: adjusting gains power, and the odds ratio for a
    given patient is larger than that of the whole population (Gail, Wieand and Piantadosi 1984). Without covariates the
    arms are independent, and `beta_binomial` asks the same on the scale of probabilities. If the event harms (`better:
    lower`), priors are still stated for the event, and the analysis turns them round.
    """

    takes: ClassVar[frozenset[str]] = frozenset({"binary"})
    scale: ClassVar[str] = "log_odds"
    needs_baseline: ClassVar[bool] = False

    kind: Literal["logistic"]
    prior: LogOddsPrior = LogOddsPrior()
    """The prior of the log odds of every arm that has none of its own."""
    arm_priors: dict[str, LogOddsPrior] = Field(default_factory=dict)
    """Priors of single arms, for example of a control with historical data."""
    covariates: tuple[Name, ...] = ()
    """What the analysis adjusts for: covariates of the population, or `baseline`."""
    coefficients: CoefficientPrior = CoefficientPrior()
    """The prior of each covariate's coefficient, a log odds ratio."""

    def problems(self, setting: AnalysisSetting) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return what cannot be about the covariates."""
        return covariate_problems(setting, self.covariates)

    def bind(self, setting: AnalysisSetting) -> AnalysisModel:
        """Return the model for these arms, oriented: larger is better."""
        sign = 1.0 if setting.higher_is_better else -1.0
        priors = by_arm(self.prior, self.arm_priors, setting.arms)
        return BoundLogistic(
            np.array([sign * prior.mean for prior in priors]),
            np.array([prior.sd for prior in priors]),
            columns(setting, self.covariates),
            self.coefficients.sd,
        )

    def prior_means(self, setting: AnalysisSetting, n: int, generator: np.random.Generator) -> Float[Array, "n A"]:
        """Return draws of each arm's log odds of the event."""
        priors = by_arm(self.prior, self.arm_priors, setting.arms)
        return np.stack([generator.normal(prior.mean, prior.sd, n) for prior in priors], axis=1)

    def prior_predictive(self, setting: AnalysisSetting, n: int, generator: np.random.Generator) -> Float[Array, "n A"]:
        """Return whether new average patients have the event."""
        from scipy.special import expit

        chance = expit(self.prior_means(setting, n, generator))
        return (generator.random(chance.shape) < chance).astype(float)


@dataclass(frozen=True, eq=False)
class BoundLogistic:
    """The logistic regression of given arms."""

    mean: Float[Array, " A"]
    """Oriented prior means of the log odds."""
    sd: Float[Array, " A"]
    columns: Callable[[Snapshot], Float[Array, "R N C"]]
    coefficient_sd: float

    def fit(self, snapshot: Snapshot) -> Posterior:
        """Return the posterior given the outcomes of the last visit that are known."""
        from sps_adaptive.posteriors.logit import LogisticDensity
        from sps_adaptive.posteriors.marginal import MarginalPosterior

        known = snapshot.known[..., -1] & (snapshot.arm >= 0)
        event = np.where(known, snapshot.value[..., -1], 0.0).astype(float)
        covariates = np.ascontiguousarray(self.columns(snapshot))
        more = covariates.shape[2]
        density = LogisticDensity(
            np.where(known, snapshot.arm, -1),
            event,
            covariates,
            np.concatenate([self.mean, np.zeros(more)]),
            np.concatenate([self.sd**-2.0, np.full(more, self.coefficient_sd**-2.0)]),
        )
        arms = np.eye(len(self.mean), len(self.mean) + more)
        share = (snapshot.arm_total + 0.5) / (snapshot.arm_known + 1)
        return MarginalPosterior(density, arms, patient_sd(share), snapshot.arm_known)


def patient_sd(share: Float[Array, "R A"]) -> Float[Array, "R A"]:
    r"""Return what stands for the standard deviation of one patient's outcome on the scale of log odds.

    The log odds of n patients, a share p of whom responds, has about the variance :math:`1 / (n p (1 - p))`.
    """
    return 1 / np.sqrt(share * (1 - share))
