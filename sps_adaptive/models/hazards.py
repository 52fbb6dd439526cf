"""What the analyses of hazards share: their priors, their covariates, and how all but the arms is summed out."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import DAYS_PER_MONTH, AnalysisSetting, Posterior, Snapshot
from sps_adaptive.models.arm_priors import by_arm
from sps_adaptive.models.controls import Controlled
from sps_adaptive.part import Name, Part

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

NODES_BY_PARAMETERS = {1: 11, 2: 7, 3: 5, 4: 4}
"""Nodes for each shared parameter, where a product rule is used."""

SPREAD_POINTS = 512
"""Points where there are more parameters than a product rule can take."""

FIRST_MONTHS = 1e-6
"""Events before this month, some three seconds, count as if they came then: their time has a logarithm."""


class HazardPrior(Part):
    """A gamma distribution for the hazard of an arm, worth some events in some months of follow-up."""

    events: Annotated[float, Field(ge=0.1, le=10_000)] = 1.0
    """Events the prior is worth."""
    months: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Patient-months they come in; left out: as many for each event as a patient is followed."""


class HazardModel(Controlled):
    """An analysis of hazards with a gamma prior for each arm."""

    takes: ClassVar[frozenset[str]] = frozenset({"time_to_event"})
    scale: ClassVar[str] = "log_hazard"
    needs_baseline: ClassVar[bool] = False
    left_out: ClassVar[str] = "Patients without the event count with the time for which they were followed."

    prior: HazardPrior = HazardPrior()
    """The prior of the hazard of every arm that has none of its own. The default is one event in one patient's months
    of follow-up: with a constant hazard, every probability of an event by then is equally likely."""
    arm_priors: dict[str, HazardPrior] = Field(default_factory=dict)
    """Priors of single arms, for example of a control with historical data."""
    covariates: tuple[Name, ...] = ()
    """Covariates of the population that the hazard depends on; then arms are compared at the average patient."""
    covariate_sd: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Prior standard deviation of the log hazard ratio of each level against the first; the prior mean is 0."""

    def gamma(self, setting: AnalysisSetting) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
        """Return prior events and months of each arm."""
        priors = by_arm(self.prior, self.arm_priors, setting.arms)
        months = [each.months or each.events * setting.endpoint.follow_up_months for each in priors]
        return np.array([each.events for each in priors]), np.array(months)

    def problems(self, setting: AnalysisSetting) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return what cannot be about the model in its trial, as (path, message, hint)."""
        found = super().problems(setting)
        hint = f"the covariates are: {', '.join(setting.factors)}" if setting.factors else "add it to the population"
        for position, name in enumerate(self.covariates):
            if name not in setting.factors:
                found.append((("covariates", position), f"there is no covariate '{name}'", hint))
            elif name in self.covariates[:position]:
                found.append((("covariates", position), f"the covariate '{name}' stands twice", "name it once"))
        return found

    def prior_means(
        self, setting: AnalysisSetting, n: int, generator: np.random.Generator
    ) -> Float[Array, "n A"] | None:
        """Return n draws of each arm's log hazard from the prior."""
        return np.log(self._hazards(setting, n, generator))

    def prior_predictive(
        self, setting: AnalysisSetting, n: int, generator: np.random.Generator
    ) -> Float[Array, "n A"] | None:
        """Return n draws of the probability that an average patient has the event by the end of follow-up."""
        hazard = self._hazards(setting, n, generator)
        return -np.expm1(-hazard * self.exposure(setting.endpoint.follow_up_months, n, generator)[:, None])

    def exposure(self, end: float, n: int, generator: np.random.Generator) -> Float[Array, " n"]:
        """Return n draws of the cumulative hazard at the end of follow-up, as a multiple of an arm's hazard."""
        raise NotImplementedError

    def _hazards(self, setting: AnalysisSetting, n: int, generator: np.random.Generator) -> Float[Array, "n A"]:
        events, months = self.gamma(setting)
        return generator.gamma(events, 1 / months, (n, len(events)))


class Rows(NamedTuple):
    """Patients, or parts of their follow-up, as the likelihood sees them; see `hazard_kernels.evaluate`."""

    arm: Int[Array, "R M"]
    """-1 where there is nothing."""
    log_base: Float[Array, "R M"]
    log_time: Float[Array, "R M"]
    events: Float[Array, "R M"]
    design: Float[Array, "R M L"]


