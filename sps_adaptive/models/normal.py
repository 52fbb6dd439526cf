"""Continuous outcomes, arm by arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from sps_adaptive.contracts import AnalysisModel, AnalysisSetting, Posterior, Snapshot
from sps_adaptive.models.arm_priors import by_arm
from sps_adaptive.models.controls import Controlled
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float

    from sps_adaptive.contracts import Array

VAGUE = 1e6
"""Where the posterior is improper: how many times wider it is made than all that arms differ by."""

LEAST_DF = 0.5
"""Posteriors with fewer degrees of freedom count as improper."""

WIDE = 1000.0
"""How many times wider than the range of all outcomes a plug-in posterior is, of an arm with fewer than two."""

LEAST_SD = 1e-9
"""Smallest standard deviation, as a share of the stated one: outcomes may all be equal."""

Variance = Literal["known", "arm_specific", "common", "plug_in"]

Patients = Annotated[float, Field(ge=0, le=10_000)]


class NormalPrior(Part):
    """A normal distribution for the mean of an arm, with the variance of the mean of `patients` outcomes."""

    mean: float = 0.0
    """The prior mean, on the scale of the endpoint."""
    patients: Patients = 0.0
    """How many outcomes the prior mean is worth; 0 is a flat prior."""


class Normal(Controlled):
    r"""Normal outcomes with conjugate priors: the means of the arms, without covariates.

    With n outcomes of mean :math:`\bar y` and sum of squares S about it in an arm, a prior mean m worth
    :math:`\kappa` patients, and a prior guess s of the standard deviation worth :math:`\nu` patients,

    .. math::
        \theta \mid \text{data} \sim t_{\nu + n}\!\left(\frac{\kappa m + n \bar y}{\kappa + n},\;
        \frac{1}{\kappa + n} \cdot
        \frac{\nu s^2 + S + \frac{\kappa n}{\kappa + n} (\bar y - m)^2}{\nu + n}\right)

    as location and squared scale (normal-inverse-gamma; Gelman et al. 2013, section 3.3). `common` pools S and
    the degrees of freedom over the arms, `known` takes s as the truth and gives normal posteriors. A flat prior
    (:math:`\kappa = 0`) is uniform and costs one degree of freedom: with :math:`\nu = 0` the posteriors are
    those of the t-tests; with a known standard deviation, of the z-test.

    An arm of which nothing is known (a flat prior and no outcome, or no degrees of freedom) would have an
    improper posterior. It gets one that is a million times wider than the standard deviation and the distance
    between the arms: it is better than any other arm with probability one half, to some six digits.

    `plug_in` takes the standard deviation s of each arm as if it were known,
    :math:`\theta \mid \text{data} \sim N(\bar y, s^2 / (n - 1))` with the usual divisor n - 1 in s; an arm with fewer
    than two outcomes has the mean of all outcomes, and a thousand times their range as standard deviation. This is the
    posterior of adaptr (Granholm et al. 2022), to repeat its designs. It is not recommended: as it is normal and not
    Student-t it is too narrow in small arms, and thresholds are crossed too often. It has no prior.

    Use `arm_specific` if treatment may change the spread, `common` for small trials in which it hardly does,
    `known` to plan with a standard deviation from the literature.
    """

    takes: ClassVar[frozenset[str]] = frozenset({"continuous", "timed_walk"})
    scale: ClassVar[str] = "mean"
    needs_baseline: ClassVar[bool] = False

    kind: Literal["normal"]
    variance: Variance
    """Whether the standard deviation is `known`, estimated in each arm alone (`arm_specific`; or as adaptr does,
    `plug_in`), or in all arms in common."""
    sd: Annotated[float, Field(gt=0)]
    """The known standard deviation of an outcome, or the prior guess of it; `plug_in` takes it where no two outcomes
    differ."""
    sd_patients: Patients = 1.0
    """How many outcomes the guess is worth; without meaning where the standard deviation is known or plugged in."""
    prior: NormalPrior = NormalPrior()
    """The prior of the mean of every arm that has none of its own. The default is flat."""
    arm_priors: dict[str, NormalPrior] = Field(default_factory=dict)
    """Priors of single arms, for example of a control with historical data."""

    @model_validator(mode="after")
    def _no_prior_to_plug_in(self) -> Self:
        if self.variance == "plug_in" and (self.arm_priors or self.prior.patients > 0):
            raise ValueError("variance: plug_in has no prior; leave the priors out, or use variance: arm_specific")
        return self

    def bind(self, setting: AnalysisSetting) -> AnalysisModel:
        """Return the model for these arms, oriented: larger is better."""
        mean, patients = prior_arrays(self.prior, self.arm_priors, setting.arms, setting.higher_is_better)
        return BoundNormal(self.variance, self.sd, self.sd_patients, mean, patients)

    def prior_predictive(
        self, setting: AnalysisSetting, n: int, generator: np.random.Generator
    ) -> Float[Array, "n A"] | None:
        """Return scores of new patients; None where a prior is flat."""
        priors = by_arm(self.prior, self.arm_priors, setting.arms)
        return drawn_scores(priors, self.sd, np.inf if self.variance == "known" else self.sd_patients, n, generator)


def drawn_scores(
    priors: tuple[NormalPrior, ...], sd: float, sd_patients: float, n: int, generator: np.random.Generator
) -> Float[Array, "n A"] | None:
    """Return scores of n new patients on each arm as their priors expect them; None where a prior is flat.

    A new score has a Student-t distribution with location m, squared scale s^2 (1 + 1 / kappa) and nu degrees of
    freedom; normal where the standard deviation is known (nu infinite).
    """
    if sd_patients == 0 or any(prior.patients == 0 for prior in priors):
        return None
    shape = (n, len(priors))
    noise = generator.standard_normal(shape)
    if np.isfinite(sd_patients):
        noise /= np.sqrt(generator.chisquare(sd_patients, (n, 1)) / sd_patients)
    spread = np.array([sd * np.sqrt(1 + 1 / prior.patients) for prior in priors])
    return np.array([prior.mean for prior in priors]) + spread * noise


@dataclass(frozen=True, eq=False)
class BoundNormal:
    """The normal analysis of given arms."""

    variance: Variance
    sd: float
    sd_patients: float
    prior_mean: Float[Array, " A"]
    """Oriented."""
    prior_patients: Float[Array, " A"]

    def fit(self, snapshot: Snapshot) -> Posterior:
        """Return the posterior given the outcomes of the last visit that are known."""
        from sps_adaptive.posteriors.gaussian import GaussianPosterior
        from sps_adaptive.posteriors.joint_student import JointStudentPosterior
        from sps_adaptive.posteriors.predictive_normal import NormalPriors
        from sps_adaptive.posteriors.student import StudentPosterior

        value = np.ascontiguousarray(snapshot.value[..., -1])
        seen = arm_products_of(snapshot, value, value)
        if self.variance == "plug_in":
            return GaussianPosterior(*plugged_in(seen, snapshot, self.sd))
        patients, location, spread = update_means(seen, self.prior_mean, self.prior_patients)
        vague = vague_variance(location, self.sd)
        gained = degrees_of_freedom(seen.n, self.prior_patients)
        start = NormalPriors(self.prior_mean, self.prior_patients, self.sd, self.sd_patients)
        if self.variance == "known":
            own = own_variance(patients, vague / self.sd**2)
            return GaussianPosterior(location, self.sd * np.sqrt(own), np.full_like(own, self.sd), start)
        if self.variance == "arm_specific":
            scale, df = pooled_variance(spread, gained, self.sd, self.sd_patients, vague)
            own = own_variance(patients, vague / scale)
            stated = self.sd_patients + gained < LEAST_DF  # nothing is known of the spread but the guess
            outcome = np.where(stated, self.sd, np.sqrt(scale))
            return StudentPosterior(location, np.sqrt(scale * own), df, outcome, 1 / own, start)
        scale, df = pooled_variance(spread.sum(axis=1), gained.sum(axis=1), self.sd, self.sd_patients, vague[:, 0])
        own = own_variance(patients, vague / scale[:, None])
        return JointStudentPosterior(location, own, np.zeros_like(own), scale, df, start=start)


class Products(NamedTuple):
    """Means and centred sums of products of two variables, by arm."""

    n: Float[Array, "R A"]
    mean_x: Float[Array, "R A"]
    mean_y: Float[Array, "R A"]
    xx: Float[Array, "R A"]
    xy: Float[Array, "R A"]
    yy: Float[Array, "R A"]


def arm_products_of(snapshot: Snapshot, x: Float[Array, "R N"], y: Float[Array, "R N"]) -> Products:
    """Return the products of x and y over the patients whose last outcome is known."""
    from sps_adaptive.kernels import arm_products

    products = Products(*np.zeros((6, len(snapshot.arm), snapshot.n_arms)))
    known = np.ascontiguousarray(snapshot.known[..., -1])
    arm_products(snapshot.arm, known, x, y, *products)
    return products


def plugged_in(
    seen: Products, snapshot: Snapshot, sd: float
) -> tuple[Float[Array, "R A"], Float[Array, "R A"], Float[Array, "R A"]]:
    """Return what a posterior is that takes each arm's standard deviation as known; see `Normal`.

    Equal outcomes have a standard deviation of next to nothing, and none at all that of the scenario.

    Returns
    -------
    tuple
        Posterior mean, posterior standard deviation, and standard deviation of an outcome, by arm.
    """
    known, value = snapshot.known[..., -1], snapshot.value[..., -1]
    total = seen.n.sum(axis=1, keepdims=True)
    overall = (seen.n * seen.mean_y).sum(axis=1, keepdims=True) / np.maximum(total, 1)
    high = np.where(known, value, -np.inf).max(axis=1, keepdims=True)
    low = np.where(known, value, np.inf).min(axis=1, keepdims=True)
    reach = np.where(total > 1, np.maximum(high - low, LEAST_SD * sd), sd)
    enough = seen.n >= 2
    n = np.where(enough, seen.n, 2.0)
    outcome = np.maximum(np.sqrt(seen.yy / (n - 1)), LEAST_SD * sd)
    mean, own = np.where(enough, seen.mean_y, overall), np.where(enough, outcome / np.sqrt(n - 1), WIDE * reach)
    return mean, own, np.where(enough, outcome, sd)


def prior_arrays(
    prior: NormalPrior, arm_priors: Mapping[str, NormalPrior], arms: tuple[str, ...], higher_is_better: bool
) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
    """Return the oriented prior mean of each arm, and the patients it is worth."""
    priors = by_arm(prior, arm_priors, arms)
    mean = np.array([one.mean for one in priors])
    return (mean if higher_is_better else -mean), np.array([one.patients for one in priors])


def update_means(
    seen: Products, prior_mean: Float[Array, " A"], prior_patients: Float[Array, " A"]
) -> tuple[Float[Array, "R A"], Float[Array, "R A"], Float[Array, "R A"]]:
    """Return patients, location and sum of squares of each arm, those of the prior included."""
    patients = prior_patients + seen.n
    share = seen.n / np.where(patients > 0, patients, 1.0)
    location = prior_mean + share * (seen.mean_y - prior_mean)
    return patients, location, seen.yy + prior_patients * share * (seen.mean_y - prior_mean) ** 2


def vague_variance(location: Float[Array, "R A"], sd: float) -> Float[Array, "R A"]:
    """Return a variance, the same for all arms, beside which their differences and the outcomes' spread are nothing."""
    reach = sd + np.ptp(location, axis=1, keepdims=True)
    return np.broadcast_to((VAGUE * reach) ** 2, location.shape)


def own_variance(patients: Float[Array, "R A"], vague: Float[Array, "R A"]) -> Float[Array, "R A"]:
    """Return the variance of each arm's mean, in units of that of an outcome; `vague` without any patients."""
    return np.where(patients > 0, 1 / np.where(patients > 0, patients, 1.0), vague)


def degrees_of_freedom(n: Float[Array, "R A"], prior_patients: Float[Array, " A"]) -> Float[Array, "R A"]:
    """Return what each arm adds to the degrees of freedom: a mean with a flat prior uses one up."""
    return n - ((prior_patients == 0) & (n > 0))


def pooled_variance(
    spread: Float[Array, "..."],
    gained: Float[Array, "..."],
    sd: float,
    sd_patients: float,
    vague: Float[Array, "..."],
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Return the scale of the variance and its degrees of freedom, those of the prior guess included.

    Without degrees of freedom it is `vague`, with one.
    """
    df = sd_patients + gained
    proper = df >= LEAST_DF
    variance = (sd_patients * sd**2 + spread) / np.where(proper, df, 1.0)
    return np.where(proper, np.maximum(variance, (LEAST_SD * sd) ** 2), vague), np.where(proper, df, 1.0)
