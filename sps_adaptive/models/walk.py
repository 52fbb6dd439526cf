"""A timed walk in two parts: who can walk, and how fast."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import AnalysisModel, AnalysisSetting, Posterior, Snapshot
from sps_adaptive.models.beta_binomial import BetaPrior
from sps_adaptive.models.controls import Controlled
from sps_adaptive.models.normal import (
    NormalPrior,
    Patients,
    arm_products_of,
    degrees_of_freedom,
    own_variance,
    pooled_variance,
    update_means,
    vague_variance,
)
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

DRAWS = 1024
"""Points of the sum over the posterior."""


class SecondsPrior(Part):
    """The prior of the seconds on an arm."""

    median: Annotated[float, Field(gt=0, le=1e4)] = 10.0
    """Median seconds of those who can walk."""
    patients: Annotated[float, Field(gt=0, le=10_000)] = 0.5
    """How many outcomes the prior of the mean log seconds is worth; with half of one and a standard deviation of 0.5
    the median is between 2.5 and 40 seconds with probability 95%, if it is stated as 10."""


class Walk(Controlled):
    r"""Two parts of a timed walk: a Beta posterior for the share who cannot, and log-normal seconds for those who can.

    .. math::
        q_a \sim \mathrm{Beta}(\alpha, \beta), \qquad
        \log t_i \sim N(\mu_a, \sigma^2), \qquad \mu_a \mid \sigma \sim N(m, \sigma^2 / \kappa),

    with a common :math:`\sigma` (prior guess `sd`, worth `sd_patients` outcomes), all conjugate. What is compared
    puts the two together, by one of two estimands with finite moments (the mean seconds have none: log t is
    Student-t):

    - `within_seconds`: :math:`\theta_a = (1 - q_a)\, \Phi((\log c - \mu_a) / \sigma)`, the probability to walk the
      distance
      within c seconds;
    - `win_probability`: the probability that a patient on the arm is faster than one on the control, ties (neither can
      walk) counted half; the control has one half. Of three or more arms, each is compared with the control.

    Probabilities are sums over 1,024 Sobol points of the posterior, with the arm's :math:`\mu_a` integrated out exactly
    given the others (Rao-Blackwell), so that their error is some 1e-3. Source: Lachenbruch (2001) for two-part
    models; Acion et al. (2006) for the win probability.
    """

    takes: ClassVar[frozenset[str]] = frozenset({"timed_walk"})
    needs_baseline: ClassVar[bool] = False

    kind: Literal["walk"]
    estimand: Literal["within_seconds", "win_probability"] = "win_probability"
    """What is compared."""
    seconds: Annotated[float, Field(gt=0, le=1e4)] = 8.0
    """The c of `within_seconds`."""
    sd: Annotated[float, Field(gt=0, le=5)] = 0.5
    """Prior guess of the standard deviation of log seconds."""
    sd_patients: Patients = 5.0
    """How many outcomes the guess is worth; with 1 the prior would expect walkers faster than anybody runs."""
    prior: SecondsPrior = SecondsPrior()
    """The prior of the seconds on every arm."""
    cannot_walk: BetaPrior = BetaPrior(alpha=0.5, beta=4.5)
    """The prior of the share who cannot walk: by default a tenth, worth five patients."""

    @property
    def scale(self) -> str:
        """The estimand, with its number of seconds."""
        return self.estimand if self.estimand == "win_probability" else f"within_{self.seconds:g}_seconds"

    def bind(self, setting: AnalysisSetting) -> AnalysisModel:
        """Return the model for these arms: more is better."""
        return BoundWalk(
            estimand=self.estimand,
            log_seconds=float(np.log(self.seconds)),
            log_distance=float(np.log(getattr(setting.endpoint, "distance", 25.0))),
            sd=self.sd,
            sd_patients=self.sd_patients,
            prior=NormalPrior(mean=float(np.log(self.prior.median)), patients=self.prior.patients),
            cannot=(self.cannot_walk.alpha, self.cannot_walk.beta),
            control=setting.control,
        )

    def prior_predictive(
        self, setting: AnalysisSetting, n: int, generator: np.random.Generator
    ) -> Float[Array, "n A"] | None:
        """Return speeds of new patients; None where nothing is said of the spread."""
        if self.sd_patients == 0:
            return None
        shape = (n, len(setting.arms))
        sigma = self.sd / np.sqrt(generator.chisquare(self.sd_patients, (n, 1)) / self.sd_patients)
        spread = sigma * np.sqrt(1 + 1 / self.prior.patients)
        log_seconds = np.log(self.prior.median) + spread * generator.standard_normal(shape)
        cannot = generator.random(shape) < generator.beta(self.cannot_walk.alpha, self.cannot_walk.beta, shape)
        distance = getattr(setting.endpoint, "distance", 25.0)
        return np.where(cannot, 0.0, distance * np.exp(-np.clip(log_seconds, -50, 50)))


@dataclass(frozen=True, eq=False)
class BoundWalk:
    """The two-part analysis of given arms."""

    estimand: str
    log_seconds: float
    log_distance: float
    sd: float
    sd_patients: float
    prior: NormalPrior
    """Of the mean log seconds."""
    cannot: tuple[float, float]
    control: int

    def fit(self, snapshot: Snapshot) -> Posterior:
        """Return the posterior given the speeds that are known."""
        from sps_adaptive.posteriors.walk import WalkPosterior

        speed = snapshot.value[..., -1]
        walks = snapshot.known[..., -1] & (speed > 0)
        log_seconds = self.log_distance - np.log(np.where(walks, speed, 1.0))
        seen = arm_products_of(snapshot._replace(known=walks[..., None]), log_seconds, log_seconds)
        arms = snapshot.n_arms
        mean, patients = np.full(arms, self.prior.mean), np.full(arms, self.prior.patients)
        total, location, spread = update_means(seen, mean, patients)
        gained = degrees_of_freedom(seen.n, patients).sum(axis=1)
        vague = vague_variance(location, self.sd)
        variance, df = pooled_variance(spread.sum(axis=1), gained, self.sd, self.sd_patients, vague[:, 0])
        own = own_variance(total, vague / variance[:, None])
        cannot = snapshot.arm_known - seen.n.astype(np.int64)
        return WalkPosterior.drawn(
            location=location,
            own=own,
            variance=variance,
            df=df,
            cannot=_share_draws(cannot, seen.n.astype(np.int64), self.cannot),
            known=snapshot.arm_known,
            bound=self.log_seconds if self.estimand == "within_seconds" else None,
            control=self.control,
        )


def _share_draws(
    cannot: Int[Array, "R A"], can: Int[Array, "R A"], prior: tuple[float, float]
) -> Float[Array, "R S A"]:
    """Return draws of the share who cannot walk, from a table of quantiles for each pair of counts that occurs."""
    arms = cannot.shape[1]
    drawn = np.empty((len(cannot), DRAWS, arms))
    for arm in range(arms):
        pairs, which = np.unique(np.stack([cannot[:, arm], can[:, arm]], axis=1), axis=0, return_inverse=True)
        table = np.stack([_quantiles(prior[0] + int(x), prior[1] + int(y), arm, arms) for x, y in pairs])
        drawn[..., arm] = table[which.reshape(-1)]
    return drawn


@lru_cache(maxsize=4096)
def _quantiles(alpha: float, beta: float, arm: int, arms: int) -> Float[Array, " S"]:
    from scipy.special import betaincinv

    from sps_adaptive.posteriors.draws import sobol

    return np.asarray(betaincinv(alpha, beta, sobol(DRAWS, 2 * arms + 1)[:, arm]))
