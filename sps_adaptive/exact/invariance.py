r"""One type I error for every mean and standard deviation: the certificate for normal outcomes.

Under the global null all arms have one mean μ, and outcomes are :math:`y = \mu + \sigma e` with the same luck e in
every world. An analysis is equivariant for location and scale if it does not care about the unit and the origin of
the score: with :math:`c y + d` in place of y, posterior probabilities that one arm is better than another, or the
best, stay the same. Then every claim, every closed arm and every allocation is a function of the luck alone, the law
of the trial does not depend on :math:`(\mu, \sigma)`, and the probability of a false claim is one number (Lehmann and
Romano 2005, chapter 6). The share of errors in replicates under any one null truth estimates it, and its
Clopper-Pearson bound holds for all of them.

When this is so:

- `normal` with flat priors of the means, no weight on the guess of the standard deviation, and the variance
  estimated, arm by arm or in common: means move with the data, sums of squares are free of the origin, and the
  probabilities depend on differences of means over standard deviations and on counts. With a baseline in the endpoint
  nothing changes: the outcome is normal with another standard deviation, and the analysis does not see the baseline.
- `ancova` in the same case, with a prior mean of the slope of 0. The slope has a proper prior, worth λ > 0 patients.
  Multiplied outcomes multiply the slope, so μ and σ drop out; but adding :math:`\gamma x` to the outcomes adds
  :math:`\gamma S_{xx} / (\lambda + S_{xx})` to the slope where only λ = 0 would add γ. The true slope over the
  residual standard deviation therefore stays in the law: the certificate is for the stated correlation with the
  baseline and, for a change from baseline, the stated ratio of the two standard deviations; `given` says so. It is no
  trifle: in a trial of 42 patients with λ = 1 the type I error was 0.245 without a correlation, 0.223 with one of
  0.8 and 0.155 with one of 0.95.

All margins must be 0 (a margin has the unit of the score), and the arms must have one standard deviation: otherwise
the law depends on the margin over σ, or on the ratios. A known variance, a guess of it, or a prior of a mean likewise
tie the analysis to a scale or an origin. Accrual, dropout, the looks and the dealing never depend on outcomes but
through the posterior.

Two places in the models do know a scale, the stated `sd`.

- An analysis is improper where an arm has too few outcomes (see `improper`): the arm gets a posterior a million times
  wider than `sd` and the distances between the arms. A difference with such an arm is symmetric about a centre that is
  a millionth of its width from 0, so it is positive with a probability within 4e-7 of one half, whatever the truth.
  Decisions are therefore the same for every truth; `broken_by` refuses thresholds of one half. Probabilities of
  being best among three or more arms, and with them adaptive allocation until the next look, change by some
  millionths: no simulation would show it, but it is not nothing. To be rid of it, count a trial with an improper look
  as an error: up to that look the trial is the same for every truth, so the probability of an error or of such a
  look is exactly invariant. With fixed or equal allocation there is nothing to be rid of.
- Standard deviations are kept above 1e-9 times `sd`. For σ of at least a thousandth of `sd` this acts on one analysis
  in a million at most, where a single degree of freedom is left.

All this is about real numbers. Doubles round; a mean of a million standard deviations costs six of sixteen digits,
and a decision changes only where a probability lies so near to its threshold.

The certificate is about the global null: with several experimental arms it says nothing about errors on some arms while
others work.

References
----------
Lehmann EL, Romano JP (2005). Testing Statistical Hypotheses, 3rd ed., chapter 6. Springer.
Clopper CJ, Pearson ES (1934). The use of confidence or fiducial limits illustrated in the case of the
binomial. Biometrika 26:404-413.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.endpoints import Continuous
from sps_adaptive.endpoints.course import numbers
from sps_adaptive.errors import UsageError
from sps_adaptive.models import Ancova, Normal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Bool, Int

    from sps_adaptive.contracts import Array
    from sps_adaptive.scenario import Scenario

NEAR_HALF = 1e-5
"""Thresholds this near to one half might be crossed by an arm of which nothing is known: room for quadratures."""


class Invariance(NamedTuple):
    """An upper bound of the type I error under the global null, for every mean and standard deviation."""

    upper: float
    level: float
    """The confidence in the bound: the chance, before simulating, that it holds."""
    errors: int
    replicates: int


def broken_by(scenario: Scenario) -> list[str]:
    """Return why the type I error may depend on mean and standard deviation, in sentences; empty if it does not."""
    return list(_reasons(scenario))


def given(scenario: Scenario) -> list[str]:
    """Return what the certificate takes as stated in the scenario, in sentences; `broken_by` comes first."""
    found = ["Outcomes are normal, with one standard deviation in all arms and one mean at all times."]
    endpoint, model = scenario.endpoint, scenario.analysis[scenario.endpoint_name]
    if isinstance(endpoint, Continuous) and isinstance(model, Ancova) and endpoint.baseline is not None:
        found.append(
            f"The correlation with the baseline is {endpoint.baseline.correlation:g}: the prior of the slope, worth "
            f"{model.slope.patients:g} patients, lets the type I error depend on it."
        )
        if endpoint.outcome == "change_from_baseline":
            ratio = endpoint.baseline.sd / _sds(scenario, endpoint)[0]
            found.append(
                f"At enrolment the standard deviation is {ratio:.3g} times that at the assessment, for the same reason."
            )
    if len(scenario.arms) > 2 and scenario.allocation.learns:
        found.append(
            "Every arm has outcomes enough at each look: before that, allocation among several arms depends on the "
            "scale by some millionths."
        )
    if len(scenario.arms) > 2:
        found.append("No arm works: errors about some arms while others work are another matter.")
    return found


def null_truths(scenario: Scenario) -> list[str]:
    """Return the truths that are the global null: one mean for all arms and months.

    A mean that drifts, even alike on all arms, is none: the drift over the standard deviation stays in the law.
    """
    name = scenario.endpoint_name
    return [
        truth
        for truth, stated in scenario.truths.items()
        if len({number for course in stated.of(name).values() for number in numbers(course)}) == 1
    ]


def improper(scenario: Scenario, known: Int[Array, "... A"]) -> Bool[Array, "..."]:
    """Return whether an analysis finds an arm of which nothing is known, or no estimate of the variance.

    Parameters
    ----------
    scenario
        A scenario that `broken_by` has nothing against.
    known
        How many outcomes of each arm are known at the analysis.
    """
    model = scenario.analysis[scenario.endpoint_name]
    if isinstance(model, Normal) and model.variance in ("arm_specific", "plug_in"):
        return np.any(known < 2, axis=-1)
    return np.any(known < 1, axis=-1) | np.all(known < 2, axis=-1)


def certified(errors: int, replicates: int, level: float = 0.99) -> float:
    r"""Return the one-sided upper confidence bound of a probability, after Clopper and Pearson.

    With x errors in n replicates it is the quantile of a beta distribution,
    :math:`B^{-1}(\text{level};\, x + 1, n - x)`, and 1 if all replicates were errors.

    Raises
    ------
    ValueError
        If there are no replicates, more errors than replicates, or the level is not between 0 and 1.
    """
    from scipy.special import betaincinv

    if not 0 <= errors <= replicates or replicates < 1:
        raise ValueError(f"{errors} errors in {replicates} replicates")
    if not 0 < level < 1:
        raise ValueError("a level lies between 0 and 1")
    return float(betaincinv(errors + 1, replicates - errors, level)) if errors < replicates else 1.0


def certify(
    scenario: Scenario, errors: int, replicates: int, level: float = 0.99, truth: str | None = None
) -> Invariance:
    """Return the bound for every mean and standard deviation, from replicates under one null truth.

    Parameters
    ----------
    scenario
        The scenario that was simulated.
    errors
        Replicates in which any arm was declared effective; with those that had an improper look among them (see
        `improper`) the certificate is exact.
    replicates
        How many there were. Their number must not depend on what they showed.
    level
        Confidence in the bound.
    truth
        The truth they followed, to be checked; left out: the caller knows that it is the global null.

    Raises
    ------
    UsageError
        If mean or standard deviation may matter, with the reasons, or the truth is not the global null.
    """
    if reasons := broken_by(scenario):
        raise UsageError(
            "one simulated truth does not certify the type I error of this design: " + " ".join(reasons),
            "the type I error depends on the mean or the standard deviation: simulate it for several of them",
        )
    if truth is not None:
        scenario.truth(truth)
        if truth not in null_truths(scenario):
            raise UsageError(
                f"the truth '{truth}' is not the global null",
                "state one and the same number for every arm, without months",
            )
    return Invariance(certified(errors, replicates, level), level, errors, replicates)


def _reasons(scenario: Scenario) -> Iterator[str]:
    endpoint, model = scenario.endpoint, scenario.analysis[scenario.endpoint_name]
    if not isinstance(endpoint, Continuous):
        yield f"The endpoint is {endpoint.kind}: its standard deviation follows from its mean."
        return
    if not isinstance(model, Normal | Ancova):
        yield f"For the analysis {model.kind} nothing of the kind has been shown."
        return
    if len(set(_sds(scenario, endpoint))) > 1:
        yield "The arms have different standard deviations: the type I error depends on their ratios."
    if isinstance(model, Normal) and model.variance == "known":
        yield f"The standard deviation is taken as known, {model.sd:g}: what matters is the true one in units of it."
    elif model.sd_patients > 0 and not (isinstance(model, Normal) and model.variance == "plug_in"):
        yield (
            f"The guess of the standard deviation, {model.sd:g}, is worth {model.sd_patients:g} patients: what matters "
            "is the true one in units of it."
        )
    for arm in scenario.arms:
        prior = model.arm_priors.get(arm, model.prior)
        if prior.patients > 0:
            yield (
                f"The prior mean of {arm}, {prior.mean:g}, is worth {prior.patients:g} patients: what matters is how "
                "far the true mean is from it."
            )
    if isinstance(model, Ancova) and model.slope.mean != 0:
        yield f"The prior mean of the slope, {model.slope.mean:g}, has the unit of the score: only 0 has no scale."
    for place, rule in enumerate(scenario.decisions, start=1):
        if rule.margin != 0:
            yield f"Rule {place} ({rule.kind}) has a margin of {rule.margin:g}, which has the unit of the score."
        thresholds = rule.probability if isinstance(rule.probability, list) else [rule.probability]
        if near := [threshold for threshold in thresholds if abs(threshold - 0.5) <= NEAR_HALF]:
            yield (
                f"Rule {place} ({rule.kind}) has a threshold of {near[0]:g}, too near to the one half that an arm has "
                "of which nothing is known."
            )


def _sds(scenario: Scenario, endpoint: Continuous) -> list[float]:
    return [endpoint.sd[arm] if isinstance(endpoint.sd, dict) else endpoint.sd for arm in scenario.arms]
