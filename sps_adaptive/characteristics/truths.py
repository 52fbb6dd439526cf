"""What is true: which arms are effective, which is best. Known from the truth, never guessed from results."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.arrays import normal_quantile
from sps_adaptive.contracts import DAYS_PER_MONTH, Cohort
from sps_adaptive.scenario import ADAPTIVE

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array
    from sps_adaptive.scenario import Scenario

ROUNDING = 1e-9
"""True values that differ by less than this share of the largest are equal."""

REFERENCE_SEED = 0
"""Seed of the patients over whom a changing truth is averaged: what is true must not depend on the seed of a run."""

REFERENCE_PATIENTS = 400_000
"""About how many patients that average takes."""


class TrueState(NamedTuple):
    """What a truth says about the arms."""

    arms: tuple[str, ...]
    control: int
    value: Float[Array, " A"]
    """True value of each arm, on the endpoint's own scale."""
    effect: Float[Array, " A"]
    """Arm minus control, on the endpoint's own scale."""
    is_effective: Bool[Array, " A"]
    """Better than the control by more than the efficacy margin; never the control."""
    is_best: Bool[Array, " A"]
    """The best of all arms with the control; where several are equally good, all of them."""
    is_worst: Bool[Array, " A"]
    """The worst of all arms, or all that are equally bad."""
    reference_month: float
    """A month near the end of the trial, about which sums of durations are taken; it has no other meaning."""
    may_close: bool = False
    """Whether enrolment may close by the calendar before the last patient."""
    is_observed: bool = True
    """Whether the mean of the patients' outcomes, arm by arm, is what the analysis estimates."""
    is_platform: bool = False
    """Whether arms open or close by the protocol while the trial enrols."""

    @property
    def is_ineffective(self) -> Bool[Array, " A"]:
        """The experimental arms that are not effective."""
        return self.is_experimental & ~self.is_effective

    @property
    def is_experimental(self) -> Bool[Array, " A"]:
        """The arms other than the control."""
        return np.arange(len(self.arms)) != self.control

    @property
    def arms_differ(self) -> bool:
        """Whether some arm is better than another."""
        return not bool(self.is_best.all())


def true_state(scenario: Scenario, truth: str, endpoint: str | None = None) -> TrueState:
    r"""Return what is true of each arm, on the primary endpoint or another one.

    Arm a is effective if and only if :math:`\theta_a - \theta_0 > \delta`, where :math:`\theta` are the true means
    in the good direction and :math:`\delta` is the margin of the scenario's efficacy rule (of a rule that compares
    with a fixed value, this stands in place of :math:`\theta_0`); differences within 1e-9 of the largest value
    count as equal. Where a truth changes while the trial enrols, :math:`\theta_a` is its average over the enrolment
    days of the largest sample (those before enrolment closes), taken over some 400,000 reference patients that are
    the same for every seed of the run.
    """
    return _true_state(_Case(scenario, truth, endpoint or scenario.endpoint_name))


def truth_table(scenario: Scenario) -> pd.DataFrame:
    """Return one row for each truth and arm: true value, effect, whether effective, whether best."""
    import pandas as pd

    rows = [
        (truth, arm, state.value[a], state.effect[a], state.is_effective[a], state.is_best[a])
        for truth in scenario.truths
        for state in [true_state(scenario, truth)]
        for a, arm in enumerate(state.arms)
    ]
    return pd.DataFrame(rows, columns=["truth", "arm", "value", "effect", "is_effective", "is_best"])


class _Case:
    """A scenario and a truth as a key: equal where the numbers of a run would be equal."""

    def __init__(self, scenario: Scenario, truth: str, endpoint: str) -> None:
        self.scenario, self.truth, self.endpoint = scenario, truth, endpoint
        self.digest = scenario.truth_digest(truth)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Case) and (self.digest, self.endpoint) == (other.digest, other.endpoint)

    def __hash__(self) -> int:
        return hash((self.digest, self.endpoint))


@lru_cache(maxsize=256)
def _true_state(case: _Case) -> TrueState:
    scenario, truth = case.scenario, case.truth
    name, arms, control = case.endpoint, scenario.arm_names, scenario.control
    differs = scenario.differs_among_patients(truth, name)
    cohort = _in_time(
        _reference(scenario, REFERENCE_PATIENTS // scenario.population.patients if differs else 1), scenario
    )
    oriented = np.broadcast_to(scenario.true_values(truth, name, cohort), (len(arms),))
    gain = oriented - oriented[control]
    design, scale = scenario.designs()[ADAPTIVE], scenario.scale(name)
    if name != scenario.endpoint_name:  # no rule declares anything of it
        design = design._replace(efficacy_margin=0.0, efficacy_value=None)
    rounding = ROUNDING * max(float(np.abs(oriented).max()), abs(design.efficacy_margin))
    last = min(cohort.enrolled_at[:, -1].mean(), scenario.population.closes_at) / DAYS_PER_MONTH
    return TrueState(
        arms=arms,
        control=control,
        value=np.asarray(scale.natural(oriented)),
        effect=np.asarray(scale.natural_difference(gain)) + 0.0,  # a difference of -0.0 becomes 0.0
        is_effective=design.is_effective(oriented, rounding),
        is_best=oriented >= oriented.max() - rounding,
        is_worst=oriented <= oriented.min() + rounding,
        reference_month=float(np.rint(last + scenario.endpoints[name].assessed_at_month)),
        may_close=scenario.population.closes_at_month is not None,
        is_observed=scale.name in scenario.endpoints[name].observed_scales,
        is_platform=scenario.is_platform,
    )


def _reference(scenario: Scenario, trials: int) -> Cohort:
    """Return the patients over whom true values are averaged; one trial is enough where none changes with time."""
    cohort = scenario.draw(REFERENCE_SEED, 0, max(trials, 1))
    if cohort.site_score is None:
        return cohort
    # True values are means over patients, who need not share their sites: every quantile of the sites once.
    number = cohort.site_score.size
    place = np.random.default_rng(REFERENCE_SEED).permutation(number)
    score = normal_quantile((place + 0.5) / number).reshape(cohort.site_score.shape)
    return cohort._replace(site_score=score)


def _in_time(cohort: Cohort, scenario: Scenario) -> Cohort:
    """Return the patients who come before enrolment closes, as one trial: only their days matter for true values."""
    in_time = cohort.enrolled_at <= scenario.population.closes_at
    if in_time.all() or not in_time.any():
        return cohort
    kept = cohort.only(in_time)  # one patient a row
    return kept.only(np.newaxis)