class Shared(NamedTuple):
    """What all arms share."""

    centre: Float[Array, " P"]
    """Prior means."""
    width: Float[Array, " P"]
    """Prior standard deviations."""
    has_power: bool = False
    """Whether the last parameter is the log shape of a Weibull distribution."""


class Follow(NamedTuple):
    """What is known of the follow-up of each patient."""

    arm: Int[Array, "R N"]
    """-1 for patients not enrolled, and for those enrolled on this very day."""
    months: Float[Array, "R N"]
    """Until the event, or so far without it."""
    event: Float[Array, "R N"]


def follow_up(snapshot: Snapshot, higher_is_better: bool) -> Follow:
    """Return what is known of the follow-up of each patient, in months."""
    assert snapshot.followed is not None, "the time on study is not known"
    here = snapshot.arm >= 0
    known = snapshot.known[..., -1] & here
    event = known & (np.where(known, snapshot.value[..., -1], 0.0) == float(higher_is_better))
    months = np.where(known, snapshot.value[..., 0], snapshot.followed / DAYS_PER_MONTH)
    months = np.where(event, np.maximum(months, FIRST_MONTHS), months)
    here &= event | (months > 0)
    return Follow(np.where(here, snapshot.arm, -1).astype(np.int64), np.where(here, months, 1.0), event.astype(float))


def sum_out(
    rows: Rows,
    events: Float[Array, "R A"],
    prior: tuple[Float[Array, " A"], Float[Array, " A"]],
    shared: Shared,
    end: float,
    higher_is_better: bool,
) -> Posterior:
    """Return the posterior of the arms, with what they share summed over nodes.

    Parameters
    ----------
    rows
        The data.
    events
        Events of each arm.
    prior
        Prior events and months of each arm.
    shared
        The prior of what the arms share.
    end
        Months of follow-up.
    higher_is_better
        Whether events are good.
    """
    from sps_adaptive.models.hazard_kernels import place
    from sps_adaptive.posteriors.log_gamma import LogGammaPosterior

    standard, log_weight, rounds = nodes(len(shared.centre))
    shape = prior[0] + events
    log_rate = np.zeros((len(events), len(standard), events.shape[1]))
    weight, failed = np.zeros(log_rate.shape[:2]), np.zeros(len(events), bool)
    place(
        *rows, shape, prior[1], shared.has_power, shared.centre, shared.width, standard, log_weight, rounds,
        log_rate, weight, failed,
    )  # fmt: skip
    typical = np.exp((weight[:, :, None] * log_rate).sum(axis=1))
    chance = -np.expm1(-shape * np.log1p(end / typical))  # of an event of one average patient
    sign = 1.0 if higher_is_better else -1.0
    return LogGammaPosterior(shape, log_rate, weight, sign, 1 / np.sqrt(chance), events / chance, failed)


@lru_cache(maxsize=16)
def nodes(parameters: int) -> tuple[Float[Array, "Q P"], Float[Array, " Q"], int]:
    """Return nodes and log weights of a rule for standard normal variables, and how often they are placed anew.

    Up to four parameters a product of Gauss-Hermite rules, beyond that the points of `posteriors.draws.sobol`. The
    answer is kept for the next call: it must not be written to.
    """
    if parameters == 0:
        return np.zeros((1, 0)), np.zeros(1), 0
    if parameters in NODES_BY_PARAMETERS:
        from numpy.polynomial.hermite_e import hermegauss

        point, weight = hermegauss(NODES_BY_PARAMETERS[parameters])
        grid = np.stack([each.ravel() for each in np.meshgrid(*[point] * parameters, indexing="ij")], axis=1)
        share = np.stack([each.ravel() for each in np.meshgrid(*[np.log(weight)] * parameters, indexing="ij")])
        return np.ascontiguousarray(grid), share.sum(axis=0), 1
    from sps_adaptive.arrays import normal_quantile
    from sps_adaptive.posteriors.draws import sobol

    return np.ascontiguousarray(normal_quantile(sobol(SPREAD_POINTS, parameters))), np.zeros(SPREAD_POINTS), 1


def events_by_arm(follow: Follow, arms: int) -> Float[Array, "R A"]:
    """Return the number of events on each arm."""
    return np.stack([np.where(follow.arm == a, follow.event, 0.0).sum(axis=1) for a in range(arms)], axis=1)


def n_columns(setting: AnalysisSetting, names: tuple[str, ...]) -> int:
    """Return how many columns the covariates have."""
    return sum(len(setting.factors[name]) - 1 for name in names)
